package publish

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/responder/conn"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
)

func parsed(text string) []netip.Prefix { return prefixes(strings.Fields(text)...) }

func TestNetworksOf(t *testing.T) {
	for _, tc := range []struct{ link, clients, want string }{
		{"192.0.2.10/24", "", "192.0.2.0/24 8.0.0.0/5 192.0.0.0/3 128.0.0.0/2"},
		{"192.0.2.10/24", "0.0.0.0/0", "192.0.2.0/24 8.0.0.0/5 192.0.0.0/3 128.0.0.0/2"},
		{"10.1.0.1/16", "10.0.0.0/8", "10.1.0.0/16 10.0.0.0/8"},
		{"10.1.0.1/16", "10.2.0.0/16", "10.2.0.0/16"},
		{"192.0.2.10/24", "192.0.2.0/25 192.0.2.192/26", "192.0.2.192/26 192.0.2.0/25"},
		{"192.0.2.10/24", "192.0.2.128/25 192.0.0.0/16", "192.0.2.0/24 192.0.2.128/25 192.0.0.0/16"},
		{"192.0.2.10/24 192.0.2.130/25", "", "192.0.2.128/25 192.0.2.0/24 8.0.0.0/5 192.0.0.0/3"},
		{"10.1.0.1/24 10.2.0.1/24 10.3.0.1/24 10.4.0.1/24 10.5.0.1/24", "", "10.1.0.0/24 10.2.0.0/24 10.3.0.0/24 10.4.0.0/24"},
		{"127.0.0.1/8", "", "8.0.0.0/5 192.0.0.0/3 128.0.0.0/2"},
		{"192.0.2.10/31", "198.51.100.7/32", ""},
		{"192.0.2.10/24", "2001:db8::/32", ""},
	} {
		got := networksOf(&dhcp.Link{Addr: S, Prefixes: parsed(tc.link)}, parsed(tc.clients))
		if !slices.Equal(got, parsed(tc.want)) {
			t.Errorf("%+v: got %v", tc, got)
		}
	}
}

// Whatever the networks are, nobody in them is answered whom tier 1 would not answer.
func TestNetworksHoldForClientsOnly(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	draw := func(bits int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(rng.IntN(2)), byte(rng.IntN(2)), byte(1 + rng.IntN(254))}), bits)
	}
	held := 0
	for range 300 {
		link := lan()
		link.Prefixes = nil
		for range 1 + rng.IntN(3) {
			link.Prefixes = append(link.Prefixes, draw(20+rng.IntN(12)))
		}
		link.Addr = link.Prefixes[0].Addr()
		spec := files()
		for range rng.IntN(4) {
			spec.Clients = append(spec.Clients, draw(8+rng.IntN(24)).Masked())
		}
		r := answers(t, spec)
		networks := networksOf(link, r.Policy().(Policy).Clients())
		w := r.NewWorker()
		for range 50 {
			source := draw(32).Addr()
			if i := rng.IntN(4 * len(link.Prefixes)); i < len(link.Prefixes) {
				source = lastOf(link.Prefixes[i].Masked())
			}
			if !client(networks, source) || source == link.Addr {
				continue
			}
			held++
			in := from4011(dhcptest.BootServerRequest(7, zero), source)
			if res := w.Handle(start, link, &in, &packet.Packet{Payload: make([]byte, 0, conn.MaxPayload)}); res.Reason != packet.Answered {
				t.Fatalf("link %v, clients %v, networks %v: %v: %v", link.Prefixes, spec.Clients, networks, source, res.Reason)
			}
		}
	}
	if held < 1000 {
		t.Errorf("only %d sources were clients", held)
	}
}
