package xsk

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Wake makes a Recv that sleeps, or else the next one that would, return. Any goroutine may call it.
func (s *Socket) Wake() {
	s.fds.RLock()
	defer s.fds.RUnlock()
	if s.event >= 0 {
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		_, _ = unix.Write(s.event, one[:]) // EAGAIN: 2^64-2 wake-ups are pending already
	}
}

// Close ends the socket; any goroutine may call it, and more than once. On
// return the socket is down, unless the owner still holds frames: then giving
// back the last of them takes it down (Done). What is on the TX ring and was
// not flushed is lost.
func (s *Socket) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.Wake()
	s.mu.Lock()
	s.unlock()
	return nil
}

// Closed reports whether Close was called.
func (s *Socket) Closed() bool { return s.closed.Load() }

// Done is closed when the socket is down: no descriptor and no mapping is left.
func (s *Socket) Done() <-chan struct{} { return s.done }

// unlock ends an operation, and the socket if that was what a Close waited for.
func (s *Socket) unlock() {
	if s.closed.Load() && !s.down && s.umem.held == 0 {
		s.takeDown()
	}
	s.mu.Unlock()
}

// takeDown closes the descriptors and unmaps everything. The caller has s.mu,
// or is Open and the only one to know the socket.
func (s *Socket) takeDown() {
	s.fds.Lock()
	defer s.fds.Unlock()
	s.down = true
	if s.fd >= 0 {
		s.last = s.kernelStats()
		_ = unix.Close(s.fd)
		s.fd = -1
	}
	if s.event >= 0 {
		_ = unix.Close(s.event)
		s.event = -1
	}
	for _, mem := range s.rings {
		_ = unix.Munmap(mem)
	}
	if s.umem != nil {
		_ = unix.Munmap(s.umem.mem)
	}
	// What is left must not point into memory that is gone.
	s.rings, s.umem = nil, newUmem(nil)
	s.fill, s.tx = producer[uint64]{}, producer[unix.XDPDesc]{}
	s.comp, s.rx = consumer[uint64]{}, consumer[unix.XDPDesc]{}
	close(s.done)
}
