package publish

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/xdpxe/xdpxe/responder/conn"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// tries is how many other requests each template is tried with.
const tries = 4

// holds reports whether t answers its own request, and others that fit it, as
// tier 1 does. It is there to find bugs before a machine does.
func (c *Compiler) holds(now time.Time, t *Template, req *Request) bool {
	in := req.Packet
	for i := range tries + 1 {
		if i > 0 {
			in = c.another(t, &req.Packet)
		}
		want, res := c.handle(now, req, &in)
		got := &packet.Packet{Payload: make([]byte, 0, conn.MaxPayload)}
		if !t.Answer(&in, got) || OutcomeOf(res.Stage, res.Reason) != t.Outcome || res.Decision != req.Result.Decision || res.Notes != 0 {
			return false
		}
		if res.Reason == packet.Answered && !same(want, got) {
			return false
		}
	}
	return true
}

// another is a request that differs in all that a template leaves open.
func (c *Compiler) another(t *Template, in *packet.Packet) packet.Packet {
	other := *in
	other.Payload = append([]byte(nil), in.Payload...)
	msg := other.Payload
	for i := range msg {
		if t.Mask[i] == 0 {
			msg[i] = byte(c.rng.Uint32())
		}
	}
	binary.BigEndian.PutUint32(other.SrcMAC[2:], c.rng.Uint32())
	other.SrcMAC[0] &^= 1
	if t.Exact {
		copy(msg[offCHAddr:offSName], t.CHAddr[:])
		if t.UUIDAt != 0 {
			copy(msg[t.UUIDAt:], t.UUID[:])
		}
	}
	if dhcp.Stage(int(t.Outcome)/reasons) != dhcp.StageBootServer {
		other.Src = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(c.rng.Uint32())}), uint16(c.rng.Uint32()))
		return other
	}
	source := in.Src.Addr()
	if t.Exact {
		copy(msg[offCIAddr:offYIAddr], t.CIAddr[:])
	} else {
		source = c.host(t, source)
		ciaddr := [4]byte{}
		if c.rng.IntN(2) == 0 {
			ciaddr = source.As4()
		}
		copy(msg[offCIAddr:offYIAddr], ciaddr[:])
	}
	other.Src = netip.AddrPortFrom(source, uint16(1+c.rng.IntN(65535)))
	return other
}

// host returns an address that t holds for, another one than the usual if it
// finds one at once.
func (c *Compiler) host(t *Template, usual netip.Addr) netip.Addr {
	network := t.Networks[c.rng.IntN(len(t.Networks))]
	first := network.Addr().As4()
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(first[:])+c.rng.Uint32N(1<<(32-network.Bits())))
	if host := netip.AddrFrom4(a); a != t.Own && client(t.Networks, host) {
		return host
	}
	return usual
}
