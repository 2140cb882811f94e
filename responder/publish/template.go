package publish

import (
	"bytes"
	"net/netip"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// MaxMessage is the longest DHCP message, in either direction, that a template is made of.
const MaxMessage = 590

// Template says which requests get which answer.
type Template struct {
	Generation uint64
	Tag        uint32 // names Facts in what the kernel tells
	Outcome    uint16 // OutcomeOf what is counted
	Port       uint16
	VIDs       [2]uint16 // outermost first, priority tags left out; absent ones are 0
	Dst        [4]byte
	// Request is a DHCP message, and Mask is 0xff where another one must have
	// the same byte. They are of the same length.
	Request, Mask []byte
	UUIDAt        int // where the 16 bytes of the UUID stand in Request; 0: nowhere

	// Exact restricts the template to one identity. UUID is 0 without UUIDAt,
	// Source and CIAddr are 0 on port 67.
	Exact          bool
	CHAddr, UUID   [16]byte
	Source, CIAddr [4]byte
	// Networks, on port 4011 and unless Exact, restrict it to sources that are
	// neither the first nor last address of the first of them that they are in, nor
	// Own, and whose ciaddr is 0 or the source.
	Networks []netip.Prefix
	Own      [4]byte

	Reply            []byte // nil: silence. The DHCP message, with zeros where it is patched
	SrcMAC           [6]byte
	SrcIP, DstIP     [4]byte
	SrcPort, DstPort uint16 // DstPort 0: back to the source's address and port
	Broadcast        bool   // to all stations, else back to the one that the frame came from
	Echoes           []Echo // besides xid, chaddr and, on port 4011, ciaddr
}

// Echo is a piece of the request's message that the reply repeats.
type Echo struct{ From, To, Len uint16 }

// The fields of the BOOTP header that a template leaves open (RFC 2131 §2).
const (
	offXID    = 4
	offSecs   = 8
	offFlags  = 10
	offCIAddr = 12
	offYIAddr = 16
	offCHAddr = 28
	offSName  = 44
)

// Answer is what the kernel does: it says whether in fits t, and if there is a
// reply, makes it in out, whose Payload comes empty. It is what a template means.
func (t *Template) Answer(in, out *packet.Packet) (fits bool) {
	if !t.fits(in) {
		return false
	}
	if t.Reply == nil {
		return true
	}
	msg := in.Payload
	reply := append(out.Payload[:0], t.Reply...)
	copy(reply[offXID:offSecs], msg[offXID:])
	copy(reply[offCHAddr:offSName], msg[offCHAddr:])
	if t.Port == packet.PortBINL {
		copy(reply[offCIAddr:offYIAddr], msg[offCIAddr:])
	}
	for _, e := range t.Echoes {
		copy(reply[e.To:e.To+e.Len], msg[e.From:])
	}
	out.Payload = reply
	out.Meta = packet.Meta{
		IfIndex: in.IfIndex, VLANs: in.VLANs, NumVLANs: in.NumVLANs, SrcMAC: t.SrcMAC, DstMAC: in.SrcMAC,
		Src: netip.AddrPortFrom(netip.AddrFrom4(t.SrcIP), t.SrcPort),
		Dst: netip.AddrPortFrom(netip.AddrFrom4(t.DstIP), t.DstPort),
	}
	if t.DstPort == 0 {
		out.Dst = in.Src
	}
	if t.Broadcast {
		out.DstMAC = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}
	return true
}

func (t *Template) fits(in *packet.Packet) bool {
	if in.SrcMAC[0]&1 != 0 || in.Dst.Port() != t.Port || in.Dst.Addr().As4() != t.Dst || vids(&in.Meta) != t.VIDs || len(in.Payload) != len(t.Request) {
		return false
	}
	for i, b := range in.Payload {
		if (b^t.Request[i])&t.Mask[i] != 0 {
			return false
		}
	}
	return t.from(in)
}

// from tries identity and source.
func (t *Template) from(in *packet.Packet) bool {
	msg, source, ciaddr := in.Payload, in.Src.Addr().As4(), [4]byte(in.Payload[offCIAddr:])
	on4011 := t.Port == packet.PortBINL
	if on4011 && in.Src.Port() == 0 {
		return false
	}
	if t.Exact {
		return [16]byte(msg[offCHAddr:]) == t.CHAddr && t.uuid(msg) == t.UUID && (!on4011 || source == t.Source && ciaddr == t.CIAddr)
	}
	if !on4011 {
		return true
	}
	return client(t.Networks, in.Src.Addr()) && source != t.Own && (ciaddr == [4]byte{} || ciaddr == source)
}

// uuid returns the UUID of a message that has t's layout.
func (t *Template) uuid(msg []byte) (uuid [16]byte) {
	if t.UUIDAt != 0 {
		copy(uuid[:], msg[t.UUIDAt:])
	}
	return uuid
}

// same reports whether two datagrams are alike in all that goes on the wire.
func same(a, b *packet.Packet) bool { return a.Meta == b.Meta && bytes.Equal(a.Payload, b.Payload) }

// vids are the VLAN ids of a frame as XDP keys them. Id 0 carries a priority only (IEEE 802.1Q §9.6).
func vids(m *packet.Meta) (ids [2]uint16) {
	n := 0
	for _, tag := range m.VLANs[:m.NumVLANs] {
		if id := tag.VID(); id != 0 {
			ids[n] = id
			n++
		}
	}
	return ids
}

// lastOf returns the last address of an IPv4 network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}
