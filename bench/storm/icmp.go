package storm

import (
	"encoding/binary"
	"net/netip"
)

const (
	ipLen        = 20
	protocolICMP = 1
	protocolUDP  = 17

	icmpUnreachable  = 3 // RFC 792; its codes say what is
	icmpFragNeeded   = 4 // a code that ends nothing
	icmpHeaderLen    = 8
	quotedUDPPortLen = 4 // of the datagram that the error is about, both ports
)

// parseUnreachable reads an ICMP destination unreachable (RFC 792) out of an
// untagged frame: where the datagram that it is about came from. ok is false
// for all else.
func parseUnreachable(frame []byte) (from netip.AddrPort, ok bool) {
	if len(frame) < etherLen || binary.BigEndian.Uint16(frame[12:]) != etherIPv4 {
		return from, false
	}
	icmp, _, ok := ipv4(frame[etherLen:], protocolICMP)
	if !ok || len(icmp) < icmpHeaderLen || icmp[0] != icmpUnreachable || icmp[1] == icmpFragNeeded {
		return from, false
	}
	udp, src, ok := ipv4(icmp[icmpHeaderLen:], protocolUDP)
	if !ok || len(udp) < quotedUDPPortLen {
		return from, false
	}
	return netip.AddrPortFrom(src, binary.BigEndian.Uint16(udp)), true
}

// ipv4 returns what follows the header of a packet of a protocol, and its
// source. The packet may be cut short, as ICMP quotes them; fragments but the
// first are refused.
func ipv4(p []byte, protocol byte) (rest []byte, src netip.Addr, ok bool) {
	if len(p) < ipLen || p[0]>>4 != 4 || p[9] != protocol || binary.BigEndian.Uint16(p[6:])&0x1fff != 0 {
		return nil, src, false
	}
	header := int(p[0]&15) * 4
	if header < ipLen || header > len(p) {
		return nil, src, false
	}
	total := int(binary.BigEndian.Uint16(p[2:]))
	if total < header {
		return nil, src, false
	}
	return p[header:min(total, len(p))], netip.AddrFrom4([4]byte(p[12:])), true
}
