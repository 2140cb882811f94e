package limits

import (
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// receivers are UDP sockets with UDP_GRO that one thread empties.
type receivers struct {
	epoll  int
	fds    []int
	addrs  []netip.AddrPort
	block  int // bytes of a datagram
	buffer []byte
	finish atomic.Bool // nothing more is sent

	// Valid after receive has returned.
	blocks int64
	last   time.Time // when the last of them was received
}

const (
	// receiveRoom holds the most that UDP_GRO coalesces.
	receiveRoom = 1 << 16
	// socketBuffer keeps some bursts while others are read.
	socketBuffer = 1 << 20
	// turns is how often a socket is read before the next has its turn.
	turns = 4
	// quietMillis without data after the end of sending is the end.
	quietMillis = 20
)

// openReceivers opens n sockets on an address.
func openReceivers(addr netip.Addr, n, block int) (r *receivers, err error) {
	r = &receivers{epoll: -1, block: block, buffer: make([]byte, receiveRoom)}
	defer func() {
		if err != nil {
			r.close()
			r = nil
		}
	}()
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return r, fmt.Errorf("epoll: %w", err)
	}
	for range n {
		if err := r.open(addr); err != nil {
			return r, fmt.Errorf("socket %d of %d: %w", len(r.fds)+1, n, err)
		}
	}
	return r, nil
}

func (r *receivers) open(addr netip.Addr) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	r.fds = append(r.fds, fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1); err != nil {
		return fmt.Errorf("UDP_GRO: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, socketBuffer); err != nil {
		return fmt.Errorf("SO_RCVBUFFORCE: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: addr.As4()}); err != nil {
		return fmt.Errorf("bind to %v: %w", addr, err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	r.addrs = append(r.addrs, netip.AddrPortFrom(addr, uint16(name.(*unix.SockaddrInet4).Port)))
	return unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// receive reads until nothing comes any more after finish.
func (r *receivers) receive() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r.last = time.Now()
	events := make([]unix.EpollEvent, 64)
	for {
		finish := r.finish.Load()
		n, err := unix.EpollWait(r.epoll, events, quietMillis)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("epoll: %w", err)
		}
		if n == 0 && finish {
			return nil
		}
		for _, e := range events[:n] {
			if err := r.read(int(e.Fd)); err != nil {
				return err
			}
		}
		if n > 0 {
			r.last = time.Now()
		}
	}
}

func (r *receivers) read(fd int) error {
	for range turns {
		n, err := unix.Read(fd, r.buffer)
		switch err {
		case nil:
			r.blocks += int64(n / r.block)
		case unix.EAGAIN:
			return nil
		case unix.EINTR:
		default:
			return fmt.Errorf("receive: %w", err)
		}
	}
	return nil
}

func (r *receivers) close() {
	if r == nil {
		return
	}
	for _, fd := range append(r.fds, r.epoll) {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}
