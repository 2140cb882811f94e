package gun

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/xdpxe/xdpxe/bench/port"
)

// Gun loads a server. Its runs come one after the other; it has one owner.
type Gun struct {
	load     Load
	workers  []*worker
	table    table
	firstXID uint32
	serial   uint32 // of the next run's first request
	now      func() time.Duration

	// Progress, if set, is called about once a second while a run lasts, on a
	// goroutine of its own.
	Progress func(Progress)
}

// Progress is how far a run is.
type Progress struct {
	Elapsed        time.Duration
	Sent, Answered int64 // in all; late ones are answered here
}

// catchUp is how long, at most, a gun sends after its schedule's end what is
// still due: a short stall of its thread should not end a run early.
const catchUp = 100 * time.Millisecond

// leastTable is the size of the table for a small rate.
const leastTable = 1 << 16

// New makes a gun of ports, which stay the caller's to close. Where the load
// needs the server's MAC and does not name it, it is asked for by ARP.
func New(ctx context.Context, load Load, ports []port.Port) (*Gun, error) {
	begin := time.Now()
	return newGun(ctx, load, ports, func() time.Duration { return time.Since(begin) })
}

func newGun(ctx context.Context, load Load, ports []port.Port, now func() time.Duration) (*Gun, error) {
	g := &Gun{load: load, firstXID: rand.Uint32(), now: now}
	if err := g.load.complete(); err != nil {
		return nil, err
	}
	if load.Bounced {
		return nil, errors.New("only the live sender takes requests that come back for answers")
	}
	if len(ports) == 0 {
		return nil, errors.New("no ports")
	}
	unicast := g.load.Relay.IsValid() || g.load.What != Discover
	if unicast && g.load.ServerMAC == [6]byte{} {
		var err error
		if g.load.ServerMAC, err = resolve(ctx, &g.load, ports, now); err != nil {
			return nil, err
		}
	}
	for i, p := range ports {
		mac := mac6(p.MAC())
		plan, err := newPlan(&g.load, mac, g.load.ServerMAC)
		if err != nil {
			return nil, err
		}
		g.workers = append(g.workers, &worker{gun: g, index: i, port: p, mac: mac, plan: plan})
	}
	return g, nil
}

// seen is how much the workers have sent, and how much of that was answered.
func (g *Gun) seen() (sent, done int64) {
	for _, w := range g.workers {
		done += w.seenDone.Load()
	}
	for _, w := range g.workers {
		sent += w.seenSent.Load()
	}
	return sent, done
}

// lastSent is when the last request of the run was sent.
func (g *Gun) lastSent() (last time.Duration) {
	for _, w := range g.workers {
		last = max(last, time.Duration(w.seenLast.Load()))
	}
	return last
}

// Run sends by the schedule, and waits for replies until all have come or the
// last request is late. The end of ctx ends the sending; what came until then
// is the outcome, with ctx's error.
func (g *Gun) Run(ctx context.Context, s Schedule) (*Outcome, error) {
	if s.For <= 0 || !s.Saturate && (s.From < 0 || s.To < 0 || s.From+s.To == 0) {
		return nil, fmt.Errorf("schedule of %v at %g to %g requests a second: nothing to send", s.For, s.From, s.To)
	}
	g.makeTable(s)
	r := &run{schedule: s, base: g.serial, end: s.For}
	if !s.Saturate {
		r.end += min(s.For/20, catchUp)
	}
	if uint64(r.base)+uint64(min(s.Total(), 1<<31)) >= 1<<32 { // xids of earlier runs are told from unknown ones
		r.base, g.firstXID = 0, rand.Uint32()
	}
	slices := int((s.For+g.load.Late+grace)/slice) + 1
	for _, w := range g.workers {
		w.reset(slices)
	}
	before := g.stats()
	r.start = g.now()
	ended := context.AfterFunc(ctx, func() { r.stop.Store(true) })
	defer ended()
	err := g.work(r)
	o := g.outcome(r, before)
	if err == nil {
		err = o.check()
	}
	return o, errors.Join(err, ctx.Err())
}

const (
	warmTime  = 3 * time.Second
	warmEvery = 100 * time.Millisecond
)

// Warm sends single requests until one is answered, at most for a few seconds:
// caches fill, and a cable that was just plugged in drops what comes first. It
// says whether an answer came.
func (g *Gun) Warm(ctx context.Context) (bool, error) {
	progress, late := g.Progress, g.load.Late
	g.Progress, g.load.Late = nil, warmEvery
	defer func() { g.Progress, g.load.Late = progress, late }()
	for begin := g.now(); g.now()-begin < warmTime; {
		o, err := g.Run(ctx, Schedule{From: 1, To: 1, For: time.Second / 2})
		if err != nil || o.Answered+o.Late > 0 {
			return err == nil, err
		}
	}
	return false, nil
}

// makeTable makes room for all that may be outstanding, twice over: so late
// replies, too, find their request.
func (g *Gun) makeTable(s Schedule) {
	rate := s.Peak()
	if s.Saturate {
		rate = saturation
	}
	if want := max(int(2*rate*(g.load.Late+grace).Seconds()), leastTable); len(g.table) < want {
		g.table = newTable(want)
	}
}

// saturation is more requests a second than any one port sends here.
const saturation = 1e6

// work runs the workers and reports progress.
func (g *Gun) work(r *run) error {
	errs := make([]error, len(g.workers))
	var wait sync.WaitGroup
	for i, w := range g.workers {
		wait.Go(func() {
			if errs[i] = w.loop(r); errs[i] != nil {
				r.stop.Store(true)
			}
		})
	}
	done := make(chan struct{})
	var reporter sync.WaitGroup
	if g.Progress != nil {
		reporter.Go(func() { g.report(r, done) })
	}
	wait.Wait()
	close(done)
	reporter.Wait()
	return errors.Join(errs...)
}

func (g *Gun) report(r *run, done <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			sent, answered := g.seen()
			g.Progress(Progress{Elapsed: g.now() - r.start, Sent: sent, Answered: answered})
		}
	}
}

// stats adds up what the ports say.
func (g *Gun) stats() (sum port.Stats) {
	for _, w := range g.workers {
		s := w.port.Stats()
		sum.Sent += s.Sent
		sum.SendErrors += s.SendErrors
		sum.Received += s.Received
		sum.Dropped += s.Dropped
	}
	return sum
}
