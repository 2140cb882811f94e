package port

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Memory of a packet port.
const (
	bufSize    = 2048
	bufFront   = 64       // for a VLAN tag that is put back, and to begin on a cache line
	bufs       = 1024     // for both directions
	batch      = 128      // messages in one system call
	recvBuffer = 64 << 20 // bytes that the kernel keeps for us
	pollSlice  = time.Second
)

// packetPort is an AF_PACKET socket. Its frames lie in one block of memory; free
// holds the numbers of those that nobody has.
type packetPort struct {
	mac  net.HardwareAddr
	fd   int
	mem  []byte
	free []uint32
	held [bufs]bool // by the caller

	out     [batch]mmsghdr
	outIov  [batch]unix.Iovec
	outIDs  [batch]uint32
	queued  int
	in      [batch]mmsghdr
	inIov   [batch]unix.Iovec
	inAux   [batch]auxdata
	inIDs   [batch]uint32
	posted  [batch]bool // in[i] has a buffer
	pollSet [1]unix.PollFd
	closed  bool

	sent, sendErrors, received atomic.Uint64
	mu                         sync.Mutex // dropped, and fd while Stats reads from it
	dropped                    uint64     // PACKET_STATISTICS begins anew at each look
}

// htons is a protocol number as packet sockets want it.
func htons(v uint16) uint16 { return binary.NativeEndian.Uint16([]byte{byte(v >> 8), byte(v)}) }

func openPackets(ifi *net.Interface, n int) (ports []Port, err error) {
	for range n {
		p := &packetPort{mac: ifi.HardwareAddr, fd: -1, mem: make([]byte, bufs*bufSize)}
		ports = append(ports, p)
		if err := p.open(ifi.Index, n > 1); err != nil {
			return ports, fmt.Errorf("packet socket: %w", err)
		}
	}
	return ports, nil
}

func (p *packetPort) open(ifindex int, spread bool) (err error) {
	for id := bufs - 1; id >= 0; id-- {
		p.free = append(p.free, uint32(id))
	}
	for i := range batch {
		p.out[i].hdr.Iov, p.in[i].hdr.Iov = &p.outIov[i], &p.inIov[i]
		p.out[i].hdr.SetIovlen(1)
		p.in[i].hdr.SetIovlen(1)
	}
	// Bound to no protocol yet, it receives nothing before its options stand.
	if p.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	for _, o := range []struct {
		name                 string
		level, option, value int
	}{
		{"PACKET_IGNORE_OUTGOING", unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1},
		{"PACKET_AUXDATA", unix.SOL_PACKET, unix.PACKET_AUXDATA, 1},
		{"PACKET_QDISC_BYPASS", unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1},
		{"SO_RCVBUFFORCE", unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, recvBuffer},
		{"SO_SNDBUFFORCE", unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, recvBuffer},
	} {
		if err := unix.SetsockoptInt(p.fd, o.level, o.option, o.value); err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
	}
	if err := unix.Bind(p.fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: ifindex}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if !spread {
		return nil
	}
	// A group is named by 16 bits that must differ from other processes'.
	group := os.Getpid()&0xffff | unix.PACKET_FANOUT_HASH<<16
	if err := unix.SetsockoptInt(p.fd, unix.SOL_PACKET, unix.PACKET_FANOUT, group); err != nil {
		return fmt.Errorf("PACKET_FANOUT: %w", err)
	}
	return nil
}

// buf returns the memory of a frame.
func (p *packetPort) buf(id uint32) []byte {
	at := int(id) * bufSize
	return p.mem[at : at+bufSize : at+bufSize]
}

// pop takes a frame off the free list, which must not be empty.
func (p *packetPort) pop() uint32 {
	id := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	return id
}

// push puts a frame that the caller holds on the free list.
func (p *packetPort) push(id uint32) {
	if p.held[id] {
		p.held[id] = false
		p.free = append(p.free, id)
	}
}

func (p *packetPort) Alloc(dst []Frame) int {
	n := min(len(dst), len(p.free))
	for i := range n {
		id := p.pop()
		p.held[id] = true
		dst[i] = Frame{Data: p.buf(id)[bufFront:bufFront], id: id}
	}
	return n
}

func (p *packetPort) Release(f []Frame) {
	for i := range f {
		p.push(f[i].id)
	}
}

func (p *packetPort) Send(f []Frame) (n int, err error) {
	if p.closed {
		return 0, ErrClosed
	}
	for n < len(f) {
		if p.queued == batch {
			if err := p.Flush(); err != nil {
				return n, err
			}
		}
		if len(f[n].Data) == 0 || !p.held[f[n].id] {
			return n, fmt.Errorf("frame %d: empty, or not held by the caller", n)
		}
		p.held[f[n].id] = false
		p.outIDs[p.queued] = f[n].id
		p.outIov[p.queued].Base = &f[n].Data[0]
		p.outIov[p.queued].SetLen(len(f[n].Data))
		p.queued++
		n++
	}
	return n, nil
}

