package gun

import (
	"net/netip"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/responder/packet"
)

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

func toUint(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func toAddr(v uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}
