package conn

import "github.com/xdpxe/xdpxe/responder/packet"

// pool is a fixed number of buffers cut from one allocation, handed out last
// in, first out. Where each of them is is known, so that giving one back twice,
// or after it was sent, does no harm.
type pool struct {
	slab  []byte
	size  int
	free  []uint32
	state []bufState
}

type bufState uint8

const (
	bufFree bufState = iota
	bufOut           // the owner's, or stocked for the kernel to receive into
	bufSent          // in the outbox
)

func newPool(count, size int) *pool {
	p := &pool{slab: make([]byte, count*size), size: size, free: make([]uint32, count), state: make([]bufState, count)}
	for i := range p.free {
		p.free[i] = uint32(count - 1 - i)
	}
	return p
}

// buf returns buffer id; appending to it cannot reach the next one.
func (p *pool) buf(id uint32) []byte {
	at := int(id) * p.size
	return p.slab[at : at+p.size : at+p.size]
}

// get takes a buffer out.
func (p *pool) get() (id uint32, ok bool) {
	last := len(p.free) - 1
	if last < 0 {
		return 0, false
	}
	id = p.free[last]
	p.free = p.free[:last]
	p.state[id] = bufOut
	return id, true
}

// put gives a buffer back that is out; others it leaves alone.
func (p *pool) put(id uint32) {
	if p.is(id, bufOut) {
		p.state[id] = bufFree
		p.free = append(p.free, id)
	}
}

// done frees a buffer that was sent.
func (p *pool) done(id uint32) {
	if p.is(id, bufSent) {
		p.state[id] = bufFree
		p.free = append(p.free, id)
	}
}

// is reports whether there is a buffer id in that state.
func (p *pool) is(id uint32, state bufState) bool {
	return uint64(id) < uint64(len(p.state)) && p.state[id] == state
}

// A Token names the buffer of a packet: the pool in bit 32, the buffer's
// number plus one below, so that the zero Packet names none.
const replyToken = 1 << 32

func requestToken(id uint32) uint64 { return uint64(id) + 1 }

// tokenID returns the buffer's number and whether it is one for replies.
func tokenID(token uint64) (id uint32, reply, ok bool) {
	n := token &^ uint64(replyToken)
	if n == 0 || n > 1<<31 {
		return 0, false, false
	}
	return uint32(n - 1), token&replyToken != 0, true
}

// release gives the packets' buffers back to the pool that they are of.
func release(p []packet.Packet, requests, replies *pool) {
	for i := range p {
		id, reply, ok := tokenID(p[i].Token)
		switch {
		case !ok:
		case reply:
			replies.put(id)
		default:
			requests.put(id)
		}
	}
}

// allocReplies takes reply buffers out, with headroom bytes in front of each payload.
func allocReplies(dst []packet.Packet, replies *pool, headroom int) (n int) {
	for n < len(dst) {
		id, ok := replies.get()
		if !ok {
			break
		}
		dst[n] = packet.Packet{Payload: replies.buf(id)[headroom:headroom], Token: requestToken(id) | replyToken}
		n++
	}
	return n
}

// replyBuffer finds the buffer that a reply's Token names; false if the owner does not have it.
func replyBuffer(token uint64, replies *pool) (id uint32, buf []byte, ok bool) {
	id, reply, ok := tokenID(token)
	if !ok || !reply || !replies.is(id, bufOut) {
		return 0, nil, false
	}
	return id, replies.buf(id), true
}

// settle makes payload stand at the start of room: where it is already, if the
// caller built it in the buffer that Alloc lent. False: too long.
func settle(room, payload []byte) bool {
	if len(payload) > len(room) {
		return false
	}
	if len(payload) > 0 && &payload[0] != &room[0] {
		copy(room, payload)
	}
	return true
}

// addressFrame fills the hardware addresses that a reply leaves open: ours as
// source, everybody as destination.
func addressFrame(m *packet.Meta, mac [6]byte) {
	if m.SrcMAC == [6]byte{} {
		m.SrcMAC = mac
	}
	if m.DstMAC == [6]byte{} {
		m.DstMAC = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}
}
