package bpf

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// The words of a message that are hashed (HASH_HEAD_END, HASH_TAIL and BLOCK
// in template.h): sname and file, which hardly differ, and chaddr are not.
const (
	hashHeadEnd = 4
	hashTail    = 29
	hashBlock   = 9
)

// Layout returns the template's mask as it stands in layouts_map, without keys.
func (t *Template) Layout() (l Layout) {
	copy(l.Mask[:], t.Mask)
	return l
}

// Pattern returns the template's pattern under the layout in that slot,
// without verdict.
func (t *Template) Pattern(layout uint16) *Pattern {
	p := &Pattern{
		Generation: t.Generation, Dst: t.Dst, VID: t.VIDs, Port: t.Port,
		Len: uint16(len(t.Request)), Layout: layout, UUIDAt: uint16(t.UUIDAt), Own: t.Own,
	}
	for i, b := range t.Request {
		p.Message[i] = b & t.Mask[i]
	}
	if t.Exact {
		p.Exact, p.Own = 1, [4]byte{}
	}
	for i := range p.Network {
		p.Network[i] = NoNetwork
		if !t.Exact && i < len(t.Networks) {
			p.Network[i] = network(t.Networks[i])
		}
	}
	return p
}

// Template returns a template for the requests that the pattern is for, all but
// the reply and, if it is Exact, the identity. Bytes that do not matter are zeros.
func (p *Pattern) Template(l *Layout) *Template {
	n := min(int(p.Len), len(p.Message))
	t := &Template{
		Generation: p.Generation, Tag: p.Verdict.Tag, Outcome: p.Verdict.Outcome,
		Port: p.Port, VIDs: p.VID, Dst: p.Dst, Request: p.Message[:n:n], Mask: l.Mask[:n:n],
		UUIDAt: int(p.UUIDAt), Exact: p.Exact != 0, Own: p.Own,
	}
	for _, w := range p.Network {
		if w != NoNetwork {
			t.Networks = append(t.Networks, netip.PrefixFrom(netip.AddrFrom4(w.Addr), bits.OnesCount32(binary.BigEndian.Uint32(w.Mask[:]))))
		}
	}
	return t
}

func network(p netip.Prefix) (n Network) {
	n.Addr = p.Masked().Addr().As4()
	binary.BigEndian.PutUint32(n.Mask[:], ^uint32(0)<<(32-p.Bits()))
	return n
}

// Hash returns the key of index_map under which the program looks for the
// pattern.
func (p *Pattern) Hash(l *Layout) uint64 {
	ne := binary.NativeEndian
	nh := func(word uint64, key int) uint64 {
		word ^= l.Key[key]
		return word & 0xffffffff * (word >> 32)
	}
	sum := nh(uint64(ne.Uint32(p.Dst[:]))|uint64(p.VID[0])<<32|uint64(p.VID[1])<<48, MessageWords) +
		nh(uint64(p.Port)|uint64(p.Len)<<16|uint64(p.Layout)<<32, MessageWords+1)
	for i := range hashHeadEnd {
		sum += nh(ne.Uint64(p.Message[8*i:]), i)
	}
	for block := hashTail; block < MessageWords && int(p.Len) > 8*block; block += hashBlock {
		for i := block; i < block+hashBlock; i++ {
			sum += nh(ne.Uint64(p.Message[8*i:]), i)
		}
	}
	return sum
}

// Identity returns whom an Exact template is for.
func (t *Template) Identity(pattern uint32) ExactKey {
	return ExactKey{Pattern: pattern, CHAddr: t.CHAddr, UUID: t.UUID, Src: t.Source, CIAddr: t.CIAddr}
}

// Image returns the template's reply as it stands in replies_map. There must be one.
func (t *Template) Image() *Reply {
	r := &Reply{Len: uint16(len(t.Reply)), SrcMAC: t.SrcMAC}
	if t.Broadcast {
		r.Broadcast = 1
	}
	message := make([]byte, ReplyHead-ipUDPLen+ReplyRest)
	copy(message, t.Reply)
	clear(message[offXID : offXID+4])
	clear(message[offCHAddr : offCHAddr+chaddrLen])
	for i, e := range t.Echoes {
		r.Echo[i] = EchoImage{From: e.From, To: e.To, Len: e.Len}
		clear(message[e.To : e.To+e.Len])
	}
	dst := t.DstIP
	if t.Port == portBINL {
		r.ToSource, dst = 1, [4]byte{}
		clear(message[offCIAddr : offCIAddr+4])
	}
	putHeaders(r.Head[:], t, dst, t.DstPort)
	copy(r.Head[ipUDPLen:], message)
	copy(r.Rest[:], message[offSName:])
	r.IPSum = foldSum(nativeSum(0, r.Head[:ipLen]))
	sum := pseudoSum(r.Head[12:ipLen], udpLen+len(t.Reply))
	sum = nativeSum(sum, r.Head[ipLen:ipUDPLen])
	r.UDPSum = foldSum(nativeSum(sum, message[:len(t.Reply)]))
	return r
}

const (
	ipLen       = 20
	udpLen      = 8
	ipUDPLen    = ipLen + udpLen
	protocolUDP = 17
	replyTTL    = 64
)

// putHeaders writes IPv4 and UDP without identification and checksums.
func putHeaders(b []byte, t *Template, dst [4]byte, port uint16) {
	be := binary.BigEndian
	b[0] = 0x45
	be.PutUint16(b[2:], uint16(ipUDPLen+len(t.Reply)))
	b[8], b[9] = replyTTL, protocolUDP
	copy(b[12:], t.SrcIP[:])
	copy(b[16:], dst[:])
	be.PutUint16(b[20:], t.SrcPort)
	be.PutUint16(b[22:], port)
	be.PutUint16(b[24:], uint16(udpLen+len(t.Reply)))
}

// nativeSum adds the 16-bit words of b, an odd byte padded with zero, to sum
// (RFC 1071 §1), as they are in memory.
func nativeSum(sum uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.NativeEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(binary.NativeEndian.Uint16([]byte{b[0], 0}))
	}
	return sum
}

// pseudoSum is that of UDP's pseudo header (RFC 768): addresses, protocol, length.
func pseudoSum(addrs []byte, length int) uint32 {
	return nativeSum(nativeSum(0, addrs), []byte{0, protocolUDP, byte(length >> 8), byte(length)})
}

func foldSum(sum uint32) uint16 {
	sum = sum&0xffff + sum>>16
	return uint16(sum + sum>>16)
}
