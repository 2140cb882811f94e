package xsk

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

var (
	// ErrClosed is returned by operations on a closed Socket.
	ErrClosed = errors.New("AF_XDP socket closed")
	// ErrNotSupported: the kernel has no AF_XDP.
	ErrNotSupported = errors.New("AF_XDP not supported by this kernel")
	// ErrQueueBusy: another AF_XDP socket has the queue.
	ErrQueueBusy = errors.New("queue is taken by another AF_XDP socket")
	// ErrNoZeroCopy: zero-copy was asked for and the driver cannot.
	ErrNoZeroCopy = errors.New("driver has no AF_XDP zero-copy on this queue")
	// ErrMemlock: the UMEM is beyond RLIMIT_MEMLOCK and the process lacks CAP_IPC_LOCK.
	ErrMemlock = errors.New("UMEM does not fit RLIMIT_MEMLOCK (raise it, or give CAP_IPC_LOCK)")
	// ErrBadFrame: a frame given to Send is not held by the caller or its bounds are wrong.
	ErrBadFrame = errors.New("frame not held by the caller, or out of its bounds")
)

// retryable reports whether a kick that failed with errno is worth repeating:
// the socket is fine, only something was full.
//
//	EAGAIN   copy mode sent its budget (32 frames), or the completion ring or send buffer is full
//	EBUSY    the driver's queue is full, or a wake-up is under way
//	ENOBUFS  no memory for a packet at this moment
//	EINTR    a signal
func retryable(errno syscall.Errno) bool {
	switch errno {
	case unix.EAGAIN, unix.EBUSY, unix.ENOBUFS, unix.EINTR:
		return true
	}
	return false
}

// deviceError describes a failure of the device below the socket. Both of the
// kernel's ways to say that it is not there satisfy errors.Is(err, ENETDOWN):
// ENETDOWN itself (down) and ENXIO (unbound: the device was deleted).
func (s *Socket) deviceError(errno syscall.Errno) error {
	if errno == unix.ENXIO {
		return fmt.Errorf("%s: device deleted: %w", s, unix.ENETDOWN)
	}
	return fmt.Errorf("%s: %w", s, errno)
}

// String names the socket in messages.
func (s *Socket) String() string {
	return fmt.Sprintf("AF_XDP socket on ifindex %d queue %d", s.info.IfIndex, s.info.Queue)
}
