package responder

import (
	"net/netip"
	"testing"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

func TestLinksFind(t *testing.T) {
	addr := netip.MustParseAddr
	link := func(name, a string) *dhcp.Link { return &dhcp.Link{Name: name, Addr: addr(a)} }
	links := Links{
		{Port: 2}:                                    link("eth0", "192.0.2.10"),
		{Port: 2, To: addr("192.0.2.11")}:            link("eth0 second", "192.0.2.11"),
		{Port: 2, VIDs: [2]uint16{100}}:              link("eth0.100", "198.51.100.10"),
		{Port: 2, VIDs: [2]uint16{100, 7}}:           link("eth0.100.7", "203.0.113.10"),
		{Port: 3}:                                    link("eth1", "192.0.2.20"),
		{Port: 3, VIDs: [2]uint16{AnyVLAN, AnyVLAN}}: link("eth1 tagged", "192.0.2.20"),
	}
	tag := func(ids ...uint16) (m packet.Meta) {
		for i, id := range ids {
			m.VLANs[i] = packet.VLAN{TPID: 0x8100, TCI: 0xe000 | id}
		}
		m.NumVLANs = uint8(len(ids))
		return m
	}
	for _, tc := range []struct {
		name, to string
		port     int
		meta     packet.Meta
		want     string
	}{
		{"untagged broadcast", "255.255.255.255", 2, tag(), "eth0"},
		{"first address", "192.0.2.10", 2, tag(), "eth0"},
		{"second address", "192.0.2.11", 2, tag(), "eth0 second"},
		{"priority tag is the port itself", "255.255.255.255", 2, tag(0), "eth0"},
		{"tagged", "255.255.255.255", 2, tag(100), "eth0.100"},
		{"priority tag outside a tag", "255.255.255.255", 2, tag(0, 100), "eth0.100"},
		{"two tags", "255.255.255.255", 2, tag(100, 7), "eth0.100.7"},
		{"two tags, inner unknown", "255.255.255.255", 2, tag(100, 8), ""},
		{"second address of another network", "192.0.2.11", 2, tag(100), "eth0.100"},
		{"unknown VLAN", "255.255.255.255", 2, tag(101), ""},
		{"unknown VLAN with a configured address", "255.255.255.255", 3, tag(101), "eth1 tagged"},
		{"untagged beside it", "255.255.255.255", 3, tag(), "eth1"},
		{"unknown port", "255.255.255.255", 4, tag(), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := tc.meta
			m.IfIndex, m.Dst = tc.port, netip.AddrPortFrom(addr(tc.to), 67)
			got := ""
			if l := links.find(&m); l != nil {
				got = l.Name
			}
			if got != tc.want {
				t.Errorf("link %q, want %q", got, tc.want)
			}
		})
	}
	m := tag(101)
	m.IfIndex, m.Dst = 3, netip.MustParseAddrPort("255.255.255.255:67")
	if n := testing.AllocsPerRun(100, func() { links.find(&m) }); n != 0 {
		t.Errorf("find allocates %v times", n)
	}
}

// Another port's networks change nothing for those that are there; all else does.
func TestLinksExtend(t *testing.T) {
	link := func(a string) *dhcp.Link { return &dhcp.Link{Name: "eth0", Addr: netip.MustParseAddr(a)} }
	was := Links{{Port: 2}: link("192.0.2.10"), {Port: 3}: link("192.0.2.20")}
	for name, tc := range map[string]struct {
		is   Links
		want bool
	}{
		"the same":        {Links{{Port: 2}: link("192.0.2.10"), {Port: 3}: link("192.0.2.20")}, true},
		"a port more":     {Links{{Port: 2}: link("192.0.2.10"), {Port: 3}: link("192.0.2.20"), {Port: 4}: link("192.0.2.30")}, true},
		"a port less":     {Links{{Port: 2}: link("192.0.2.10")}, false},
		"another address": {Links{{Port: 2}: link("192.0.2.11"), {Port: 3}: link("192.0.2.20")}, false},
		"a VLAN more":     {Links{{Port: 2}: link("192.0.2.10"), {Port: 3}: link("192.0.2.20"), {Port: 3, VIDs: [2]uint16{7}}: link("192.0.2.30")}, false},
	} {
		if got := tc.is.extends(was); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
