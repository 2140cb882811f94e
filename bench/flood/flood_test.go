package flood

import (
	"net/netip"
	"testing"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// Every kind is a datagram that the server gets, with places for random numbers
// that leave it one.
func TestFrames(t *testing.T) {
	a := Aim{Server: netip.MustParseAddr("192.0.2.1"), ServerMAC: [6]byte{2, 1}, MAC: [6]byte{2, 2}, File: "snponly.efi"}
	for k := range numKinds {
		f, err := k.make(&a)
		if err != nil {
			t.Fatal(err)
		}
		var p packet.Packet
		if why := packet.Parse(f.data, &p); why != packet.Answered {
			t.Errorf("%v: %v", k, why)
		}
		want := map[Kind]uint16{Discover: 67, Relayed: 67, BootServer: 4011, RRQ: 69, Garbage: 4011, Noise: 4011}[k]
		if p.Dst.Port() != want {
			t.Errorf("%v: to port %d", k, p.Dst.Port())
		}
		if len(f.random) == 0 {
			t.Errorf("%v: always the same", k)
		}
		if got, err := ParseKind(k.String()); got != k || err != nil {
			t.Errorf("%v: %v, %v", k, got, err)
		}
	}
	if _, err := ParseKind("nonsense"); err == nil {
		t.Error("nonsense")
	}
}
