package responder

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/xdpxe/xdpxe/responder/conn"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/publish"
)

// batch is how many requests a worker takes at once: enough to share one
// wake-up of the transmit side, small enough to stay in the cache.
const batch = 64

// Turn is how long a worker waits for packets at most, so that Alive can tell
// an idle worker from a stuck one: ask it for several of them.
const Turn = 250 * time.Millisecond

// worker is one Conn's loop. Counters apart, everything here has one owner.
type worker struct {
	server  *Server
	conn    conn.Conn
	iface   string
	tier    string
	counts  *counters
	answers *dhcp.Responder
	dhcp    *dhcp.Worker
	filter  logFilter
	offers  *publish.Offers // nil: the kernel did not see these requests first
	turned  atomic.Int64    // unix nanoseconds of the last turn of the loop

	in, out [batch]packet.Packet
	spare   packet.Packet // where an answer goes that there is no frame for
	nowhere [conn.MaxPayload]byte
	event   Event // the last one, in a place that observers can be shown
}

// drainFor bounds how long what still waits when a worker is to end is answered.
const drainFor = 500 * time.Millisecond

// Serve answers what c receives until ctx ends or c fails, then what waits in c
// at that moment, and closes c. iface and tier label the counters; offers, unless
// nil, gets what is answered. It returns nil when ctx ended it.
func (s *Server) Serve(ctx context.Context, c conn.Conn, iface, tier string, offers *publish.Offers) error {
	// A worker sleeps in poll(2), not in Go's netpoller, and its AF_XDP rings
	// and caches want one thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	shortTurns()
	defer c.Close()
	stop := context.AfterFunc(ctx, c.Wake)
	defer stop()

	w := &worker{server: s, conn: c, iface: iface, tier: tier, counts: s.countersFor(iface, tier), offers: offers}
	w.turned.Store(time.Now().UnixNano())
	s.join(w)
	defer s.leave(w)
	for ctx.Err() == nil {
		if _, err := w.turn(Turn); err != nil {
			if ctx.Err() != nil || errors.Is(err, conn.ErrClosed) {
				return nil
			}
			return fmt.Errorf("%s: %s: %w", iface, tier, err)
		}
	}
	for end := time.Now().Add(drainFor); time.Now().Before(end); {
		if n, err := w.turn(0); n == 0 || err != nil {
			break // an error: nobody is left to be told
		}
	}
	return nil
}

// turn receives one batch, for which it waits so long, and answers it. It
// returns how many requests there were.
func (w *worker) turn(wait time.Duration) (n int, err error) {
	n, err = w.conn.Recv(w.in[:], wait)
	if err != nil {
		return 0, err
	}
	now := time.Now()
	w.turned.Store(now.UnixNano())
	if n == 0 {
		return 0, nil
	}
	defer w.conn.Release(w.in[:n])
	w.tapAll(now, false, w.in[:n])

	room := w.conn.Alloc(w.out[:n])
	used := w.handle(now, w.in[:n], w.out[:room])
	w.tapAll(now, true, w.out[:used])
	sent, err := w.conn.Send(w.out[:used])
	for range used - sent {
		w.counts.add(dhcp.StageOther, packet.SendError, 0)
	}
	w.conn.Release(w.out[sent:room])
	if err != nil {
		return n, err
	}
	return n, w.conn.Flush()
}

// handle answers in into out and returns how many replies there are.
func (w *worker) handle(now time.Time, in, out []packet.Packet) (used int) {
	// First, so that templates of these answers are void once others hold.
	generation := w.offers.Generation()
	answers, links := w.server.answers.Load(), w.server.links.Load()
	if answers == nil || links == nil {
		return 0
	}
	if answers != w.answers {
		w.answers, w.dhcp = answers, answers.NewWorker()
	}
	for i := range in {
		// Without a frame for the answer observers hear of the request all the same.
		room := used < len(out)
		w.spare.Payload = w.nowhere[:0]
		reply := &w.spare
		if room {
			reply = &out[used]
		}
		link := links.find(&in[i].Meta)
		res := w.dhcp.Handle(now, link, &in[i], reply)
		if !room && res.Reason == packet.Answered {
			res.Reason = packet.NoBuffer
		}
		w.counts.add(res.Stage, res.Reason, res.Notes)
		w.offers.Offer(now, generation, answers, link, &in[i], &res)
		if w.server.observers != nil {
			w.event = event(now, w.iface, w.tier, &in[i], &res)
			w.server.observe(&w.event, w.dhcp.Machine())
		}
		if w.filter.pass(now, res.MAC[:res.MACLen], res.Stage, res.Reason, res.Notes) {
			if w.filter.spend(now) {
				w.server.journal.offer(event(now, w.iface, w.tier, &in[i], &res))
			} else {
				w.server.journal.dropped.Add(1)
			}
		}
		if res.Reason == packet.Answered {
			used++
		}
	}
	return used
}

func (w *worker) tapAll(now time.Time, out bool, packets []packet.Packet) {
	if !w.server.taps.on() {
		return
	}
	for i := range packets {
		w.server.taps.show(now, w.iface, out, &packets[i])
	}
}
