package conn

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// descriptors are a socket and the eventfd that interrupts a wait for it. They
// may be used by other goroutines than the owner while they are closed.
type descriptors struct {
	mu     sync.RWMutex // both stay open while it is held
	socket int          // -1: closed
	event  int          // -1: closed, or none
}

// wake makes the owner's wait, or else its next one, return.
func (d *descriptors) wake() {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.event >= 0 {
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		_, _ = unix.Write(d.event, one[:]) // EAGAIN: 2^64-2 wake-ups are pending already
	}
}

// close closes what is open.
func (d *descriptors) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var err error
	if d.socket >= 0 {
		err = unix.Close(d.socket)
	}
	if d.event >= 0 {
		_ = unix.Close(d.event)
	}
	d.socket, d.event = -1, -1
	return err
}

// drops returns the kernel's count of packets that the socket had no room for; false once it is closed.
func (d *descriptors) drops() (uint64, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.socket < 0 {
		return 0, false
	}
	return socketDrops(d.socket), true
}

// sleeper is the owner's wait, with what ppoll(2) needs kept from one to the next.
type sleeper struct {
	set     [2]unix.PollFd
	timeout unix.Timespec
}

// sleep waits until the socket is readable, end has passed (zero: never), or
// wake. quiet: the socket is not to be waited for.
func (s *sleeper) sleep(d *descriptors, end time.Time, quiet bool) (woken bool, err error) {
	s.set[0] = unix.PollFd{Fd: int32(d.socket), Events: unix.POLLIN}
	s.set[1] = unix.PollFd{Fd: int32(d.event), Events: unix.POLLIN}
	if quiet {
		s.set[0].Fd = -1
	}
	for {
		timeout := &s.timeout
		if end.IsZero() {
			timeout = nil
		} else {
			s.timeout = unix.NsecToTimespec(int64(max(time.Until(end), 0)))
		}
		_, err := unix.Ppoll(s.set[:], timeout, nil)
		if err == unix.EINTR { // the Go runtime preempts by signal
			continue
		}
		if err != nil {
			return false, fmt.Errorf("poll: %w", err)
		}
		if s.set[1].Revents == 0 {
			return false, nil
		}
		var count [8]byte
		_, _ = unix.Read(d.event, count[:])
		return true, nil
	}
}
