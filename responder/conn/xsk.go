package conn

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/xdpxe/xdpxe/loader/xsk"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// xskBatch is how many frames go through the socket at once.
const xskBatch = 64

// XSK is a Conn over an AF_XDP socket. Requests are parsed where the kernel
// put them, replies are built in the frame that they leave in.
type XSK struct {
	socket  *xsk.Socket
	ifindex int
	mac     [6]byte
	frames  [xskBatch]xsk.Frame

	received, bad, sent, sendErrors atomic.Uint64
}

var _ Conn = (*XSK)(nil)

// NewXSK makes a Conn of s, which it then owns and closes. ifindex is the port
// that s is bound to and becomes Meta.IfIndex; mac is the source of replies
// whose Meta names none.
func NewXSK(s *xsk.Socket, ifindex int, mac [6]byte) Conn {
	return &XSK{socket: s, ifindex: ifindex, mac: mac}
}

// Recv implements Conn. A port that is down or gone is an error that
// satisfies errors.Is(err, syscall.ENETDOWN).
func (c *XSK) Recv(dst []packet.Packet, wait time.Duration) (int, error) {
	var end time.Time
	if wait > 0 {
		end = time.Now().Add(wait)
	}
	for {
		got, err := c.socket.Recv(c.frames[:min(len(dst), xskBatch)], wait)
		if err != nil {
			return 0, xskError(err)
		}
		n := c.parse(dst, c.frames[:got])
		// Frames that are no requests must not end the wait; nothing at all, or Wake, does.
		if n > 0 || got == 0 {
			return n, nil
		}
		if wait > 0 {
			if wait = time.Until(end); wait <= 0 {
				return 0, nil
			}
		}
	}
}

// parse turns frames into packets; what is not parseable goes back at once.
func (c *XSK) parse(dst []packet.Packet, frames []xsk.Frame) (n int) {
	for i := range frames {
		p := &dst[n]
		if packet.Parse(frames[i].Data(), p) != packet.Answered {
			c.bad.Add(1)
			c.socket.Release(frames[i : i+1])
			continue
		}
		p.IfIndex, p.Token = c.ifindex, requestToken(frames[i].ID)
		n++
	}
	c.received.Add(uint64(len(frames)))
	return n
}

// Alloc implements Conn. The payload stands at xsk.Headroom in its frame, the
// headers will go in front of it.
func (c *XSK) Alloc(dst []packet.Packet) (n int) {
	for n < len(dst) {
		got := c.socket.Alloc(c.frames[:min(len(dst)-n, xskBatch)])
		if got == 0 {
			break
		}
		for i := range c.frames[:got] {
			f := &c.frames[i]
			dst[n] = packet.Packet{Payload: f.Buf[xsk.Headroom:xsk.Headroom], Token: requestToken(f.ID) | replyToken}
			n++
		}
	}
	return n
}

// Send implements Conn. What cannot be built is counted and dropped; what the
// TX ring has no room for stays the caller's.
func (c *XSK) Send(p []packet.Packet) (n int, err error) {
	if c.socket.Closed() {
		return 0, xskError(xsk.ErrClosed)
	}
	for n < len(p) {
		run := c.build(p[n:])
		if run == 0 {
			c.refuse(p[n : n+1])
			n++
			continue
		}
		took, err := c.socket.Send(c.frames[:run])
		n += took
		c.sent.Add(uint64(took))
		if err != nil {
			return n, xskError(err)
		}
		if took < run {
			break
		}
	}
	return n, nil
}

// build makes frames of the packets in front of the first that cannot be sent.
func (c *XSK) build(p []packet.Packet) (n int) {
	p = p[:min(len(p), xskBatch)]
	for n < len(p) {
		id, reply, ok := tokenID(p[n].Token)
		if !ok || !reply {
			break
		}
		c.frames[n] = xsk.Frame{ID: id}
		n++
	}
	n = c.socket.Held(c.frames[:n])
	for i := range n {
		f, m := &c.frames[i], &p[i].Meta
		addressFrame(m, c.mac)
		f.Off = xsk.Headroom - packet.HeaderLen(m)
		if !settle(f.Buf[xsk.Headroom:], p[i].Payload) {
			return i
		}
		if f.Len = packet.Build(f.Buf[f.Off:], m, len(p[i].Payload)); f.Len == 0 {
			return i
		}
	}
	return n
}

// refuse counts replies that cannot be sent and takes their frames back.
func (c *XSK) refuse(p []packet.Packet) {
	c.sendErrors.Add(uint64(len(p)))
	c.Release(p)
}

// Release implements Conn.
func (c *XSK) Release(p []packet.Packet) {
	for len(p) > 0 {
		n := 0
		for n < len(p) && n < xskBatch {
			id, _, ok := tokenID(p[n].Token)
			if !ok {
				id = ^uint32(0)
			}
			c.frames[n] = xsk.Frame{ID: id}
			n++
		}
		c.socket.Release(c.frames[:n])
		p = p[n:]
	}
}

// Flush implements Conn. A port that is down or gone is an error that
// satisfies errors.Is(err, syscall.ENETDOWN).
func (c *XSK) Flush() error { return xskError(c.socket.Flush()) }

// Wake implements Conn.
func (c *XSK) Wake() { c.socket.Wake() }

// Close implements Conn. The socket is down once the owner has released what it holds.
func (c *XSK) Close() error { return c.socket.Close() }

// Stats implements Conn.
func (c *XSK) Stats() Stats {
	k := c.socket.Stats()
	return Stats{
		Received: c.received.Load(), BadFrames: c.bad.Load(),
		Sent: c.sent.Load(), SendErrors: c.sendErrors.Load() + k.TxInvalid,
		Dropped: k.RxDropped + k.RxRingFull,
	}
}

func xskError(err error) error {
	if errors.Is(err, xsk.ErrClosed) {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return err
}
