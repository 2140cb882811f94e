package gun

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// What is asked for.
type What uint8

// What there is.
const (
	Discover   What = iota // DISCOVER to port 67
	BootServer             // REQUEST to port 4011
	Both                   // one after the other, each machine's
)

var whatNames = [...]string{"discover", "bootserver", "both"}

func (w What) String() string { return whatNames[w] }

// ParseWhat reads a name.
func ParseWhat(name string) (What, error) {
	for i, n := range whatNames {
		if n == name {
			return What(i), nil
		}
	}
	return 0, fmt.Errorf("what %q: want discover, bootserver or both", name)
}

// Share is an architecture's part of the machines.
type Share struct {
	Arch   uint16 // option 93
	Weight int
}

// Load is who asks whom for what.
type Load struct {
	What     What
	First    dhcpc.Identity // the first machine,
	Machines int            // and how many there are
	Archs    []Share        // empty: x64 UEFI
	// Lease expects OFFERs of a DHCP server to DISCOVERs; else a boot server's.
	Lease bool

	// Server is whose replies count; others' are counted apart. Where it is not
	// valid everybody's count, but relayed and 4011 requests need it.
	Server    netip.Addr
	ServerMAC [6]byte // zero: asked for by ARP

	// Relay is the address (giaddr) of the relay agent that the gun plays for
	// DISCOVERs, RelayInfo the option 82 that it adds; not valid: none.
	Relay     netip.Addr
	RelayInfo []byte

	// Clients is the network that clients have their addresses from when they
	// ask on 4011. The gun answers ARP for all of them.
	Clients netip.Prefix

	VLAN uint16 // 0: untagged
	// HiddenTags says that the port does not see the tags of replies, so that a missing one is not wrong.
	HiddenTags bool

	Late time.Duration // a reply after that is late; 0: DefaultLate
}

// DefaultLate is within when a reply counts, as Kea's perfdhcp has it.
const DefaultLate = time.Second

// archX64 is x64 UEFI in option 93 (IANA "Processor Architecture Types").
const archX64 = 7

// Check finds what is missing or out of range.
func (l Load) Check() error { return l.complete() }

// complete fills in defaults and checks.
func (l *Load) complete() error {
	if l.Late == 0 {
		l.Late = DefaultLate
	}
	if len(l.Archs) == 0 {
		l.Archs = []Share{{Arch: archX64, Weight: 1}}
	}
	if l.Machines == 0 {
		l.Machines = 1 << 20
	}
	for _, s := range l.Archs {
		if s.Weight < 1 || s.Weight > 1000 {
			return fmt.Errorf("architecture %d: weight %d: want 1 to 1000", s.Arch, s.Weight)
		}
		if l.What != Discover && dhcpc.HTTP(s.Arch) {
			return fmt.Errorf("architecture %d boots by HTTP and asks nothing on port 4011", s.Arch)
		}
	}
	switch {
	case l.Late < 0:
		return fmt.Errorf("late after %v: want more than 0", l.Late)
	case l.Machines < 1 || uint64(l.Machines) > 1<<32:
		return fmt.Errorf("%d machines: want 1 to 2^32", l.Machines)
	case l.VLAN > 4094:
		return fmt.Errorf("VLAN %d: want at most 4094", l.VLAN)
	case l.Server.IsValid() && !l.Server.Is4(), l.Relay.IsValid() && !l.Relay.Is4(), l.Clients.IsValid() && !l.Clients.Addr().Is4():
		return errors.New("addresses: want IPv4")
	case !l.Server.IsValid() && (l.What != Discover || l.Relay.IsValid()):
		return errors.New("requests to port 4011 and of a relay go to one server: its address is needed")
	case l.What != Discover && (!l.Clients.IsValid() || l.Clients.Bits() > 29):
		return errors.New("requests to port 4011 come from clients with an address: a network for them is needed, /29 or larger")
	}
	return nil
}

// sort is one sort of request: of one architecture, to one port.
type sort struct {
	kind     dhcpc.Kind
	template *dhcpc.Template
	meta     packet.Meta // addressing; of boot server requests all but the source address
}

