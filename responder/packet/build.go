package packet

import "encoding/binary"

// HeaderLen returns the length in bytes of the headers that Build writes for
// m: Ethernet, its VLAN tags, IPv4 and UDP; at most MaxHeader.
func HeaderLen(m *Meta) int {
	return ethLen + vlanLen*int(min(m.NumVLANs, maxVLAN)) + ipLen + udpLen
}

// Build writes the headers for m in front of a payload that already stands at
// frame[HeaderLen(m):], and returns the length of the frame. Frames shorter
// than Ethernet's minimum are padded with zeros as far as frame has room.
//
// It returns 0, and writes nothing, if m is not IPv4 on both sides or has more
// than two tags, or if frame is too short for that payload.
//
// TTL is 64 and DF is clear, so that a relayed reply may be fragmented. RFC
// 6864 §4.1 then wants an identification that differs between datagrams: it is
// the UDP checksum, which makes replies a function of their content alone.
func Build(frame []byte, m *Meta, payload int) (n int) {
	src, dst := m.Src.Addr().Unmap(), m.Dst.Addr().Unmap()
	if !src.Is4() || !dst.Is4() || m.NumVLANs > maxVLAN {
		return 0
	}
	head := HeaderLen(m)
	if payload < 0 || ipLen+udpLen+payload > 0xffff || head+payload > len(frame) {
		return 0
	}
	be := binary.BigEndian
	copy(frame[0:6], m.DstMAC[:])
	copy(frame[6:12], m.SrcMAC[:])
	at := 12
	for _, v := range m.VLANs[:m.NumVLANs] {
		be.PutUint16(frame[at:], v.TPID)
		be.PutUint16(frame[at+2:], v.TCI)
		at += vlanLen
	}
	be.PutUint16(frame[at:], etherIPv4)

	ip, udp := frame[head-udpLen-ipLen:head-udpLen], frame[head-udpLen:head+payload]
	src4, dst4 := src.As4(), dst.As4()
	copy(ip[12:16], src4[:])
	copy(ip[16:20], dst4[:])
	be.PutUint16(udp[0:], m.Src.Port())
	be.PutUint16(udp[2:], m.Dst.Port())
	be.PutUint16(udp[4:], uint16(len(udp)))
	be.PutUint16(udp[6:], 0)
	// Pseudo header (RFC 768): both addresses, protocol, UDP length.
	sum := checksum(sum16(protocolUDP+uint64(len(udp)), ip[12:20]), udp)
	if sum == 0 {
		sum = 0xffff // 0 on the wire would say that there is none
	}
	be.PutUint16(udp[6:], sum)

	ip[0], ip[1] = version4IHL5, 0
	be.PutUint16(ip[2:], uint16(ipLen+len(udp)))
	be.PutUint16(ip[4:], sum)
	be.PutUint16(ip[6:], 0)
	ip[8], ip[9] = replyTTL, protocolUDP
	be.PutUint16(ip[10:], 0)
	be.PutUint16(ip[10:], checksum(0, ip))

	n = head + payload
	if n < minFrame {
		padded := min(minFrame, len(frame))
		clear(frame[n:padded])
		n = padded
	}
	return n
}
