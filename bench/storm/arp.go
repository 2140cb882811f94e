package storm

import (
	"encoding/binary"
	"net/netip"
)

const (
	etherLen  = 14
	etherARP  = 0x0806
	etherIPv4 = 0x0800
	arpLen    = 28
	minFrame  = 60 // IEEE 802.3 §4A.4.2, without the check sequence

	arpRequest = 1
	arpReply   = 2
)

var etherBroadcast = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// arpMessage is an ARP message for IPv4 over Ethernet (RFC 826).
type arpMessage struct {
	op                  uint16
	senderMAC           [6]byte
	senderIP, targetIP  netip.Addr
	targetMAC, frameDst [6]byte // frameDst: of the frame that is built
}

// parseARP reads an untagged frame; ok is false for all that is not an ARP
// request or reply for IPv4 over Ethernet.
func parseARP(frame []byte) (a arpMessage, ok bool) {
	if len(frame) < etherLen+arpLen || binary.BigEndian.Uint16(frame[12:]) != etherARP {
		return a, false
	}
	p := frame[etherLen:]
	if [6]byte(p) != [6]byte{0, 1, 8, 0, 6, 4} {
		return a, false
	}
	a.op = binary.BigEndian.Uint16(p[6:])
	a.senderMAC, a.senderIP = [6]byte(p[8:]), netip.AddrFrom4([4]byte(p[14:]))
	a.targetMAC, a.targetIP = [6]byte(p[18:]), netip.AddrFrom4([4]byte(p[24:]))
	return a, a.op == arpRequest || a.op == arpReply
}

// append appends the frame of a message to dst.
func (a *arpMessage) append(dst []byte) []byte {
	start := len(dst)
	dst = append(append(dst, a.frameDst[:]...), a.senderMAC[:]...)
	dst = append(dst, etherARP>>8, etherARP&0xff, 0, 1, 8, 0, 6, 4, byte(a.op>>8), byte(a.op))
	sender, target := a.senderIP.As4(), a.targetIP.As4()
	dst = append(append(dst, a.senderMAC[:]...), sender[:]...)
	dst = append(append(dst, a.targetMAC[:]...), target[:]...)
	for len(dst)-start < minFrame {
		dst = append(dst, 0)
	}
	return dst
}