// plan makes requests of serial numbers.
type plan struct {
	load     *Load
	discover []*sort // by weight: one for each part
	boot     []*sort
	clients  uint32 // addresses in the clients' network that may be used
	network  uint32
}

func newPlan(l *Load, mac, serverMAC [6]byte) (*plan, error) {
	p := &plan{load: l}
	if l.Clients.IsValid() {
		p.network = toUint(l.Clients.Masked().Addr())
		p.clients = 1<<(32-l.Clients.Bits()) - 3 // without network, broadcast and one more for the server
	}
	base := packet.Meta{SrcMAC: mac, DstMAC: [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		Src: netip.AddrPortFrom(netip.IPv4Unspecified(), packet.PortDHCPClient),
		Dst: netip.AddrPortFrom(toAddr(0xffffffff), packet.PortDHCPServer)}
	if l.VLAN != 0 {
		base.VLANs[0], base.NumVLANs = packet.VLAN{TPID: 0x8100, TCI: l.VLAN}, 1
	}
	discover, boot := base, base
	if l.Relay.IsValid() {
		discover.DstMAC = serverMAC
		discover.Src = netip.AddrPortFrom(l.Relay, packet.PortDHCPServer)
		discover.Dst = netip.AddrPortFrom(l.Server, packet.PortDHCPServer)
	}
	boot.DstMAC = serverMAC
	boot.Dst = netip.AddrPortFrom(l.Server, packet.PortBINL)
	kind := dhcpc.ProxyOffer
	if l.Lease {
		kind = dhcpc.LeaseOffer
	}
	for _, share := range l.Archs {
		d, err := dhcpc.NewTemplate(dhcpc.FirmwareDiscover(share.Arch))
		if err != nil {
			return nil, err
		}
		b, err := dhcpc.NewTemplate(dhcpc.FirmwareBootServer(share.Arch))
		if err != nil {
			return nil, err
		}
		for range share.Weight {
			p.discover = append(p.discover, &sort{kind: kind, template: d, meta: discover})
			p.boot = append(p.boot, &sort{kind: dhcpc.BootServerACK, template: b, meta: boot})
		}
	}
	return p, nil
}

// request is one request: what it is made from and what its reply is held against.
type request struct {
	sort *sort
	vars dhcpc.Vars
	meta packet.Meta
}

// make fills in the request of a serial number.
func (p *plan) make(r *request, serial, xid uint32) {
	l := p.load
	boot := l.What == BootServer
	machine := serial
	if l.What == Both {
		boot, machine = serial&1 == 1, serial>>1
	}
	machine = uint32(uint64(machine) % uint64(l.Machines))
	r.vars = dhcpc.Vars{ID: l.First + dhcpc.Identity(machine), XID: xid}
	if boot {
		r.sort = p.boot[machine%uint32(len(p.boot))]
		r.meta = r.sort.meta
		r.vars.CIAddr = p.client(machine)
		r.meta.Src = netip.AddrPortFrom(r.vars.CIAddr, packet.PortBINL) // edk2 asks from its port 4011
		return
	}
	r.sort = p.discover[machine%uint32(len(p.discover))]
	r.meta = r.sort.meta
	if l.Relay.IsValid() {
		r.vars.GIAddr, r.vars.RelayInfo = l.Relay, l.RelayInfo
	}
}

// client is the address of a machine: any of the network but the server's and the relay's.
func (p *plan) client(machine uint32) netip.Addr {
	a := toAddr(p.network + 1 + machine%p.clients)
	if a == p.load.Server || a == p.load.Relay {
		a = toAddr(p.network + 1 + p.clients) // kept free for that
	}
	return a
}

// owns says whether the gun answers ARP for an address.
func (l *Load) owns(a netip.Addr) bool {
	return a != l.Server && (l.Relay.IsValid() && a == l.Relay || l.What != Discover && l.Clients.IsValid() && l.Clients.Contains(a))
}

func toUint(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func toAddr(v uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}
