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
	ringBuffers = 256 // in each direction
	ringBufSize = 2048
)

// Ring is a Conn over the records that an XDP program writes to a BPF ring
// buffer; replies leave by a packet socket, past whoever has UDP port 67.
type Ring struct {
	mu     sync.Mutex // held by each operation of the owner, also while Recv sleeps
	closed atomic.Bool
	reader RecordReader
	fds    descriptors

	ifindex           int
	mac               [6]byte
	requests, replies *pool
	out               *outbox

	received, bad, stale, sent, sendErrors atomic.Uint64
}

var _ Conn = (*Ring)(nil)

// NewRing makes a Conn that receives from r, which it then owns and closes,
// and sends on the port ifindex. ifindex becomes Meta.IfIndex whatever a
// record says: below a bond the program sees the member, but replies leave by
// the bond. mac is the source of replies whose Meta names none. It needs CAP_NET_RAW.
func NewRing(r RecordReader, ifindex int, mac [6]byte) (Conn, error) {
	c := &Ring{
		reader: r, fds: descriptors{socket: -1, event: -1}, ifindex: ifindex, mac: mac,
		requests: newPool(ringBuffers, ringBufSize), replies: newPool(ringBuffers, ringBufSize), out: newOutbox(ringBuffers),
	}
	var err error
	// Protocol 0: the socket is on no list of receivers and gets no packet ever.
	c.fds.socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket for replies on ifindex %d: %w", ifindex, err)
	}
	if err := unix.Bind(c.fds.socket, &unix.SockaddrLinklayer{Ifindex: ifindex}); err != nil {
		c.fds.close()
		return nil, fmt.Errorf("packet socket for replies on ifindex %d: bind: %w", ifindex, err)
	}
	return c, nil
}

// Recv implements Conn.
func (c *Ring) Recv(dst []packet.Packet, wait time.Duration) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return 0, c.closedError()
	}
	var end time.Time
	if wait > 0 {
		end = time.Now().Add(wait)
	}
	var now uint64
	for n < len(dst) {
		id, ok := c.requests.get()
		if !ok {
			break
		}
		if n > 0 {
			wait = 0
		}
		buf := c.requests.buf(id)
		got, err := c.reader.Read(buf, wait)
		if got > 0 && n == 0 { // a system call: once for all that are read without waiting
			now = monotonic()
		}
		if got > 0 && err == nil && c.parse(now, buf[:min(got, len(buf))], &dst[n]) {
			dst[n].Token = requestToken(id)
			n++
			continue
		}
		c.requests.put(id)
		if c.closed.Load() && n == 0 {
			return 0, c.closedError()
		}
		if err != nil && n == 0 {
			return 0, fmt.Errorf("ring buffer of ifindex %d: %w", c.ifindex, err)
		}
		if got == 0 || err != nil { // an error that lasts comes back in the next Recv
			break
		}
		if wait > 0 { // a record that is no request must not end the wait
			wait = max(time.Until(end), 0)
		}
	}
	return n, nil
}

// parse makes p of a record that is read at now, and counts it.
func (c *Ring) parse(now uint64, b []byte, p *packet.Packet) bool {
	c.received.Add(1)
	ktime, frame, ok := record(b)
	if !ok || packet.Parse(frame, p) != packet.Answered {
		c.bad.Add(1)
		return false
	}
	if now > ktime && now-ktime > uint64(maxStale) {
		c.stale.Add(1)
		return false
	}
	p.IfIndex = c.ifindex
	return true
}

// monotonic returns CLOCK_MONOTONIC, the clock of bpf_ktime_get_ns, in nanoseconds.
func monotonic() uint64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail for this clock
	return uint64(ts.Nano())
}

// Alloc implements Conn.
func (c *Ring) Alloc(dst []packet.Packet) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return 0
	}
	return allocReplies(dst, c.replies, packet.MaxHeader)
}

// Send implements Conn. It takes everything.
func (c *Ring) Send(p []packet.Packet) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return 0, c.closedError()
	}
	for i := range p {
		if !c.queue(&p[i]) {
			c.sendErrors.Add(1)
			release(p[i:i+1], c.requests, c.replies)
		}
	}
	return len(p), nil
}

// queue builds one reply's frame and puts it in the outbox.
func (c *Ring) queue(p *packet.Packet) bool {
	id, buf, ok := replyBuffer(p.Token, c.replies)
	if !ok || !settle(buf[packet.MaxHeader:], p.Payload) {
		return false
	}
	addressFrame(&p.Meta, c.mac)
	frame := buf[packet.MaxHeader-packet.HeaderLen(&p.Meta):]
	n := packet.Build(frame, &p.Meta, len(p.Payload))
	if n == 0 {
		return false
	}
	c.out.add(id, frame[:n], c.replies)
	return true
}

// Release implements Conn.
func (c *Ring) Release(p []packet.Packet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	release(p, c.requests, c.replies)
}

// Flush implements Conn. A port that is down or gone is an error that
// satisfies errors.Is(err, syscall.ENETDOWN); the replies are then lost.
func (c *Ring) Flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return c.closedError()
	}
	sent, failed, err := c.out.flush(c.fds.socket, c.replies)
	c.sent.Add(uint64(sent))
	c.sendErrors.Add(uint64(failed))
	if err != nil {
		return fmt.Errorf("packet socket on ifindex %d: %w", c.ifindex, err)
	}
	return nil
}

// Wake implements Conn.
func (c *Ring) Wake() { c.reader.Wake() }

// Close implements Conn. It closes the reader, too, once no operation of the owner runs.
func (c *Ring) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	c.reader.Wake()
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.reader.Close()
	if e := c.fds.close(); err == nil {
		err = e
	}
	return err
}

// Stats implements Conn. What the ring buffer had no room for is counted by the XDP program.
func (c *Ring) Stats() Stats {
	return Stats{
		Received: c.received.Load(), BadFrames: c.bad.Load(), Stale: c.stale.Load(),
		Sent: c.sent.Load(), SendErrors: c.sendErrors.Load(),
	}
}

func (c *Ring) closedError() error {
	return fmt.Errorf("ring buffer of ifindex %d: %w", c.ifindex, ErrClosed)
}
