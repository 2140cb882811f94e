package dhcp

import (
	"net/netip"

	"github.com/xdpxe/xdpxe/responder/packet"
)

var (
	broadcastMAC  = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	broadcastAddr = netip.AddrFrom4([4]byte{255, 255, 255, 255})
)

// address fills in where the reply goes and where it comes from (RFC 2131
// §4.1, PXE 2.1 §2.2.2): always from the address in option 54, since clients
// hold on to it, and from the port that was asked, which iPXE checks.
//
// At layer 2 the answer goes back to the station that the request came from:
// for relayed requests and on 4011 that may be a router.
func (w *Worker) address(link *Link, in *packet.Packet, out *packet.Meta, res *Result) {
	*out = packet.Meta{
		IfIndex: in.IfIndex, VLANs: in.VLANs, NumVLANs: in.NumVLANs,
		SrcMAC: link.MAC, DstMAC: in.SrcMAC,
		Src: netip.AddrPortFrom(link.Addr, packet.PortDHCPServer),
	}
	switch {
	case res.Stage == StageBootServer:
		out.Src = netip.AddrPortFrom(link.Addr, packet.PortBINL)
		out.Dst = in.Src
	case res.Relay.IsValid():
		port := uint16(packet.PortDHCPServer)
		if res.Notes&NoteRelayPort != 0 && in.Src.Port() != 0 {
			port = in.Src.Port()
		}
		out.Dst = netip.AddrPortFrom(res.Relay, port)
	default:
		// yiaddr is 0: there is no address to unicast to, whatever the flag says.
		out.Dst = netip.AddrPortFrom(broadcastAddr, packet.PortDHCPClient)
		out.DstMAC = broadcastMAC
	}
}

// answerable reports whether a reply to a is a reply to one machine. XDP hands
// over datagrams that no routing code has looked at.
func (l *Link) answerable(a netip.Addr) bool {
	if !a.Is4() || a == broadcastAddr || a.IsMulticast() || a.As4()[0] == 0 {
		return false
	}
	if a.IsLoopback() && !l.Addr.IsLoopback() {
		return false
	}
	for _, p := range l.Prefixes {
		if p.Addr().Is4() && p.Contains(a) && p.Bits() < 31 && isLast(a, p.Bits()) {
			return false // the network's broadcast address
		}
	}
	return true
}

// relay reports whether a can be a relay's address. Our own cannot: the
// reply would come back to us.
func (l *Link) relay(a netip.Addr) bool {
	if !l.answerable(a) || a.IsLoopback() || a == l.Addr {
		return false
	}
	for _, p := range l.Prefixes {
		// Of a masked /31 the network address is the other end's.
		if p.Addr() == a && p.Bits() != 31 {
			return false
		}
	}
	return true
}

// isLast reports whether all bits of a behind the prefix are set.
func isLast(a netip.Addr, bits int) bool {
	b := a.As4()
	v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	host := ^uint32(0) >> bits
	return v&host == host
}
