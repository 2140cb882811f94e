package gun

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/responder/packet"
)

const (
	burst    = 64  // requests handed to the kernel at once, at most
	received = 128 // frames taken from it at once
	// spin is how close the next request must be for a worker not to sleep; a
	// sleep ends as much before it is due.
	spin = 100 * time.Microsecond
	// longestSleep bounds how late a worker notices that the run is over.
	longestSleep = 50 * time.Millisecond
	// grace is how long after the last request has become late a late reply is still waited for.
	grace = 200 * time.Millisecond
	// slice is the length of a point in series.
	slice = 100 * time.Millisecond
)

// worker is one thread with its port. What it counts is of the run under way.
type worker struct {
	gun   *Gun
	index int
	port  port.Port
	mac   [6]byte
	plan  *plan
	judge dhcpc.Judge

	next    int64 // requests of this run so far: the next is index + next*workers
	tally   tally
	latency *result.Histogram
	packet  packet.Packet
	req     request
	reply   request
	out     [burst]port.Frame
	in      [received]port.Frame

	// For others to look at while the worker runs.
	seenSent, seenDone, seenLast atomic.Int64
	_                            [64]byte
}

// tally is what a worker counts.
type tally struct {
	sent              uint64
	answered, late    uint64
	wrong             uint64 // requests with none but wrong replies so far
	evicted           [states]uint64
	duplicates, stale uint64
	others            uint64 // replies of other servers
	reasons           [dhcpc.Reasons]uint64
	idle              time.Duration // with nothing to send and nothing received
	wall              time.Duration // until the last request was sent
	last              time.Duration // when that was
	sentIn, doneIn    []uint32      // by slice
}

// reset prepares for a run of so many slices.
func (w *worker) reset(slices int) {
	w.next = 0
	w.tally = tally{sentIn: make([]uint32, slices), doneIn: make([]uint32, slices)}
	w.latency = result.NewHistogram()
	w.seenSent.Store(0)
	w.seenDone.Store(0)
	w.seenLast.Store(0)
}

// run is what the workers of one run share.
type run struct {
	schedule Schedule
	start    time.Duration // on the gun's clock
	end      time.Duration // after start, when sending stops however much is due
	base     uint32        // serial number of the first request
	stop     atomic.Bool
	over     atomic.Int32 // workers that have sent all
}

// loop sends and receives until the run is over.
func (w *worker) loop(r *run) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	now, over, share := w.gun.now(), false, w.share(r.schedule.Total())
	for {
		elapsed, fired := now-r.start, false
		if !over && (elapsed >= r.end || w.next >= share || r.stop.Load()) {
			over = true
			r.over.Add(1)
		}
		if !over {
			if n := w.share(r.schedule.Due(elapsed)) - w.next; n > 0 {
				if err := w.fire(r, int(min(n, burst))); err != nil {
					return err
				}
				fired = true
			}
		} else if w.finished(r, elapsed) {
			return nil
		}
		wait := time.Duration(0)
		if !fired {
			wait = w.sleep(r, over, elapsed)
		}
		n, err := w.port.Recv(w.in[:], wait)
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		after := w.gun.now()
		if n == 0 {
			if !fired && !over {
				w.tally.idle += after - now
			}
		} else if err := w.take(r, n, after); err != nil {
			return err
		}
		if !over {
			w.tally.wall = after - r.start
		}
		w.seenSent.Store(int64(w.tally.sent))
		w.seenDone.Store(int64(w.tally.answered + w.tally.late))
		now = after
	}
}

// share is how many of the first n requests are this worker's.
func (w *worker) share(n int64) int64 {
	all := int64(len(w.gun.workers))
	return n/all + b2i(n%all > int64(w.index))
}

func b2i(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// finished says whether nothing more is to come, or is waited for.
func (w *worker) finished(r *run, elapsed time.Duration) bool {
	if int(r.over.Load()) < len(w.gun.workers) {
		return false
	}
	sent, done := w.gun.seen()
	return sent == done || elapsed > w.gun.lastSent()+w.gun.load.Late+grace
}

// sleep is how long to wait for a frame, at most.
func (w *worker) sleep(r *run, over bool, elapsed time.Duration) time.Duration {
	if over {
		return time.Millisecond
	}
	k := w.next*int64(len(w.gun.workers)) + int64(w.index)
	wait := r.schedule.At(k) - elapsed - spin
	return min(max(wait, 0), longestSleep)
}

// fire sends the next n requests, or as many as there is room for.
func (w *worker) fire(r *run, n int) error {
	n = w.port.Alloc(w.out[:n])
	all, table := uint32(len(w.gun.workers)), w.gun.table
	first := r.base + uint32(w.next)*all + uint32(w.index)
	for i := range n {
		serial := first + uint32(i)*all
		w.plan.make(&w.req, serial, w.gun.firstXID+serial)
		f := &w.out[i]
		if f.Data = w.req.sort.template.Frame(f.Data, &w.req.meta, &w.req.vars); f.Data == nil {
			return errors.New("a request does not fit a frame")
		}
	}
	now := w.gun.now()
	for i := range n {
		w.tally.evicted[table.put(w.gun.firstXID+first+uint32(i)*all, now)]++
	}
	w.seenSent.Store(int64(w.tally.sent) + int64(n)) // before a reply can come
	k, err := w.port.Send(w.out[:n])
	for i := k; i < n; i++ {
		table.drop(w.gun.firstXID + first + uint32(i)*all)
	}
	w.port.Release(w.out[k:n])
	if err == nil {
		err = w.port.Flush()
	}
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	w.next += int64(k)
	w.tally.sent += uint64(k)
	if k > 0 {
		w.tally.last = now - r.start
		w.seenLast.Store(int64(w.tally.last))
		w.tally.sentIn[w.slice(r, now)] += uint32(k)
	}
	return nil
}

// slice is the index of the series' point at a time.
func (w *worker) slice(r *run, now time.Duration) int {
	return min(int((now-r.start)/slice), len(w.tally.sentIn)-1)
}

func mac6(hw net.HardwareAddr) (mac [6]byte) {
	copy(mac[:], hw)
	return mac
}
