package wire_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/xdpxe/xdpxe/bench/lab/labtest"
	"github.com/xdpxe/xdpxe/bench/lab/wire"
)

// Tags are the same at both ends of a cable, however many, although the kernel
// takes the outer one out of received frames.
func TestTagsCrossACable(t *testing.T) {
	labtest.Need(t, false)
	ctx := labtest.Context(t, 10*time.Second)
	l := labtest.New(t)
	a, err := l.Namespace("a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Namespace("b")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Veth("cable", b, "cable"); err != nil {
		t.Fatal(err)
	}
	from, err := wire.Open(a, "cable")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := wire.Open(b, "cable")
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	for _, tags := range [][]uint16{nil, {1}, {4094, 7}} {
		sent := wire.Datagram{
			SrcMAC: from.MAC, DstMAC: to.MAC, VLANs: tags,
			Src: netip.MustParseAddrPort("192.0.2.1:4011"), Dst: netip.MustParseAddrPort("192.0.2.2:68"),
			Payload: []byte("payload"),
		}
		if err := from.Send(sent); err != nil {
			t.Fatal(err)
		}
		got, err := to.Recv(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.VLANs, tags) || got.Src != sent.Src || got.Dst != sent.Dst ||
			string(got.Payload) != "payload" || got.SrcMAC.String() != from.MAC.String() || got.Outgoing {
			t.Errorf("sent %+v, received %+v", sent, got)
		}
	}
}

func TestDescribe(t *testing.T) {
	mac := []byte{2, 0, 0, 0, 0, 1}
	message := func(modifiers ...dhcpv4.Modifier) []byte {
		m, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(mac)}, modifiers...)...)
		if err != nil {
			t.Fatal(err)
		}
		return m.ToBytes()
	}
	server := []byte{203, 0, 113, 10}
	for _, c := range []struct {
		src, dst string
		payload  []byte
		want     []string // parts of the text; nil: nothing to say
	}{
		{"0.0.0.0:68", "255.255.255.255:67",
			message(dhcpv4.WithMessageType(dhcpv4.MessageTypeDiscover), dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00007"))),
			[]string{"DISCOVER", "PXEClient:Arch:00007"}},
		{"203.0.113.10:67", "198.51.100.1:67",
			message(dhcpv4.WithReply(&dhcpv4.DHCPv4{OpCode: dhcpv4.OpcodeBootRequest, ClientHWAddr: mac}), dhcpv4.WithMessageType(dhcpv4.MessageTypeOffer),
				dhcpv4.WithOption(dhcpv4.OptServerIdentifier(server)), dhcpv4.WithGatewayIP([]byte{198, 51, 100, 1})),
			[]string{"OFFER from 203.0.113.10", "boot server only", "relayed by 198.51.100.1"}},
		{"198.51.100.7:4011", "203.0.113.10:4011", message(dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest)),
			[]string{"REQUEST to boot server 203.0.113.10:4011"}},
		{"198.51.100.7:2000", "203.0.113.10:69", []byte("\x00\x01a.efi\x00octet\x00tsize\x000\x00"),
			[]string{"TFTP reads a.efi from 203.0.113.10", "tsize 0"}},
		{"198.51.100.7:2000", "203.0.113.10:69", []byte("\x00\x04\x00\x01"), nil},
		{"198.51.100.7:68", "203.0.113.10:67", []byte("not DHCP"), nil},
		{"198.51.100.7:53", "203.0.113.10:53", []byte("anything"), nil},
	} {
		e, ok := wire.Describe(wire.Datagram{
			SrcMAC: mac, Src: netip.MustParseAddrPort(c.src), Dst: netip.MustParseAddrPort(c.dst), Payload: c.payload,
		})
		if ok != (c.want != nil) {
			t.Errorf("%s to %s: described: %v", c.src, c.dst, ok)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(e.Text, part) || !e.About(mac) || e.About([]byte{2, 0, 0, 0, 0, 9}) {
				t.Errorf("%s to %s: %q, want %q in it, about the client only", c.src, c.dst, e.Text, part)
			}
		}
	}
}
