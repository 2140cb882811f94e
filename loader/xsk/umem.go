package xsk

import "golang.org/x/sys/unix"

// FrameSize is the size in bytes of a UMEM frame: two fit a page, which is
// what every driver takes in aligned mode.
const FrameSize = 2048

// Headroom is the space in bytes in front of a datagram in a received or
// allocated frame. The kernel puts received data behind XDP_PACKET_HEADROOM;
// sending frames are laid out alike, so that headers can grow to the front.
const Headroom = unix.XDP_PACKET_HEADROOM

// Frame is one UMEM frame in the hands of the caller. The datagram is
// Buf[Off:Off+Len]; Buf is the whole frame, and its capacity ends with it.
type Frame struct {
	Buf      []byte
	Off, Len int
	ID       uint32 // names the frame in Send and Release
}

// Data returns the datagram; its capacity ends with the frame.
func (f *Frame) Data() []byte { return f.Buf[f.Off : f.Off+f.Len] }

// place is where a frame is (package doc, Frames).
type place uint8

const (
	placeFree     place = iota
	placePosted         // fill ring, kernel, RX ring
	placeReceived       // held by the caller, from Recv
	placeAlloced        // held by the caller, from Alloc
	placeSent           // TX ring, kernel, completion ring
)

// umem is the frame memory and its books. Frame numbers, not addresses, go
// around; the place of each frame is known, so that neither a wrong number
// from a caller nor a wrong address from the kernel can put a frame in two places.
type umem struct {
	mem     []byte
	free    []uint32 // LIFO
	places  []place
	inbound int // posted or received
	held    int // received or allocated
}

func newUmem(mem []byte) *umem {
	frames := len(mem) / FrameSize
	u := &umem{mem: mem, free: make([]uint32, frames), places: make([]place, frames)}
	for i := range u.free {
		u.free[i] = uint32(frames - 1 - i) // frame 0 is handed out first
	}
	return u
}

// buf returns frame id's memory; appending to it cannot reach the next frame.
func (u *umem) buf(id uint32) []byte {
	at := int(id) * FrameSize
	return u.mem[at : at+FrameSize : at+FrameSize]
}

// pop takes a frame off the free list; it must not be empty.
func (u *umem) pop() uint32 {
	last := len(u.free) - 1
	id := u.free[last]
	u.free = u.free[:last]
	return id
}

// post moves a free frame towards the fill ring.
func (u *umem) post() uint32 {
	id := u.pop()
	u.places[id] = placePosted
	u.inbound++
	return id
}

// alloc moves a free frame to the caller.
func (u *umem) alloc() uint32 {
	id := u.pop()
	u.places[id] = placeAlloced
	u.held++
	return id
}

// received moves the posted frame that addr lies in to the caller.
func (u *umem) received(addr uint64) (id uint32, ok bool) {
	if addr/FrameSize >= uint64(len(u.places)) {
		return 0, false
	}
	id = uint32(addr / FrameSize)
	if u.places[id] != placePosted {
		return 0, false
	}
	u.places[id] = placeReceived
	u.held++
	return id, true
}

// holds reports whether the caller holds frame id.
func (u *umem) holds(id uint32) bool {
	return uint64(id) < uint64(len(u.places)) && (u.places[id] == placeReceived || u.places[id] == placeAlloced)
}

// take moves a held frame away from the caller, to p.
func (u *umem) take(id uint32, p place) bool {
	if !u.holds(id) {
		return false
	}
	if u.places[id] == placeReceived {
		u.inbound--
	}
	u.held--
	u.places[id] = p
	return true
}

// sent takes a held frame for transmission.
func (u *umem) sent(id uint32) bool { return u.take(id, placeSent) }

// release puts a held frame on the free list.
func (u *umem) release(id uint32) bool {
	if !u.take(id, placeFree) {
		return false
	}
	u.free = append(u.free, id)
	return true
}

// completed puts the sent frame that addr lies in on the free list.
func (u *umem) completed(addr uint64) bool {
	if addr/FrameSize >= uint64(len(u.places)) {
		return false
	}
	id := uint32(addr / FrameSize)
	if u.places[id] != placeSent {
		return false
	}
	u.places[id] = placeFree
	u.free = append(u.free, id)
	return true
}
