package conn

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/responder/packet"
)

const (
	udpBatch   = 64      // datagrams a recvmmsg
	udpBuffers = 256     // in each direction
	udpBufSize = 2048    // larger than any DHCP message on an Ethernet of ordinary MTU
	udpRcvBuf  = 4 << 20 // a storm's worth: some 5,000 requests
)

// UDP is a Conn over a plain UDP socket of one interface. It sees no layer 2:
// the hardware addresses and tags of what it receives are zero, those of
// replies are ignored. The source port of replies is the socket's.
type UDP struct {
	mu     sync.Mutex // held by each operation of the owner, also while Recv sleeps
	closed atomic.Bool
	fds    descriptors
	sleep  sleeper

	ifindex int
	bound   bool // to a device
	port    uint16
	in      inbox
	out     *outbox
	replies *pool
	names   []sockaddr
	control []pktinfo

	patience time.Duration // how old a request may be

	received, bad, stale, sent, sendErrors, dropped atomic.Uint64
}

var _ Conn = (*UDP)(nil)

// UDPOption changes how ListenUDP opens its socket.
type UDPOption func(*udpOptions)

type udpOptions struct {
	reuseAddr bool
	inherited int // -1: none
}

// ReuseAddr shares the port with other sockets that want to share it: each
// gets every broadcast, one of them gets each unicast.
func ReuseAddr() UDPOption { return func(o *udpOptions) { o.reuseAddr = true } }

// Inherit serves an open socket that is bound as ListenUDP binds it. The
// descriptor stays the caller's.
func Inherit(fd int) UDPOption { return func(o *udpOptions) { o.inherited = fd } }

// ListenUDP opens a socket for the datagrams that arrive on the interface
// ifname for port (0: any free one; see UDP.Port). ifindex becomes
// Meta.IfIndex. An empty ifname listens on all interfaces; then ifindex must
// be 0 and Meta.IfIndex says where each datagram came from. The result is a
// *UDP. A port that is taken is an error that satisfies errors.Is(err, EADDRINUSE).
func ListenUDP(ifname string, ifindex int, port int, options ...UDPOption) (Conn, error) {
	o := udpOptions{inherited: -1}
	for _, option := range options {
		option(&o)
	}
	c, err := listenUDP(ifname, ifindex, port, o)
	if err != nil {
		return nil, fmt.Errorf("UDP port %d on interface %q: %w", port, ifname, err)
	}
	return c, nil
}

// Port returns the port that the socket is bound to.
func (c *UDP) Port() int { return int(c.port) }

// Duplicate returns a descriptor of the socket that is the caller's and stays
// open when c is closed, for Inherit.
func (c *UDP) Duplicate() (int, error) {
	c.fds.mu.RLock()
	defer c.fds.mu.RUnlock()
	fd, err := unix.FcntlInt(uintptr(c.fds.socket), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("UDP port %d: duplicate the socket: %w", c.port, err)
	}
	return fd, nil
}

// Recv implements Conn.
func (c *UDP) Recv(dst []packet.Packet, wait time.Duration) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var end time.Time
	if wait > 0 {
		end = time.Now().Add(wait)
	}
	for len(dst) > 0 {
		if c.closed.Load() {
			return 0, fmt.Errorf("UDP port %d: %w", c.port, ErrClosed)
		}
		n, err := c.receive(dst)
		if n > 0 || err != nil || wait == 0 {
			return n, err
		}
		woken, err := c.sleep.sleep(&c.fds, end, c.in.ready() == 0)
		if err != nil {
			return 0, fmt.Errorf("UDP port %d: %w", c.port, err)
		}
		if woken && !c.closed.Load() {
			return c.receive(dst)
		}
		if wait > 0 && !time.Now().Before(end) {
			wait = 0 // one last look
		}
	}
	return 0, nil
}

