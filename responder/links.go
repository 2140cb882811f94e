package responder

import (
	"net/netip"
	"reflect"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// AnyVLAN as both ids of a LinkKey stands for every tagged network of a port
// that has no VLAN device: it can be answered only where the configuration
// gives the boot server's address.
const AnyVLAN = 0xffff

// LinkKey names a network as a frame shows it: the port that it came in on and
// the VLAN ids in front of the IP header, outermost first; priority tags
// (id 0) do not count, absent ones are 0.
//
// To is an address of ours that requests may be sent to, where it is not the
// one that the network is answered with otherwise: replies come from the
// address that was asked (RFC 2131 §4.1), or the client would not know them.
type LinkKey struct {
	Port int
	VIDs [2]uint16
	To   netip.Addr // invalid: any other address, and the broadcast
}

// Links says for each network what the answers there carry. It is immutable:
// a change of addresses makes a new one (Server.SetLinks).
type Links map[LinkKey]*dhcp.Link

// extends reports whether l answers on the ports of was as that did.
func (l Links) extends(was Links) bool {
	ports := make(map[int]bool)
	for key, link := range was {
		ports[key.Port] = true
		if !reflect.DeepEqual(l[key], link) {
			return false
		}
	}
	for key := range l {
		if _, had := was[key]; !had && ports[key.Port] {
			return false
		}
	}
	return true
}

// find returns the link that a datagram belongs to, nil if no address of ours is there.
func (l Links) find(m *packet.Meta) *dhcp.Link {
	key := LinkKey{Port: m.IfIndex}
	n := 0
	for _, tag := range m.VLANs[:m.NumVLANs] {
		// Id 0 carries a priority only (IEEE 802.1Q §9.6).
		if vid := tag.VID(); vid != 0 {
			key.VIDs[n] = vid
			n++
		}
	}
	if link := l.to(key, m.Dst.Addr()); link != nil || n == 0 {
		return link
	}
	key.VIDs = [2]uint16{AnyVLAN, AnyVLAN}
	return l[key]
}

// to returns the network's link for requests to addr.
func (l Links) to(key LinkKey, addr netip.Addr) *dhcp.Link {
	any := l[key]
	if any == nil || addr == any.Addr {
		return any
	}
	key.To = addr
	if link := l[key]; link != nil {
		return link
	}
	return any
}
