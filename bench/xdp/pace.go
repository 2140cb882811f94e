package xdp

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cilium/ebpf"
)

// catchUp is how long a paced sender sends after its time what is still due.
const catchUp = 100 * time.Millisecond

// Pace sends at a rate, in requests a second, for a time. What a stall of the
// sender's thread delays it sends as soon as it can, as far as that is not later
// than catchUp after the time. That it sends fewer than were due is no error.
func (g *Gun) Pace(ctx context.Context, rate float64, d time.Duration) (Shot, error) {
	s := settings{Rate: uint64(rate), Total: uint64(rate*d.Seconds() + 0.5), Until: uint64(d + catchUp)}
	if s.Rate < 1 || s.Total < 1 || s.Total > mostPaced || s.Until*s.Rate/s.Rate != s.Until {
		return Shot{}, fmt.Errorf("live sender on %s: %g requests a second for %v: out of range", g.o.Interface, rate, d)
	}
	before, refusedBefore, err := g.sent()
	if err != nil {
		return Shot{}, fmt.Errorf("live sender on %s: %w", g.o.Interface, err)
	}
	errs := make(chan error)
	var p pace
	go func() {
		var err error
		p, err = g.pace(ctx, s)
		errs <- errors.Join(err, g.set(settings{}))
	}()
	shot := Shot{}
	if err := <-errs; err != nil {
		return shot, fmt.Errorf("live sender on %s: %w", g.o.Interface, err)
	}
	after, refusedAfter, err := g.sent()
	if err != nil {
		return shot, fmt.Errorf("live sender on %s: %w", g.o.Interface, err)
	}
	shot.Elapsed = time.Duration(p.Ended - p.Begun)
	shot.Refused = refusedAfter - refusedBefore
	shot.Sent = after - before - min(shot.Refused, after-before)
	return shot, nil
}

// mostPaced bounds the requests of a paced run: serial numbers are of 32 bits.
const mostPaced = 1 << 31

// calibration is how many frames it takes to find out what one costs that is not sent.
const calibration = 1 << 16

// pace keeps a rate from the calling goroutine's thread. A run call takes some
// 25 ms to begin and to end, in which nothing is sent, and cannot be stopped: so
// one that is as long as the time is wanted, and its number of frames follows
// from what a frame costs that is not sent. If the time is over before the
// frames are, the rest is quickly through.
func (g *Gun) pace(ctx context.Context, s settings) (p pace, err error) {
	run, err := g.aim(anyCPU)
	if err != nil {
		return p, err
	}
	run.Repeat = calibration
	if p, err = g.paced(run, settings{Rate: s.Rate}, pace{}); err != nil {
		return p, err
	}
	cost := max(float64(p.Last-p.Begun)/float64(p.Frames), 1)
	p = pace{}
	for ctx.Err() == nil && p.Sent < s.Total && p.Last-p.Begun < s.Until {
		left := s.Until - (p.Last - p.Begun)
		run.Repeat = uint32(min(max(float64(left)/cost, leastRun), math.MaxInt32))
		if p, err = g.paced(run, s, p); err != nil {
			return p, err
		}
	}
	return p, ctx.Err()
}

// paced does one run call with settings, that goes on from p.
func (g *Gun) paced(run *ebpf.RunOptions, s settings, p pace) (pace, error) {
	if err := g.objects.PaceMap.Put(uint32(0), p); err != nil {
		return p, fmt.Errorf("%s: %w", gunMapPaceMap, err)
	}
	err := g.set(s)
	if err == nil {
		err = g.run(run)
	}
	if err == nil {
		err = g.objects.PaceMap.Lookup(uint32(0), &p)
	}
	return p, err
}
