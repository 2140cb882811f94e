// Package packet holds one UDP datagram in a borrowed buffer, together with
// the addressing that a boot server needs to answer it, and parses and builds
// its Ethernet, VLAN, IPv4 and UDP headers in place.
//
// Nothing here allocates, does I/O or keeps a reference to a buffer.
package packet

import "net/netip"

// Ports of the protocols that xdpxe answers (PXE 2.1 §2.2.1, RFC 2131 §4.1).
const (
	PortDHCPServer = 67
	PortDHCPClient = 68
	PortBINL       = 4011 // ProxyDHCP boot server
)

// VLAN is one 802.1Q/802.1ad tag as it stands in the frame.
type VLAN struct {
	TPID uint16 // 0x8100 or 0x88a8
	TCI  uint16 // priority, DEI and the 12-bit VLAN id
}

// VID returns the 12-bit VLAN id. 0 is a priority tag: the port itself.
func (v VLAN) VID() uint16 { return v.TCI & 0x0fff }

// Meta is the addressing of one datagram, in either direction.
type Meta struct {
	IfIndex  int     // device the frame came in on or leaves by; with VLANs set this is the port below the VLAN device
	SrcMAC   [6]byte // zero on transports that do not see layer 2
	DstMAC   [6]byte // zero on transports that do not see layer 2
	VLANs    [2]VLAN // outermost first; only VLANs[:NumVLANs] count
	NumVLANs uint8
	Src, Dst netip.AddrPort // IPv4, never IPv4-mapped IPv6
}

// Packet is one datagram. Payload is borrowed from the transport that made
// the Packet: its capacity ends where the transport's frame ends.
type Packet struct {
	Meta
	Payload []byte
	Token   uint64 // the transport's own; others leave it alone
}
