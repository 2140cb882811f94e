package netdev

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ErrNotFound is wrapped by the error for an interface that does not exist.
var ErrNotFound = errors.New("no such interface")

// Facts is what is known about one interface at one moment.
type Facts struct {
	Index  int
	Name   string
	MAC    [6]byte
	MTU    int    // octets, without Ethernet header and VLAN tags
	Kind   string // rtnetlink link kind: veth, bond, bridge, vlan, …; "device" for a driver's own
	Driver string // as ethtool -i names it; empty where the driver does not say

	// Ethernet says that frames carry an Ethernet header (ARPHRD_ETHER).
	Ethernet bool
	Up       bool // administratively up
	Carrier  bool // operational: up, or a device that does not report it
	// RXQueues and TXQueues are the queues in use now (ethtool -l), 1 or more.
	RXQueues, TXQueues int

	Addrs []Addr // IPv4
	VLANs []VLAN // 802.1Q/ad devices on top of it, up to two tags deep, in this namespace

	Bridge      string   // the bridge that it is a port of
	BridgeMAC   [6]byte  // of that bridge device
	BridgeAddrs []Addr   // IPv4, of that bridge device: requests to them come in here
	Bond        string   // the bond or team that it is a member of
	BondMembers []string // of a bond or team
}

// Addr is one IPv4 address of an interface.
type Addr struct {
	IP        netip.Addr
	Prefix    netip.Prefix // its network, masked
	Broadcast netip.Addr   // directed broadcast; invalid where there is none (/31, /32)
}

// VLAN is a VLAN device on top of an interface.
type VLAN struct {
	Index int
	Name  string
	VIDs  []uint16 // one or two VLAN ids, outermost first
	MAC   [6]byte
	MTU   int
	Up    bool
	Addrs []Addr
}

// Read returns the facts of the interface named ifname.
func Read(ifname string) (*Facts, error) {
	l, err := netlink.LinkByName(ifname)
	if err != nil {
		return nil, notFound(ifname, err)
	}
	links, err := linkList()
	if err != nil {
		return nil, fmt.Errorf("interface %s: list links: %w", ifname, err)
	}
	return read(l, links)
}

func notFound(ifname string, err error) error {
	if errors.As(err, new(netlink.LinkNotFoundError)) || errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("interface %s: %w", ifname, ErrNotFound)
	}
	return fmt.Errorf("interface %s: %w", ifname, err)
}

func read(l netlink.Link, links []netlink.Link) (*Facts, error) {
	a := l.Attrs()
	f := &Facts{
		Index: a.Index, Name: a.Name, MAC: mac(a.HardwareAddr), MTU: a.MTU, Kind: l.Type(),
		Ethernet: a.EncapType == "ether",
		Up:       a.RawFlags&unix.IFF_UP != 0,
		Carrier:  a.OperState == netlink.OperUp || a.OperState == netlink.OperUnknown,
	}
	var err error
	if f.Addrs, err = addrs(l); err != nil {
		return nil, err
	}
	if f.VLANs, err = vlans(a.Index, links, nil); err != nil {
		return nil, err
	}
	for _, o := range links {
		oa := o.Attrs()
		switch {
		case oa.Index == a.MasterIndex && o.Type() == "bridge":
			f.Bridge, f.BridgeMAC = oa.Name, mac(oa.HardwareAddr)
			if f.BridgeAddrs, err = addrs(o); err != nil {
				return nil, err
			}
		case oa.Index == a.MasterIndex && isBond(o):
			f.Bond = oa.Name
		case oa.MasterIndex == a.Index && isBond(l):
			f.BondMembers = append(f.BondMembers, oa.Name)
		}
	}
	f.Driver = driver(a.Name)
	f.RXQueues, f.TXQueues = queues(a)
	return f, nil
}

func isBond(l netlink.Link) bool { return l.Type() == "bond" || l.Type() == "team" }

// vlans returns the VLAN devices on top of the device parent, and those on
// top of them: XDP and the program's address map know two tags.
func vlans(parent int, links []netlink.Link, outer []uint16) ([]VLAN, error) {
	var found []VLAN
	for _, l := range links {
		a := l.Attrs()
		v, ok := l.(*netlink.Vlan)
		// A parent index is one of the parent's namespace: with a link
		// namespace set it speaks of another device.
		if !ok || a.ParentIndex != parent || a.NetNsID >= 0 {
			continue
		}
		d := VLAN{
			Index: a.Index, Name: a.Name, MAC: mac(a.HardwareAddr), MTU: a.MTU,
			VIDs: append(slices.Clone(outer), uint16(v.VlanId)),
			Up:   a.RawFlags&unix.IFF_UP != 0,
		}
		var err error
		if d.Addrs, err = addrs(l); err != nil {
			return nil, err
		}
		found = append(found, d)
		if len(d.VIDs) < 2 {
			inner, err := vlans(a.Index, links, d.VIDs)
			if err != nil {
				return nil, err
			}
			found = append(found, inner...)
		}
	}
	return found, nil
}

func addrs(l netlink.Link) ([]Addr, error) {
	list, err := netlink.AddrList(l, netlink.FAMILY_V4)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("interface %s: list addresses: %w", l.Attrs().Name, err)
	}
	var out []Addr
	for _, a := range list {
		ip, ok := netip.AddrFromSlice(a.IP.To4())
		if !ok {
			continue
		}
		ones, _ := a.Mask.Size()
		p := netip.PrefixFrom(ip, ones).Masked()
		out = append(out, Addr{IP: ip, Prefix: p, Broadcast: broadcast(p, a.Broadcast)})
	}
	return out, nil
}

// broadcast returns the directed broadcast of a network: the configured one,
// else the highest address.
func broadcast(p netip.Prefix, configured net.IP) netip.Addr {
	if b, ok := netip.AddrFromSlice(configured.To4()); ok && !b.IsUnspecified() {
		return b
	}
	if p.Bits() > 30 {
		return netip.Addr{} // RFC 3021: a point-to-point link has none
	}
	b := p.Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b)
}

// linkList lists all links. A dump that changes below us is good enough: the
// change is a notification of its own.
func linkList() ([]netlink.Link, error) {
	links, err := netlink.LinkList()
	if errors.Is(err, netlink.ErrDumpInterrupted) {
		err = nil
	}
	return links, err
}

func mac(hw net.HardwareAddr) (m [6]byte) {
	if len(hw) == len(m) {
		copy(m[:], hw)
	}
	return m
}
