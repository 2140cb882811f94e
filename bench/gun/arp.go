package gun

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/xdpxe/xdpxe/bench/port"
)

// ARP over Ethernet (RFC 826).
const (
	etherARP   = 0x0806
	etherVLAN  = 0x8100
	arpRequest = 1
	arpReply   = 2
	arpLen     = 28
)

// arp is one packet.
type arp struct {
	op                 uint16
	senderMAC          [6]byte
	sender, target     netip.Addr
	targetMAC, etherTo [6]byte
	vlan               uint16
}

var ethernetIPv4 = [6]byte{0, 1, 8, 0, 6, 4} // hardware, protocol, and the lengths of their addresses

// parseARP reads a frame; ok is false if it is no ARP for IPv4.
func parseARP(frame []byte) (a arp, ok bool) {
	if len(frame) < 14 {
		return a, false
	}
	kind, rest := binary.BigEndian.Uint16(frame[12:]), frame[14:]
	if kind == etherVLAN && len(rest) >= 4 {
		a.vlan = binary.BigEndian.Uint16(rest) & 0x0fff
		kind, rest = binary.BigEndian.Uint16(rest[2:]), rest[4:]
	}
	if kind != etherARP || len(rest) < arpLen || [6]byte(rest) != ethernetIPv4 {
		return a, false
	}
	a.op = binary.BigEndian.Uint16(rest[6:])
	a.senderMAC, a.sender = [6]byte(rest[8:]), netip.AddrFrom4([4]byte(rest[14:]))
	a.targetMAC, a.target = [6]byte(rest[18:]), netip.AddrFrom4([4]byte(rest[24:]))
	return a, true
}

// append makes the frame, padded to Ethernet's least.
func (a *arp) append(b []byte) []byte {
	start := len(b)
	b = append(append(b, a.etherTo[:]...), a.senderMAC[:]...)
	if a.vlan != 0 {
		b = binary.BigEndian.AppendUint16(b, etherVLAN)
		b = binary.BigEndian.AppendUint16(b, a.vlan)
	}
	b = binary.BigEndian.AppendUint16(b, etherARP)
	b = append(b, ethernetIPv4[:]...)
	b = binary.BigEndian.AppendUint16(b, a.op)
	sender, target := a.sender.As4(), a.target.As4()
	b = append(append(b, a.senderMAC[:]...), sender[:]...)
	b = append(append(b, a.targetMAC[:]...), target[:]...)
	for len(b)-start < 60 {
		b = append(b, 0)
	}
	return b
}

// answer says what to answer to a frame that is an ARP request for one of the
// load's addresses; ok is false for all others.
func (l *Load) answer(frame []byte, mac [6]byte) (reply arp, ok bool) {
	a, ok := parseARP(frame)
	if !ok || a.op != arpRequest || !l.owns(a.target) {
		return arp{}, false
	}
	return arp{op: arpReply, senderMAC: mac, sender: a.target, target: a.sender, targetMAC: a.senderMAC, etherTo: a.senderMAC, vlan: l.VLAN}, true
}

const (
	resolveTime  = 3 * time.Second
	resolveEvery = 200 * time.Millisecond
	resolveWait  = 5 * time.Millisecond // on one port
)

// resolve finds the server's MAC by ARP, from the relay's or a client's
// address. The reply may come to any of the ports.
func resolve(ctx context.Context, l *Load, ports []port.Port, now func() time.Duration) (mac [6]byte, err error) {
	own := mac6(ports[0].MAC())
	from := l.Relay
	if !from.IsValid() {
		from = toAddr(toUint(l.Clients.Masked().Addr()) + 1)
		if from == l.Server {
			from = from.Next()
		}
	}
	ask := arp{op: arpRequest, senderMAC: own, sender: from, target: l.Server, etherTo: [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, vlan: l.VLAN}
	var out, in [1]port.Frame
	next := time.Duration(0)
	for begin := now(); now()-begin < resolveTime && ctx.Err() == nil; {
		if since := now() - begin; since >= next && ports[0].Alloc(out[:]) == 1 {
			next = since + resolveEvery
			out[0].Data = ask.append(out[0].Data)
			if err := send(ports[0], out[:]); err != nil {
				return mac, err
			}
		}
		for _, p := range ports {
			n, err := p.Recv(in[:], resolveWait)
			if err != nil {
				return mac, err
			}
			if n == 0 {
				continue
			}
			a, ok := parseARP(in[0].Data)
			p.Release(in[:])
			if ok && a.op == arpReply && a.sender == l.Server {
				return a.senderMAC, nil
			}
		}
	}
	return mac, errors.Join(ctx.Err(), fmt.Errorf("%s does not answer ARP within %v (asked from %s)", l.Server, resolveTime, from))
}

// send sends a few frames at once; what does not fit is dropped.
func send(p port.Port, f []port.Frame) error {
	n, err := p.Send(f)
	p.Release(f[n:])
	return errors.Join(err, p.Flush())
}
