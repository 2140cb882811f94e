package bpf

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// Apply is what the program does with a frame by this template, said in plain
// Go: for tests that hold the program, and what is published, against it. The
// frame is a whole Ethernet frame that the program takes for a request for us
// to port 67 or 4011. ok says that the template decides on it; reply is nil
// for silence. It does not know the switches in Settings.
func (t *Template) Apply(frame []byte) (reply []byte, ok bool) {
	be := binary.BigEndian
	at := 14
	var vids []uint16
	for be.Uint16(frame[at-2:]) != 0x0800 {
		if vid := be.Uint16(frame[at:]) & 0xfff; vid != 0 {
			vids = append(vids, vid)
		}
		at += 4
	}
	ip, udp := frame[at:at+ipLen], frame[at+ipLen:]
	message := udp[udpLen:be.Uint16(udp[4:])]
	src, srcPort := [4]byte(ip[12:]), be.Uint16(udp)
	switch {
	case frame[6]&1 != 0, // a group address
		be.Uint16(udp[2:]) != t.Port,
		[2]uint16(append(vids, 0, 0)) != t.VIDs,
		[4]byte(ip[16:]) != t.Dst,
		!t.fits(message),
		!t.isFor(message, src, srcPort):
		return nil, false
	case t.Reply == nil:
		return nil, true
	}

	out := slices.Concat(frame[6:12], t.SrcMAC[:], frame[12:at], make([]byte, ipUDPLen), t.Reply)
	if t.Broadcast {
		copy(out, bytes.Repeat([]byte{0xff}, 6))
	}
	t.fill(out[at:], message, src, srcPort)
	return out, true
}

func (t *Template) fits(message []byte) bool {
	if len(message) != len(t.Request) {
		return false
	}
	for i, m := range t.Mask {
		if (message[i]^t.Request[i])&m != 0 {
			return false
		}
	}
	return true
}

// isFor reports whether the template is for this client.
func (t *Template) isFor(message []byte, src [4]byte, srcPort uint16) bool {
	ciaddr := [4]byte(message[offCIAddr:])
	if t.Port == portBINL && srcPort == 0 {
		return false
	}
	if t.Exact {
		var uuid [uuidLen]byte
		if t.UUIDAt != 0 {
			copy(uuid[:], message[t.UUIDAt:])
		}
		return [chaddrLen]byte(message[offCHAddr:]) == t.CHAddr && uuid == t.UUID &&
			(t.Port == portDHCP || src == t.Source && ciaddr == t.CIAddr)
	}
	if t.Port == portDHCP {
		return true
	}
	if src == t.Own || ciaddr != [4]byte{} && ciaddr != src {
		return false
	}
	for _, p := range t.Networks {
		n := network(p)
		a, mask := binary.BigEndian.Uint32(src[:]), binary.BigEndian.Uint32(n.Mask[:])
		if a&mask == binary.BigEndian.Uint32(n.Addr[:]) {
			return a&^mask != 0 && a|mask != 0xffffffff
		}
	}
	return false
}

// fill makes a reply out of zeros and the template's message.
func (t *Template) fill(packet, request []byte, src [4]byte, srcPort uint16) {
	be := binary.BigEndian
	ip, udp, message := packet[:ipLen], packet[ipLen:], packet[ipUDPLen:]
	dst, port := t.DstIP, t.DstPort
	if t.Port == portBINL {
		dst, port = src, srcPort
		copy(message[offCIAddr:offCIAddr+4], request[offCIAddr:])
	}
	copy(message[offXID:offXID+4], request[offXID:])
	copy(message[offCHAddr:offCHAddr+chaddrLen], request[offCHAddr:])
	for _, e := range t.Echoes {
		copy(message[e.To:e.To+e.Len], request[e.From:])
	}
	putHeaders(packet, t, dst, port)
	sum := ^foldSum(nativeSum(pseudoSum(ip[12:], len(udp)), udp))
	if sum == 0 {
		sum = 0xffff // 0 would say that there is none
	}
	binary.NativeEndian.PutUint16(udp[6:], sum)
	be.PutUint16(ip[4:], be.Uint16(udp[6:]))
	binary.NativeEndian.PutUint16(ip[10:], ^foldSum(nativeSum(0, ip)))
}
