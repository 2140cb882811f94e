package conn

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Bounds of what Flush does about a kernel that has no room: so many waits or
// repetitions in all, of so many milliseconds at most.
const (
	sendRetries    = 8
	sendWaitMillis = 5
)

// outbox is a queue of messages for sendmmsg. Message i is sent from the pool buffer ids[i].
type outbox struct {
	messages []unix.Mmsghdr
	iovecs   []unix.Iovec
	ids      []uint32
	n        int
	pollSet  [1]unix.PollFd
}

func newOutbox(size int) *outbox {
	o := &outbox{messages: make([]unix.Mmsghdr, size), iovecs: make([]unix.Iovec, size), ids: make([]uint32, size)}
	for i := range o.messages {
		o.messages[i].Hdr.Iov = &o.iovecs[i]
		o.messages[i].Hdr.SetIovlen(1)
	}
	return o
}

// add queues data, which stands in buffer id of buffers, and returns the message's index.
// There is room, since a box has as many messages as its pool has buffers.
func (o *outbox) add(id uint32, data []byte, buffers *pool) int {
	buffers.state[id] = bufSent
	i := o.n
	o.n++
	o.ids[i] = id
	o.iovecs[i] = unix.Iovec{}
	if len(data) > 0 {
		o.iovecs[i].Base = &data[0]
		o.iovecs[i].SetLen(len(data))
	}
	return i
}

// flush sends everything and gives the buffers back. A message that the kernel
// refuses is skipped; one that it has no room for (EAGAIN: the socket's send
// buffer; ENOBUFS: the device's queue) is tried again within bounds. err says
// that the device is down or gone: it satisfies errors.Is(err, ENETDOWN), and
// what was left is lost.
func (o *outbox) flush(fd int, buffers *pool) (sent, failed int, err error) {
	for i, retries := 0, 0; i < o.n && err == nil; {
		n, errno := sendmmsg(fd, o.messages[i:o.n])
		switch errno {
		case 0:
			i += n
			sent += n
			continue
		case unix.EINTR:
			continue
		case unix.EAGAIN, unix.ENOBUFS:
			if retries < sendRetries {
				retries++
				o.waitForRoom(fd)
				continue
			}
		case unix.ENETDOWN, unix.ENXIO, unix.ENODEV:
			err = downError(errno)
		}
		i++
	}
	failed = o.n - sent
	for _, id := range o.ids[:o.n] {
		buffers.done(id)
	}
	o.n = 0
	return sent, failed, err
}

// waitForRoom waits a moment for room in the socket's send buffer.
func (o *outbox) waitForRoom(fd int) {
	o.pollSet[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLOUT}
	_, _ = unix.Poll(o.pollSet[:], sendWaitMillis)
}

// downError says that the device is down (ENETDOWN) or gone (ENXIO, ENODEV).
func downError(errno syscall.Errno) error {
	if errno == unix.ENETDOWN {
		return errno
	}
	return fmt.Errorf("device deleted (%w): %w", errno, unix.ENETDOWN)
}