// Flush sends what is queued. What the kernel or the device refuses is counted
// and not tried again: on veth that is the peer's full queue, and a generator
// that waited for it would send at the server's pace, not at its own.
func (p *packetPort) Flush() error {
	if p.closed {
		return ErrClosed
	}
	var failed error
	for at := 0; at < p.queued; {
		n, errno := sendmmsg(p.fd, p.out[at:p.queued])
		switch errno {
		case 0:
			at += n
			continue
		case unix.EINTR:
			continue
		case unix.ENETDOWN, unix.ENXIO, unix.ENODEV:
			failed = fmt.Errorf("packet socket: send: %w", errno)
		}
		p.sendErrors.Add(1)
		at++
	}
	p.free = append(p.free, p.outIDs[:p.queued]...)
	p.sent.Add(uint64(p.queued))
	p.queued = 0
	return failed
}

func (p *packetPort) Recv(dst []Frame, wait time.Duration) (int, error) {
	var end time.Time
	if wait > 0 {
		end = time.Now().Add(wait)
	}
	for {
		n, err := p.take(dst)
		if n > 0 || err != nil || wait <= 0 {
			return n, err
		}
		left := time.Until(end)
		if left <= 0 {
			return 0, nil
		}
		if err := p.poll(min(left, pollSlice)); err != nil {
			return 0, err
		}
	}
}

// poll sleeps until something came or d has passed.
func (p *packetPort) poll(d time.Duration) error {
	p.pollSet[0] = unix.PollFd{Fd: int32(p.fd), Events: unix.POLLIN}
	timeout := unix.NsecToTimespec(int64(d))
	if _, err := unix.Ppoll(p.pollSet[:], &timeout, nil); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("packet socket: poll: %w", err)
	}
	return nil
}

// take receives what is there.
func (p *packetPort) take(dst []Frame) (int, error) {
	if p.closed {
		return 0, ErrClosed
	}
	want := p.post(min(len(dst), batch))
	if want == 0 {
		return 0, nil
	}
	n, errno := recvmmsg(p.fd, p.in[:want])
	switch errno {
	case 0:
	case unix.EAGAIN, unix.EINTR:
		return 0, nil
	default:
		return 0, fmt.Errorf("packet socket: receive: %w", errno)
	}
	for i := range n {
		id := p.inIDs[i]
		p.held[id], p.posted[i] = true, false
		dst[i] = Frame{Data: p.retag(i), id: id}
	}
	p.received.Add(uint64(n))
	return n, nil
}

// post makes the first messages receive into free frames, and returns how many
// of n have one.
func (p *packetPort) post(n int) int {
	for i := range n {
		if p.posted[i] {
			continue
		}
		if len(p.free) == 0 {
			return i
		}
		p.posted[i], p.inIDs[i] = true, p.pop()
		data := p.buf(p.inIDs[i])[bufFront:]
		p.inIov[i].Base = &data[0]
		p.inIov[i].SetLen(len(data))
		p.inAux[i].attach(&p.in[i].hdr)
	}
	return n
}

// retag returns the frame received by in[i], with the VLAN tag in place that the
// kernel moved to the metadata.
func (p *packetPort) retag(i int) []byte {
	m, buf := &p.in[i], p.buf(p.inIDs[i])
	end := bufFront + min(int(m.n), bufSize-bufFront)
	aux := &p.inAux[i]
	if m.n < 14 || !aux.tagged(int(m.hdr.Controllen)) {
		return buf[bufFront:end]
	}
	const at = bufFront - 4
	copy(buf[at:], buf[bufFront:bufFront+12])
	binary.BigEndian.PutUint16(buf[at+12:], aux.tpid)
	binary.BigEndian.PutUint16(buf[at+14:], aux.tci)
	return buf[at:end]
}

func (p *packetPort) MAC() net.HardwareAddr { return p.mac }

func (p *packetPort) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fd >= 0 {
		if st, err := unix.GetsockoptTpacketStats(p.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			p.dropped += uint64(st.Drops)
		}
	}
	return Stats{Sent: p.sent.Load(), SendErrors: p.sendErrors.Load(), Received: p.received.Load(), Dropped: p.dropped}
}

// Close is the owner's to call.
func (p *packetPort) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.fd < 0 {
		return nil
	}
	err := unix.Close(p.fd)
	p.fd = -1
	return err
}
