package netdev

import (
	"net"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
)

func device(index int, name string) netlink.LinkAttrs {
	a := netlink.NewLinkAttrs()
	a.Index, a.Name, a.HardwareAddr = index, name, net.HardwareAddr{2, 0, 0, 0, 0, byte(index)}
	a.NetNsID, a.EncapType, a.RawFlags = -1, "ether", unix.IFF_UP
	return a
}

func vlanOn(index int, name string, parent, id int) *netlink.Vlan {
	a := device(index, name)
	a.ParentIndex = parent
	return &netlink.Vlan{LinkAttrs: a, VlanId: id}
}

// The kernel that tests run on may have no VLAN devices: what netlink would say is made up.
func TestVLANsNest(t *testing.T) {
	xsktest.Namespace(t)
	foreign := vlanOn(8, "elsewhere", 2, 9)
	foreign.NetNsID = 1 // its parent index is one of another namespace
	peer := device(9, "veth")
	peer.ParentIndex = 2
	links := []netlink.Link{
		&netlink.Device{LinkAttrs: device(2, "eth0")},
		vlanOn(5, "eth0.20", 2, 20),
		vlanOn(4, "eth0.10", 2, 10),
		vlanOn(6, "eth0.10.30", 4, 30),
		vlanOn(7, "eth0.10.30.40", 6, 40), // three tags: beyond what XDP looks at
		foreign,
		&netlink.Veth{LinkAttrs: peer},
	}
	found, err := vlans(2, links, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]uint16{}
	for _, v := range found {
		got[v.Name] = v.VIDs
	}
	want := map[string][]uint16{"eth0.10": {10}, "eth0.20": {20}, "eth0.10.30": {10, 30}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	i := slices.IndexFunc(found, func(v VLAN) bool { return v.Name == "eth0.20" })
	if v := found[i]; v.Index != 5 || v.MAC != [6]byte{2, 0, 0, 0, 0, 5} || !v.Up {
		t.Errorf("%+v", v)
	}
}

func TestBondMembership(t *testing.T) {
	xsktest.Namespace(t)
	bond := &netlink.Bond{LinkAttrs: device(2, "bond0")}
	member := &netlink.Device{LinkAttrs: device(3, "eth0")}
	member.MasterIndex = 2
	links := []netlink.Link{bond, member}
	f, err := read(member, links)
	if err != nil || f.Bond != "bond0" || f.Bridge != "" {
		t.Errorf("member: %+v, %v", f, err)
	}
	f, err = read(bond, links)
	if err != nil || f.Bond != "" || !slices.Equal(f.BondMembers, []string{"eth0"}) {
		t.Errorf("bond: %+v, %v", f, err)
	}
}

func TestBroadcast(t *testing.T) {
	for _, c := range []struct {
		prefix, configured, want string
	}{
		{"192.0.2.0/24", "", "192.0.2.255"},
		{"192.0.2.0/24", "0.0.0.0", "192.0.2.255"},
		{"192.0.2.0/24", "192.0.2.127", "192.0.2.127"},
		{"10.0.0.0/8", "", "10.255.255.255"},
		{"10.1.2.4/30", "", "10.1.2.7"},
		{"10.1.2.4/31", "", "invalid IP"},
		{"10.1.2.4/32", "", "invalid IP"},
		{"0.0.0.0/0", "", "255.255.255.255"},
	} {
		if got := broadcast(netip.MustParsePrefix(c.prefix), net.ParseIP(c.configured)); got.String() != c.want {
			t.Errorf("%s with %q: %v, want %s", c.prefix, c.configured, got, c.want)
		}
	}
}
