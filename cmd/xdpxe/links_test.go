package main

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/xdpxe/xdpxe/loader/netdev"
	"github.com/xdpxe/xdpxe/responder"
)

func netdevAddr(s string) netdev.Addr {
	p := netip.MustParsePrefix(s)
	return netdev.Addr{IP: p.Addr(), Prefix: p.Masked()}
}

// describeLinks writes links one a line: "PORT VIDS [to ADDRESS]: DEVICE answers with ADDRESS".
func describeLinks(links responder.Links) (lines []string) {
	for key, l := range links {
		to := ""
		if key.To.IsValid() {
			to = " to " + key.To.String()
		}
		lines = append(lines, fmt.Sprintf("%d %v%s: %s answers with %v", key.Port, key.VIDs, to, l.Name, l.Addr))
	}
	slices.Sort(lines)
	return lines
}

func TestLinksOf(t *testing.T) {
	eth0 := netdev.Facts{
		Index: 2, Name: "eth0", MAC: [6]byte{2}, Addrs: []netdev.Addr{netdevAddr("192.0.2.10/24"), netdevAddr("192.0.2.11/24")},
		VLANs: []netdev.VLAN{
			{Index: 7, Name: "eth0.100", VIDs: []uint16{100}, MAC: [6]byte{2, 7}, Up: true, Addrs: []netdev.Addr{netdevAddr("198.51.100.10/24")}},
			{Index: 8, Name: "eth0.200.30", VIDs: []uint16{200, 30}, MAC: [6]byte{2, 8}, Up: true, Addrs: []netdev.Addr{netdevAddr("203.0.113.10/24")}},
			{Index: 9, Name: "eth0.300", VIDs: []uint16{300}, MAC: [6]byte{2, 9}, Up: true},
		},
	}
	inBridge := netdev.Facts{
		Index: 3, Name: "eth1", MAC: [6]byte{2}, Bridge: "br0", BridgeMAC: [6]byte{2, 1}, BridgeAddrs: []netdev.Addr{netdevAddr("192.0.2.20/24")},
	}
	for _, tc := range []struct {
		name    string
		facts   netdev.Facts
		bridge  int
		address string
		want    []string
	}{
		{"each network answers with its own", eth0, 0, "", []string{
			"2 [0 0] to 192.0.2.11: eth0 answers with 192.0.2.11",
			"2 [0 0]: eth0 answers with 192.0.2.10",
			"2 [100 0]: eth0.100 answers with 198.51.100.10",
			"2 [200 30]: eth0.200.30 answers with 203.0.113.10",
			"7 [0 0]: eth0.100 answers with 198.51.100.10",
			"8 [0 0]: eth0.200.30 answers with 203.0.113.10",
		}},
		{"a configured address answers everywhere", eth0, 0, "203.0.113.99", []string{
			"2 [0 0]: eth0 answers with 203.0.113.99",
			"2 [100 0]: eth0.100 answers with 203.0.113.99",
			"2 [200 30]: eth0.200.30 answers with 203.0.113.99",
			"2 [300 0]: eth0.300 answers with 203.0.113.99",
			"2 [65535 65535]: eth0 answers with 203.0.113.99",
			"7 [0 0]: eth0.100 answers with 203.0.113.99",
			"8 [0 0]: eth0.200.30 answers with 203.0.113.99",
			"9 [0 0]: eth0.300 answers with 203.0.113.99",
		}},
		{"a bridge port answers with the bridge's", inBridge, 5, "", []string{
			"3 [0 0]: br0 answers with 192.0.2.20",
			"5 [0 0]: br0 answers with 192.0.2.20",
		}},
		{"nobody without an address", netdev.Facts{Index: 4, Name: "eth2"}, 0, "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var address netip.Addr
			if tc.address != "" {
				address = netip.MustParseAddr(tc.address)
			}
			if got := describeLinks(linksOf(&tc.facts, tc.bridge, address)); !slices.Equal(got, tc.want) {
				t.Errorf("links\n%q\nwant\n%q", got, tc.want)
			}
		})
	}
	// The interface's own address must be known as such, or it could pass for a relay's.
	l := linksOf(&eth0, 0, netip.Addr{})[responder.LinkKey{Port: 2}]
	if want := netip.MustParsePrefix("192.0.2.10/24"); !slices.Contains(l.Prefixes, want) {
		t.Errorf("prefixes %v, want %v among them", l.Prefixes, want)
	}
}

func TestMustReopen(t *testing.T) {
	was := netdev.Facts{
		Index: 2, Name: "eth0", MAC: [6]byte{2}, MTU: 1500, RXQueues: 4, Up: true, Addrs: []netdev.Addr{netdevAddr("192.0.2.10/24")},
		VLANs: []netdev.VLAN{{Index: 7, Name: "eth0.100", VIDs: []uint16{100}, Up: true}},
	}
	for name, tc := range map[string]struct {
		change func(*netdev.Facts)
		want   string
	}{
		"nothing":               {func(*netdev.Facts) {}, ""},
		"addresses":             {func(f *netdev.Facts) { f.Addrs = nil }, ""},
		"addresses of a VLAN":   {func(f *netdev.Facts) { f.VLANs[0].Addrs = []netdev.Addr{netdevAddr("198.51.100.1/24")} }, ""},
		"the link goes":         {func(f *netdev.Facts) { f.Carrier = !f.Carrier }, ""},
		"it goes down":          {func(f *netdev.Facts) { f.Up = false }, ""},
		"made again":            {func(f *netdev.Facts) { f.Index = 3 }, "it was made again"},
		"MAC":                   {func(f *netdev.Facts) { f.MAC[5] = 9 }, "its MAC address changed"},
		"queues":                {func(f *netdev.Facts) { f.RXQueues = 8 }, "it has 8 receive queues, had 4"},
		"MTU":                   {func(f *netdev.Facts) { f.MTU = 9000 }, "its MTU is 9000, was 1500"},
		"into a bridge":         {func(f *netdev.Facts) { f.Bridge = "br0" }, "its bridge or bond changed"},
		"into a bond":           {func(f *netdev.Facts) { f.Bond = "bond0" }, "its bridge or bond changed"},
		"a VLAN device more":    {func(f *netdev.Facts) { f.VLANs = append(f.VLANs, netdev.VLAN{Name: "eth0.7"}) }, "VLAN devices came or went"},
		"a VLAN device changed": {func(f *netdev.Facts) { f.VLANs[0].VIDs = []uint16{101} }, "VLAN device eth0.100 changed"},
	} {
		is := was
		is.VLANs = slices.Clone(was.VLANs)
		tc.change(&is)
		if got := mustReopen(&was, &is); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	down := was
	down.Up = false
	if got := mustReopen(&down, &was); got != "it came up" {
		t.Errorf("up again: %q", got)
	}
}
