package tftpload

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/bench/tftpc"
)

// client is one simulated machine.
type client struct {
	tftpc.Client
	index   int
	slow    bool
	probing bool
	loops   int     // still to do, the running one included
	server  address // with the port of the last packet
	in, out rand.PCG

	sock   *socket
	armed  time.Duration // the earliest expire event of this socket
	free   time.Duration // when a slow client is done with what it took
	paused bool          // until then

	began time.Duration // the transfer, its probe included
	bytes int64         // of the files that came, over all loops
	busy  time.Duration // spent on transfers

	spanned bool // its transfers get spans
	marks   []result.Mark
}

// socket is a client's for one transfer, which it stands for. Packets that are
// delayed on their way out keep it open.
type socket struct {
	fd     int
	flying int
	ended  bool
}

func (s *socket) closeIfDone() {
	if s.ended && s.flying == 0 {
		unix.Close(s.fd)
		s.fd = -1
	}
}

// worker is one thread with its share of the clients.
type worker struct {
	cfg      *Config
	transfer tftpc.Config
	probe    tftpc.Config
	impaired [2]Impairment // out: for the quick, for the slow
	v6       bool
	buffer   int // bytes of a socket's receive buffer

	epfd    int
	start   time.Time
	arrival []time.Duration // of all clients
	clients []client
	running int // clients that are not done
	flying  int // delayed packets on their way out
	queue   queue
	pool    [][]byte
	rx      receiver
	tally   tally
	fault   error

	stop  *atomic.Bool
	moved atomic.Int64 // bytes so far, for progress
	ended atomic.Int64 // transfers so far
}

func (w *worker) clock() time.Duration { return time.Since(w.start) }

// prepare opens the sockets of the first transfers, so that they can all begin at once.
func (w *worker) prepare() (err error) {
	if w.epfd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	for i := range w.clients {
		if err := w.open(&w.clients[i], i); err != nil {
			return err
		}
	}
	return nil
}

// open gives client c, the i-th of the worker, a socket of its own.
func (w *worker) open(c *client, i int) error {
	source, err := w.cfg.source(c.index)
	if err != nil {
		return err
	}
	fd, err := openSocket(source, w.v6, w.cfg.GRO, w.buffer)
	if err != nil {
		return err
	}
	if err := unix.EpollCtl(w.epfd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}); err != nil {
		unix.Close(fd)
		return fmt.Errorf("epoll: %w", err)
	}
	c.sock, c.armed, c.paused, c.free = &socket{fd: fd}, tftpc.Never, false, 0
	return nil
}

// close closes whatever is still open.
func (w *worker) close() {
	for i := range w.clients {
		if s := w.clients[i].sock; s != nil && s.fd >= 0 {
			unix.Close(s.fd)
			s.fd = -1
		}
	}
	for _, e := range w.queue.heap {
		if e.sock != nil && e.sock.fd >= 0 {
			unix.Close(e.sock.fd)
			e.sock.fd = -1
		}
	}
	if w.epfd >= 0 {
		unix.Close(w.epfd)
	}
}

// lookEvery bounds a wait, so that an order to stop is seen.
const lookEvery = 50 * time.Millisecond

// run plays the clients until all are done.
func (w *worker) run() {
	for i := range w.clients {
		w.queue.push(event{at: w.arrival[w.clients[i].index], kind: begin, client: int32(i)})
	}
	var events [256]unix.EpollEvent
	for w.running > 0 || w.flying > 0 {
		if w.stop.Load() {
			w.abandon()
			return
		}
		now := w.clock()
		wait := lookEvery
		for {
			at, ok := w.queue.first()
			if ok && at <= now {
				w.due(w.queue.pop(), now)
				continue
			}
			if ok {
				wait = min(wait, at-now)
			}
			break
		}
		n, errno := epollWait(w.epfd, events[:], wait)
		if errno != 0 {
			continue // EINTR
		}
		for _, e := range events[:n] {
			w.ready(int(e.Fd), e.Events)
		}
	}
}

