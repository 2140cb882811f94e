package conn

import (
	"fmt"
	"sync"
	"time"

	"github.com/xdpxe/xdpxe/responder/packet"
)

const fakeBufSize = 2048

// Fake is a Conn in memory, for tests of what runs on one. Inject gives it
// requests, Replies takes what was flushed. Its methods are safe for
// concurrent use, so that a test can feed a worker that runs.
type Fake struct {
	mu       sync.Mutex
	changed  *sync.Cond // something below changed
	requests *pool
	replies  *pool
	arrived  []packet.Packet // in buffers of requests
	queued   []packet.Packet // sent, not flushed: in buffers of replies
	flushed  []packet.Packet // copies
	fail     error           // for the next Recv
	woken    bool
	closed   bool
	stats    Stats
}

var _ Conn = (*Fake)(nil)

// NewFake returns a Fake with so many buffers in each direction.
func NewFake(buffers int) *Fake {
	f := &Fake{requests: newPool(buffers, fakeBufSize), replies: newPool(buffers, fakeBufSize)}
	f.changed = sync.NewCond(&f.mu)
	return f
}

// Inject makes a copy of p arrive. Without a free buffer it is dropped, and
// counted, like on any transport; then Inject returns false.
func (f *Fake) Inject(p packet.Packet) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.inject(p)
}

func (f *Fake) inject(p packet.Packet) bool {
	id, ok := f.requests.get()
	if !ok || len(p.Payload) > fakeBufSize {
		if ok {
			f.requests.put(id)
		}
		f.stats.Dropped++
		return false
	}
	buf := f.requests.buf(id)
	p.Payload = buf[:copy(buf, p.Payload)]
	p.Token = requestToken(id)
	f.arrived = append(f.arrived, p)
	f.changed.Broadcast()
	return true
}

// InjectFrame makes an Ethernet frame arrive on a port, as it does on AF_XDP and ring buffer.
func (f *Fake) InjectFrame(ifindex int, frame []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	var p packet.Packet
	if packet.Parse(frame, &p) != packet.Answered {
		f.stats.Received++
		f.stats.BadFrames++
		return false
	}
	p.IfIndex = ifindex
	return f.inject(p)
}

// Fail makes the next Recv return err.
func (f *Fake) Fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = err
	f.changed.Broadcast()
}

// Replies waits until n replies were flushed since the last call, or the Fake
// was closed, and takes those that were.
func (f *Fake) Replies(n int) []packet.Packet {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.flushed) < n && !f.closed {
		f.changed.Wait()
	}
	out := f.flushed
	f.flushed = nil
	return out
}

// Settle waits until everything injected was received and every buffer is
// back: until the worker is done with it. It returns early when the Fake is closed.
func (f *Fake) Settle() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for !f.closed && (len(f.requests.free) < len(f.requests.state) || len(f.replies.free) < len(f.replies.state)) {
		f.changed.Wait()
	}
}

// Held returns how many buffers are not back: injected and not released, allocated and not flushed.
func (f *Fake) Held() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.requests.state) - len(f.requests.free) + len(f.replies.state) - len(f.replies.free)
}

// Recv implements Conn.
func (f *Fake) Recv(dst []packet.Packet, wait time.Duration) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	timeUp := wait == 0
	if wait > 0 {
		timer := time.AfterFunc(wait, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			timeUp = true
			f.changed.Broadcast()
		})
		defer timer.Stop()
	}
	for {
		switch {
		case f.closed:
			return 0, fmt.Errorf("fake: %w", ErrClosed)
		case f.fail != nil:
			err := f.fail
			f.fail = nil
			return 0, fmt.Errorf("fake: %w", err)
		}
		n := copy(dst, f.arrived)
		f.arrived = append(f.arrived[:0], f.arrived[n:]...)
		f.stats.Received += uint64(n)
		if n > 0 || timeUp || f.woken || len(dst) == 0 {
			f.woken = false
			return n, nil
		}
		f.changed.Wait()
	}
}

// Alloc implements Conn.
func (f *Fake) Alloc(dst []packet.Packet) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0
	}
	return allocReplies(dst, f.replies, packet.MaxHeader)
}

// Send implements Conn. It takes everything.
func (f *Fake) Send(p []packet.Packet) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0, fmt.Errorf("fake: %w", ErrClosed)
	}
	for i := range p {
		id, buf, ok := replyBuffer(p[i].Token, f.replies)
		if !ok || !p[i].Src.Addr().Is4() || !p[i].Dst.Addr().Is4() || !settle(buf[packet.MaxHeader:], p[i].Payload) {
			f.stats.SendErrors++
			release(p[i:i+1], f.requests, f.replies)
			continue
		}
		f.replies.state[id] = bufSent
		q := p[i]
		q.Payload = buf[packet.MaxHeader:][:len(q.Payload)]
		f.queued = append(f.queued, q)
	}
	return len(p), nil
}

// Release implements Conn.
func (f *Fake) Release(p []packet.Packet) {
	f.mu.Lock()
	defer f.mu.Unlock()
	release(p, f.requests, f.replies)
	f.changed.Broadcast()
}

// Flush implements Conn.
func (f *Fake) Flush() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return fmt.Errorf("fake: %w", ErrClosed)
	}
	for _, p := range f.queued {
		id, _, _ := tokenID(p.Token)
		p.Payload = append([]byte(nil), p.Payload...)
		p.Token = 0
		f.flushed = append(f.flushed, p)
		f.replies.done(id)
		f.stats.Sent++
	}
	f.queued = f.queued[:0]
	f.changed.Broadcast()
	return nil
}

// Wake implements Conn.
func (f *Fake) Wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.woken = true
	f.changed.Broadcast()
}

// Close implements Conn.
func (f *Fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.changed.Broadcast()
	return nil
}

// Stats implements Conn.
func (f *Fake) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stats
}
