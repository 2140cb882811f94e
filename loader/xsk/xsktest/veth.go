package xsktest

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// End is one end of a veth pair.
type End struct {
	Name  string
	Index int
	MAC   [6]byte
	link  netlink.Link
}

// Veth makes a pair with so many queues in each direction, both ends up. It
// must be called in a Namespace; both ends are in it.
func Veth(t testing.TB, queues int) (near, far End) {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.NumRxQueues, attrs.NumTxQueues = "near", queues, queues
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "far", PeerNumRxQueues: uint32(queues), PeerNumTxQueues: uint32(queues)}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatalf("veth pair: %v", err)
	}
	near, far = end(t, "near"), end(t, "far")
	near.Up(t)
	far.Up(t)
	carries(t, near, far)
	carries(t, far, near)
	return near, far
}

// carries waits until what one end sends arrives at the other: a device that
// has come up drops everything until the kernel's link watch gets to it.
func carries(t testing.TB, from, to End) {
	t.Helper()
	out, in := OpenTap(t, from), OpenTap(t, to)
	defer out.Close()
	defer in.Close()
	probe := make([]byte, 60)
	copy(probe[12:], []byte{0x88, 0xb6}) // experimental EtherType, IEEE 802
	// When the probe sent last arrives, none is under way that a test could meet.
	last := func(frame []byte) bool { return string(frame) == string(probe) }
	for i := range 1000 {
		binary.BigEndian.PutUint32(probe[14:], uint32(i))
		_, _ = unix.Write(out.fd, probe) // ENOBUFS: dropped
		set := []unix.PollFd{{Fd: int32(in.fd), Events: unix.POLLIN}}
		if n, _ := unix.Poll(set, 10); n > 0 && in.Pending(t, last) > 0 {
			return
		}
	}
	t.Fatalf("%s to %s: nothing gets through", from.Name, to.Name)
}

func end(t testing.TB, name string) End {
	t.Helper()
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return End{Name: name, Index: link.Attrs().Index, MAC: [6]byte(link.Attrs().HardwareAddr), link: link}
}

// Up brings the device up.
func (e End) Up(t testing.TB) {
	t.Helper()
	if err := netlink.LinkSetUp(e.link); err != nil {
		t.Fatalf("%s up: %v", e.Name, err)
	}
}

// Down takes the device down.
func (e End) Down(t testing.TB) {
	t.Helper()
	if err := netlink.LinkSetDown(e.link); err != nil {
		t.Fatalf("%s down: %v", e.Name, err)
	}
}

// Delete deletes the device, and its peer with it.
func (e End) Delete(t testing.TB) {
	t.Helper()
	if err := netlink.LinkDel(e.link); err != nil {
		t.Fatalf("delete %s: %v", e.Name, err)
	}
}

// Address gives the device an IPv4 address with its network.
func (e End) Address(t testing.TB, prefix netip.Prefix) {
	t.Helper()
	ip := &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), 32)}
	if err := netlink.AddrAdd(e.link, &netlink.Addr{IPNet: ip}); err != nil {
		t.Fatalf("%s: address %s: %v", e.Name, prefix, err)
	}
}

// Neighbour makes addr known at mac behind the device, without ARP.
func (e End) Neighbour(t testing.TB, addr netip.Addr, mac [6]byte) {
	t.Helper()
	err := netlink.NeighSet(&netlink.Neigh{
		LinkIndex: e.Index, Family: unix.AF_INET, State: netlink.NUD_PERMANENT,
		IP: addr.AsSlice(), HardwareAddr: mac[:],
	})
	if err != nil {
		t.Fatalf("%s: neighbour %s: %v", e.Name, addr, err)
	}
}

// Named returns a device of the namespace.
func Named(t testing.TB, name string) End {
	t.Helper()
	return end(t, name)
}

// Bridge makes a bridge of an end and of one of a further pair, whose other end
// it returns: what the bridge passes on comes out there.
func Bridge(t testing.TB, port End) (beyond End) {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "bridge"
	bridge := &netlink.Bridge{LinkAttrs: attrs}
	if err := netlink.LinkAdd(bridge); err != nil {
		t.Fatalf("bridge: %v", err)
	}
	attrs.Name = "port"
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "beyond"}); err != nil {
		t.Fatalf("veth pair: %v", err)
	}
	other := end(t, "port")
	beyond = end(t, "beyond")
	for _, e := range []End{port, other} {
		if err := netlink.LinkSetMaster(e.link, bridge); err != nil {
			t.Fatalf("%s into the bridge: %v", e.Name, err)
		}
	}
	other.Up(t)
	beyond.Up(t)
	end(t, "bridge").Up(t)
	carries(t, other, beyond)
	return beyond
}