// due does what the time has come for.
func (w *worker) due(e event, now time.Duration) {
	c := &w.clients[e.client]
	switch e.kind {
	case begin:
		c.began = now
		w.begin(c, now)
		return
	case transmit:
		w.transmit(c, e.sock, e.port, e.packet)
		w.pool = append(w.pool, e.packet)
		w.flying--
		e.sock.flying--
		e.sock.closeIfDone()
		return
	case deliver:
		if e.sock == c.sock {
			w.take(c, now, e.port, e.packet)
			w.settle(c, now)
		}
		w.pool = append(w.pool, e.packet)
		return
	}
	if e.sock != c.sock {
		return // of a transfer that ended
	}
	switch e.kind {
	case resume:
		c.paused = false
		w.interest(c, unix.EPOLLIN)
		w.receive(c, now) // before its patience is asked for
		w.settle(c, now)
	case expire:
		if e.at != c.armed {
			return // an earlier one took its place
		}
		c.armed = tftpc.Never
		switch {
		case now >= c.began+w.cfg.Timeout:
			w.send(c, now, c.Abort(now, 0, "out of patience"))
		case !c.paused: // what a slow client did not read is no silence
			if p := c.Expire(now); p != nil {
				w.send(c, now, p)
				c.mark(now, "retry")
			}
		}
		w.settle(c, now)
	}
}

// begin sends the request of a transfer, or of its probe.
func (w *worker) begin(c *client, now time.Duration) {
	cfg := &w.transfer
	c.probing = w.cfg.Probe && !c.probing
	if c.probing {
		cfg = &w.probe
	}
	w.send(c, now, c.Start(now, cfg))
	w.settle(c, now)
}

// settle draws the conclusions from what happened to a client.
func (w *worker) settle(c *client, now time.Duration) {
	if c.Outcome() != tftpc.Running {
		w.finish(c, now)
		return
	}
	at := min(c.Deadline(), c.began+w.cfg.Timeout)
	if c.paused {
		at = max(at, c.free)
	}
	if at < c.armed {
		c.armed = at
		w.queue.push(event{at: at, kind: expire, client: w.place(c), sock: c.sock})
	}
}

// place is the client's index in the worker.
func (w *worker) place(c *client) int32 { return int32(c.index / w.cfg.Threads) }

// finish ends a transfer and begins the next.
func (w *worker) finish(c *client, now time.Duration) {
	w.drop(c)
	w.tally.packets(c)
	if c.probing && c.Outcome() == tftpc.Done {
		w.next(c, now)
		return
	}
	w.tally.transfer(c, now)
	w.ended.Add(1)
	c.probing = false
	if c.loops--; c.loops > 0 {
		c.began = now
		w.next(c, now)
		return
	}
	w.running--
}

// drop gives up a client's socket.
func (w *worker) drop(c *client) {
	w.tally.lost(c, lost(c.sock.fd))
	c.sock.ended = true
	if c.sock.flying > 0 {
		_ = unix.EpollCtl(w.epfd, unix.EPOLL_CTL_DEL, c.sock.fd, nil) // it is there
	}
	c.sock.closeIfDone()
	c.sock = nil
}

// next begins a transfer on a new socket.
func (w *worker) next(c *client, now time.Duration) {
	if err := w.open(c, int(w.place(c))); err != nil {
		n := uint64(c.loops)
		w.tally.fail(err.Error(), n)
		w.ended.Add(int64(n))
		w.running--
		return
	}
	w.begin(c, now)
}

// abandon ends all transfers: the load was told to stop.
func (w *worker) abandon() {
	now := w.clock()
	for i := range w.clients {
		c := &w.clients[i]
		if c.sock == nil {
			continue
		}
		if c.Outcome() == tftpc.Running && c.Client.Stats().Requests > 0 {
			if p := c.Abort(now, 0, "stopped"); p != nil {
				w.transmit(c, c.sock, w.port(c), p)
			}
			w.drop(c)
			w.tally.packets(c)
			w.tally.transfer(c, now)
			c.loops--
		}
		w.tally.fail("not begun", uint64(c.loops))
	}
}

// interest says what of a client's socket is wanted.
func (w *worker) interest(c *client, events uint32) {
	_ = unix.EpollCtl(w.epfd, unix.EPOLL_CTL_MOD, c.sock.fd, &unix.EpollEvent{Events: events, Fd: w.place(c)}) // it is there
}
