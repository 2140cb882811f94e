package limits

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// udpEcho sends every datagram to its port back, one socket and thread a queue.
type udpEcho struct {
	fds   []int
	stop  atomic.Bool
	wait  sync.WaitGroup
	first sync.Once
	err   error // of the first worker that failed
}

const (
	echoBatch = 64
	echoRoom  = 2048
	// stopEvery is how often a worker that gets nothing looks whether it is to end, in µs.
	stopEvery = 50_000
)

// openUDPEcho opens one in the calling thread's network namespace.
func openUDPEcho(workers int) (*udpEcho, error) {
	e := new(udpEcho)
	for i := range workers {
		fd, err := openEchoSocket(i == 0)
		if err != nil {
			e.closeSockets()
			return nil, fmt.Errorf("UDP echo: %w", err)
		}
		e.fds = append(e.fds, fd)
	}
	for _, fd := range e.fds {
		e.wait.Go(func() { e.work(fd) })
	}
	return e, nil
}

func openEchoSocket(first bool) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	for _, option := range []struct{ level, name, value int }{
		{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1},
		{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4 << 20},
		{unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 4 << 20},
	} {
		if err := unix.SetsockoptInt(fd, option.level, option.name, option.value); err != nil {
			return -1, err
		}
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: stopEvery}); err != nil {
		return -1, err
	}
	if first {
		if err := byCPU(fd); err != nil {
			return -1, err
		}
	}
	return fd, unix.Bind(fd, &unix.SockaddrInet4{Port: packet.PortDHCPServer})
}

// byCPU makes the sockets of a port take what the CPU of their number received:
// all frames are of one flow, which would otherwise go to one socket.
func byCPU(fd int) error {
	prog, err := bpf.Assemble([]bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtCPUID}, bpf.RetA{}})
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(prog))
	for i, in := range prog {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF,
		&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}

func (e *udpEcho) work(fd int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	messages := make([]unix.Mmsghdr, echoBatch)
	iovecs := make([]unix.Iovec, echoBatch)
	names := make([]unix.RawSockaddrInet4, echoBatch)
	buffers := make([]byte, echoBatch*echoRoom)
	for i := range messages {
		iovecs[i].Base = &buffers[i*echoRoom]
		messages[i].Hdr.Iov = &iovecs[i]
		messages[i].Hdr.SetIovlen(1)
	}
	for !e.stop.Load() {
		for i := range messages {
			iovecs[i].SetLen(echoRoom)
			setName(&messages[i].Hdr, &names[i])
		}
		n, errno := recvmmsg(fd, messages)
		if errno == unix.EAGAIN || errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			e.fail(errno)
			return
		}
		for i := range n {
			iovecs[i].SetLen(int(messages[i].Len))
		}
		// What finds no room on the way back is lost, as with any server.
		if _, errno := sendmmsg(fd, messages[:n]); errno != 0 && errno != unix.EAGAIN && errno != unix.ENOBUFS && errno != unix.EINTR {
			e.fail(errno)
			return
		}
	}
}

func (e *udpEcho) fail(err error) { e.first.Do(func() { e.err = fmt.Errorf("UDP echo: %w", err) }) }

func (e *udpEcho) closeSockets() {
	for _, fd := range e.fds {
		unix.Close(fd)
	}
}

// close ends the workers.
func (e *udpEcho) close() error {
	e.stop.Store(true)
	e.wait.Wait()
	e.closeSockets()
	return e.err
}
