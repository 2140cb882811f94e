package xsk

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Socket is one AF_XDP socket with its UMEM, bound to one queue of one device.
type Socket struct {
	mu     sync.Mutex // held by each operation of the owner, also while Recv sleeps
	closed atomic.Bool
	down   bool // under mu: descriptors and mappings are gone
	done   chan struct{}

	fds       sync.RWMutex // fd and event stay open while it is held
	fd, event int
	last      Stats // kernel figures, read before fd was closed

	info  Info
	umem  *umem
	fill  producer[uint64]
	comp  consumer[uint64]
	rx    consumer[unix.XDPDesc]
	tx    producer[unix.XDPDesc]
	rings [][]byte // the mappings of the four

	pollSet [2]unix.PollFd
	timeout unix.Timespec

	received, sent, deferred, invalid atomic.Uint64
}

// FD returns the socket's descriptor, for an XSKMAP; -1 once the socket is down.
func (s *Socket) FD() int {
	s.fds.RLock()
	defer s.fds.RUnlock()
	return s.fd
}

// Info returns what Open obtained.
func (s *Socket) Info() Info { return s.info }

// Recv fills dst with received frames, which are the caller's until Send or
// Release, and waits at most until wait has passed (negative: for ever) for
// the first of them. 0 and nil: nothing came, or Wake. A device that is down
// or gone is an error that satisfies errors.Is(err, ENETDOWN); one that came
// up again can be received from again.
func (s *Socket) Recv(dst []Frame, wait time.Duration) (int, error) {
	s.mu.Lock()
	defer s.unlock()
	if s.closed.Load() {
		return 0, ErrClosed
	}
	if len(dst) == 0 {
		return 0, nil
	}
	s.reap()
	s.refill()
	if n := s.take(dst); n > 0 || wait == 0 {
		return n, nil
	}
	return s.await(dst, wait)
}

// take fills dst from the RX ring.
func (s *Socket) take(dst []Frame) (n int) {
	avail := s.rx.peek(uint32(len(dst)))
	for i := range avail {
		desc := s.rx.at(i)
		id, ok := s.umem.received(desc.Addr)
		if !ok {
			s.invalid.Add(1)
			continue
		}
		off, length := int(desc.Addr%FrameSize), int(desc.Len)
		if length > FrameSize-off {
			s.invalid.Add(1)
			s.umem.release(id)
			continue
		}
		dst[n] = Frame{Buf: s.umem.buf(id), Off: off, Len: length, ID: id}
		n++
	}
	if avail > 0 {
		s.rx.release(avail)
		s.received.Add(uint64(n))
	}
	return n
}

// refill posts free frames for reception up to RxSize.
func (s *Socket) refill() {
	want := min(s.info.RxSize-s.umem.inbound, len(s.umem.free))
	if want <= 0 {
		return
	}
	n := s.fill.reserve(uint32(want))
	for i := range n {
		*s.fill.at(i) = uint64(s.umem.post()) * FrameSize
	}
	if n == 0 {
		return
	}
	s.fill.submit(n)
	if s.fill.needWakeup() {
		kickRx(s.fd) // its error, if it lasts, is Recv's to find
	}
}

// reap takes finished transmissions back.
func (s *Socket) reap() {
	n := s.comp.peek(uint32(len(s.comp.slots)))
	for i := range n {
		if !s.umem.completed(*s.comp.at(i)) {
			s.invalid.Add(1)
		}
	}
	if n > 0 {
		s.comp.release(n)
	}
}

// Alloc fills dst with empty frames for sending, Off at Headroom, and returns
// how many there were. They are the caller's until Send or Release.
func (s *Socket) Alloc(dst []Frame) int {
	s.mu.Lock()
	defer s.unlock()
	if s.closed.Load() {
		return 0
	}
	if len(s.umem.free) < len(dst) {
		s.reap()
	}
	n := min(len(dst), len(s.umem.free))
	for i := range n {
		id := s.umem.alloc()
		dst[i] = Frame{Buf: s.umem.buf(id), Off: Headroom, ID: id}
	}
	return n
}

// Send puts frames on the TX ring, from Alloc or as received: Off and Len say
// what of a frame is sent. frames[:n] are the socket's, frames[n:] still the
// caller's: the ring is full, or err says what is wrong with frames[n].
// Nothing need leave before Flush.
func (s *Socket) Send(frames []Frame) (n int, err error) {
	s.mu.Lock()
	defer s.unlock()
	if s.closed.Load() {
		return 0, ErrClosed
	}
	room := s.tx.reserve(uint32(len(frames)))
	for uint32(n) < room {
		f := &frames[n]
		if f.Off < 0 || f.Len <= 0 || f.Off > FrameSize || f.Len > FrameSize-f.Off || !s.umem.sent(f.ID) {
			err = ErrBadFrame
			break
		}
		*s.tx.at(uint32(n)) = unix.XDPDesc{Addr: uint64(f.ID)*FrameSize + uint64(f.Off), Len: uint32(f.Len)}
		n++
	}
	if n > 0 {
		s.tx.submit(uint32(n))
		s.sent.Add(uint64(n))
	}
	return n, err
}

// Held looks frames up by ID: it fills in Buf of those in front of the first
// that the caller does not hold, and returns their number.
func (s *Socket) Held(frames []Frame) (n int) {
	s.mu.Lock()
	defer s.unlock()
	for n < len(frames) && s.umem.holds(frames[n].ID) {
		frames[n].Buf = s.umem.buf(frames[n].ID)
		n++
	}
	return n
}

// Release takes frames back that the caller holds, and posts them again for
// reception; others it leaves alone, so that giving back twice does no harm. It works on a closed
// socket, and must: the last frame given back lets the socket go.
func (s *Socket) Release(frames []Frame) {
	s.mu.Lock()
	defer s.unlock()
	if s.down {
		return
	}
	for i := range frames {
		s.umem.release(frames[i].ID)
	}
	if !s.closed.Load() {
		s.refill()
	}
}
