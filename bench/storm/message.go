package storm

import (
	"net/netip"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// requests are the messages of a profile, laid out.
type requests struct{ discover, request, boot *dhcpc.Template }

func newRequests(s dhcpc.Spec) (r requests, err error) {
	s.Type = dhcpc.Discover
	if r.discover, err = dhcpc.NewTemplate(s); err != nil {
		return r, err
	}
	s.Type = dhcpc.Request
	if r.request, err = dhcpc.NewTemplate(s); err != nil {
		return r, err
	}
	s.Broadcast = false // it has an address by then
	r.boot, err = dhcpc.NewTemplate(s)
	return r, err
}

var (
	anyClient = netip.AddrPortFrom(netip.IPv4Unspecified(), packet.PortDHCPClient)
	broadcast = netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), packet.PortDHCPServer)
)

const secsTries = "tries"

// secs is what a message says of the time.
func (m *Machine) secs(t *Tries) uint16 {
	if m.Profile.Secs != secsTries {
		return t.secs[m.try]
	}
	// iPXE's dhcp_tx: the tries so far, and what was seen.
	secs := uint16(m.try) << 2
	for _, o := range m.offers {
		if o.leases() {
			secs |= 2
		}
		if o.ipxe != nil {
			secs |= 1
		}
	}
	return secs
}

func (m *Machine) sendDiscover(s *Step) {
	if m.try == 0 {
		m.newXID() // one for all tries
	}
	m.due = s.Now + m.Profile.Discover.Waits[m.try]
	m.broadcast(s, m.Profile.requests.discover, &dhcpc.Vars{Secs: m.secs(&m.Profile.Discover)})
}

// sendFirstRequest asks for the address of the offer that was chosen.
func (m *Machine) sendFirstRequest(s *Step) {
	m.enter(s, requesting)
	m.sendRequest(s)
}

func (m *Machine) sendRequest(s *Step) {
	m.due = s.Now + m.Profile.Request.Waits[m.try]
	m.broadcast(s, m.Profile.requests.request, &dhcpc.Vars{Secs: m.secs(&m.Profile.Request), ServerID: m.lease.ServerID, RequestedIP: m.lease.YourIP})
}

func (m *Machine) broadcast(s *Step, t *dhcpc.Template, v *dhcpc.Vars) {
	v.ID, v.XID = m.ID, m.xid
	s.send(anyClient, broadcast, func(b []byte) []byte { return t.Append(b, v) })
}

// sendBootRequest asks the first boot server of the plan on 4011.
func (m *Machine) sendBootRequest(s *Step) {
	t, to := &m.Profile.BootServer, m.plan[0]
	m.due = s.Now + t.Waits[m.try]
	v := dhcpc.Vars{ID: m.ID, XID: m.xid, Secs: uint16(m.try), CIAddr: m.Addr}
	if to.ipxe != nil {
		v.ServerID = to.ask // iPXE's dhcp_proxy_tx; edk2 has none
	}
	s.send(netip.AddrPortFrom(m.Addr, t.Port), netip.AddrPortFrom(to.ask, packet.PortBINL),
		func(b []byte) []byte { return m.Profile.requests.boot.Append(b, &v) })
}