// receive takes what the socket has, without waiting.
func (c *UDP) receive(dst []packet.Packet) (n int, err error) {
	ready := min(c.in.ready(), len(dst))
	if ready == 0 {
		return 0, nil
	}
	got, errno := recvmmsg(c.fds.socket, c.in.messages[:ready])
	switch errno {
	case 0:
	case unix.EAGAIN, unix.EINTR:
		return 0, nil
	case unix.ENETDOWN, unix.ENXIO, unix.ENODEV:
		return 0, fmt.Errorf("UDP port %d: receive: %w", c.port, downError(errno))
	default: // ICMP errors are not among them: the socket is not connected and has no IP_RECVERR
		return 0, fmt.Errorf("UDP port %d: receive: %w", c.port, errno)
	}
	c.received.Add(uint64(got))
	oldest := time.Now().UnixNano() - int64(c.patience)
	for i := range got {
		ok := c.in.packet(i, &dst[n])
		if ok && c.in.control[i].ns() < oldest {
			c.stale.Add(1)
			release(dst[n:n+1], c.in.buffers, c.replies)
			continue
		}
		if ok {
			if c.ifindex != 0 {
				dst[n].IfIndex = c.ifindex
			}
			dst[n].Dst = withPort(dst[n].Dst, c.port)
			n++
		} else {
			c.bad.Add(1)
		}
	}
	c.in.restock(got)
	return n, nil
}

// Alloc implements Conn.
func (c *UDP) Alloc(dst []packet.Packet) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return 0
	}
	return allocReplies(dst, c.replies, 0)
}

// Send implements Conn. It takes everything.
func (c *UDP) Send(p []packet.Packet) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return 0, fmt.Errorf("UDP port %d: %w", c.port, ErrClosed)
	}
	for i := range p {
		if !c.queue(&p[i]) {
			c.sendErrors.Add(1)
			release(p[i:i+1], c.in.buffers, c.replies)
		}
	}
	return len(p), nil
}

// queue puts one reply in the outbox.
func (c *UDP) queue(p *packet.Packet) bool {
	id, buf, ok := replyBuffer(p.Token, c.replies)
	src, dst := p.Src.Addr().Unmap(), p.Dst.Addr().Unmap()
	if !ok || !src.Is4() || !dst.Is4() || !settle(buf, p.Payload) {
		return false
	}
	i := c.out.add(id, buf[:len(p.Payload)], c.replies)
	c.names[i].set(dst.As4(), p.Dst.Port())
	info := unix.Inet4Pktinfo{Spec_dst: src.As4()}
	if !c.bound { // a bound socket sends by its device, broadcasts too
		info.Ifindex = int32(p.IfIndex)
	}
	c.control[i].set(info)
	return true
}

// Release implements Conn.
func (c *UDP) Release(p []packet.Packet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	release(p, c.in.buffers, c.replies)
}

// Flush implements Conn. To a socket, a device that is gone is mostly a missing
// route: replies are refused one by one, and counted. Where the kernel does say
// that the device is down, that is an error that satisfies errors.Is(err,
// syscall.ENETDOWN). Whoever watches the interface closes the Conn.
func (c *UDP) Flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return fmt.Errorf("UDP port %d: %w", c.port, ErrClosed)
	}
	sent, failed, err := c.out.flush(c.fds.socket, c.replies)
	c.sent.Add(uint64(sent))
	c.sendErrors.Add(uint64(failed))
	if err != nil {
		return fmt.Errorf("UDP port %d: %w", c.port, err)
	}
	return nil
}

// Wake implements Conn.
func (c *UDP) Wake() { c.fds.wake() }

// Close implements Conn. No operation of the owner runs when the descriptors
// are closed, so that none can meet a number that the process has given to another file.
func (c *UDP) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	c.fds.wake()
	c.mu.Lock()
	defer c.mu.Unlock()
	if drops, ok := c.fds.drops(); ok {
		c.dropped.Store(drops)
	}
	return c.fds.close()
}

// Stats implements Conn.
func (c *UDP) Stats() Stats {
	drops, ok := c.fds.drops()
	if !ok {
		drops = c.dropped.Load()
	}
	return Stats{
		Received: c.received.Load(), BadFrames: c.bad.Load(), Stale: c.stale.Load(),
		Sent: c.sent.Load(), SendErrors: c.sendErrors.Load(), Dropped: drops,
	}
}
