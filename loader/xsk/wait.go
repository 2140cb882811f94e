package xsk

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// checkTime is how often a sleeping Recv asks whether the device is still there.
const checkTime = time.Second

// await sleeps until frames came (and takes them), wait has passed, or somebody woke it.
func (s *Socket) await(dst []Frame, wait time.Duration) (int, error) {
	var end time.Time
	if wait > 0 {
		end = time.Now().Add(wait)
	}
	for {
		slice := checkTime
		if wait > 0 {
			slice = min(slice, max(time.Until(end), 0))
		}
		ready, woken, err := s.poll(slice)
		if err != nil {
			return 0, err
		}
		if s.closed.Load() {
			return 0, ErrClosed
		}
		s.reap()
		if n := s.take(dst); n > 0 || woken {
			return n, nil
		}
		if !ready {
			if errno := kickRx(s.fd); errno != 0 && !retryable(errno) {
				return 0, s.deviceError(errno)
			}
		}
		if wait > 0 && !time.Now().Before(end) {
			return 0, nil
		}
	}
}

// poll sleeps for at most d. ready is false when the device should be asked:
// time ran out, or the socket has an error.
func (s *Socket) poll(d time.Duration) (ready, woken bool, err error) {
	s.pollSet[0] = unix.PollFd{Fd: int32(s.fd), Events: unix.POLLIN}
	s.pollSet[1] = unix.PollFd{Fd: int32(s.event), Events: unix.POLLIN}
	s.timeout = unix.NsecToTimespec(int64(d))
	n, err := unix.Ppoll(s.pollSet[:], &s.timeout, nil)
	if err == unix.EINTR {
		return true, false, nil // the caller works out what is left
	}
	if err != nil {
		return false, false, fmt.Errorf("%s: poll: %w", s, err)
	}
	if s.pollSet[1].Revents != 0 {
		s.drain()
		woken = true
	}
	failed := s.pollSet[0].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0
	return n > 0 && !failed, woken, nil
}

// drain resets the eventfd.
func (s *Socket) drain() {
	var count [8]byte
	_, _ = unix.Read(s.event, count[:]) // EAGAIN: somebody's write was seen already
}
