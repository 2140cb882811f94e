package packet

import (
	"encoding/binary"
	"net/netip"
)

// Parse reads the Ethernet, VLAN (at most two tags), IPv4 and UDP headers of
// frame into p, all but IfIndex and Token, and makes p.Payload the UDP payload:
// a slice of frame that ends where the datagram does. It returns Answered (0),
// or BadFrame for anything else: then p is not to be used.
//
// Fragments and IPv4 options are refused, as the XDP program passes them up.
// The IPv4 header checksum is verified (RFC 1122 §3.2.1.2). The UDP checksum
// is not: between local senders on veth, tap and virtio it is never completed.
func Parse(frame []byte, p *Packet) Reason {
	if len(frame) < ethLen+ipLen+udpLen {
		return BadFrame
	}
	copy(p.DstMAC[:], frame)
	copy(p.SrcMAC[:], frame[6:])
	etherType := binary.BigEndian.Uint16(frame[12:])
	rest := frame[ethLen:]

	p.VLANs, p.NumVLANs = [maxVLAN]VLAN{}, 0
	for etherType == tpidCustomer || etherType == tpidService {
		if p.NumVLANs == maxVLAN || len(rest) < vlanLen {
			return BadFrame
		}
		p.VLANs[p.NumVLANs] = VLAN{TPID: etherType, TCI: binary.BigEndian.Uint16(rest)}
		p.NumVLANs++
		etherType = binary.BigEndian.Uint16(rest[2:])
		rest = rest[vlanLen:]
	}
	if etherType != etherIPv4 {
		return BadFrame
	}
	return parseIPv4(rest, p)
}

// parseIPv4 reads the datagram at the start of b; Ethernet padding may follow it.
func parseIPv4(b []byte, p *Packet) Reason {
	if len(b) < ipLen+udpLen || b[0] != version4IHL5 || b[9] != protocolUDP {
		return BadFrame
	}
	total := int(binary.BigEndian.Uint16(b[2:]))
	if total < ipLen+udpLen || total > len(b) || binary.BigEndian.Uint16(b[6:])&fragmentBits != 0 {
		return BadFrame
	}
	if checksum(0, b[:ipLen]) != 0 {
		return BadFrame
	}
	udp := b[ipLen:total]
	// The IP payload may be longer than the UDP datagram, as for any host; never shorter.
	length := int(binary.BigEndian.Uint16(udp[4:]))
	if length < udpLen || length > len(udp) {
		return BadFrame
	}
	p.Src = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[12:16])), binary.BigEndian.Uint16(udp))
	p.Dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:20])), binary.BigEndian.Uint16(udp[2:]))
	p.Payload = udp[udpLen:length:length]
	return Answered
}
