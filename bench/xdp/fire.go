package xdp

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// liveFrames is BPF_F_TEST_XDP_LIVE_FRAMES.
const liveFrames = 1 << 1

// A run call costs some 20 ms of set-up, so it sends as much as fills a good
// while; and it cannot be stopped, so not more than that.
const (
	firstRun = 1 << 14 // frames
	leastRun = 64
	mostRun  = 1 << 24
	longRun  = 400 * time.Millisecond
	shortRun = 10 * time.Millisecond
)

// Shot says what a Fire did.
type Shot struct {
	Sent    uint64        // requests that the device took
	Refused uint64        // requests that it did not: the peer's ring was full. They are no part of Sent.
	Elapsed time.Duration // as long as sending took
}

// context of a run, struct xdp_md.
type runContext struct {
	Data, DataEnd, DataMeta      uint32
	IngressIfindex, RxQueueIndex uint32
	EgressIfindex                uint32
}

// Fire sends as fast as it goes for a time, give or take a run call, from so
// many CPUs at once. With one sender the scheduler chooses the CPU.
func (g *Gun) Fire(ctx context.Context, d time.Duration, senders int) (Shot, error) {
	if senders < 1 || senders > runtime.NumCPU() {
		return Shot{}, fmt.Errorf("live sender on %s: %d senders on %d CPUs", g.o.Interface, senders, runtime.NumCPU())
	}
	before, refusedBefore, err := g.sent()
	if err != nil {
		return Shot{}, fmt.Errorf("live sender on %s: %w", g.o.Interface, err)
	}
	begin := time.Now()
	errs := make([]error, senders)
	var wait sync.WaitGroup
	for i := range senders {
		cpu := i
		if senders == 1 {
			cpu = anyCPU
		}
		wait.Go(func() { errs[i] = g.send(ctx, begin.Add(d), cpu) })
	}
	wait.Wait()
	shot := Shot{Elapsed: time.Since(begin)}
	after, refusedAfter, err := g.sent()
	if err = errors.Join(append(errs, err)...); err != nil {
		return shot, fmt.Errorf("live sender on %s: %w", g.o.Interface, err)
	}
	shot.Refused = refusedAfter - refusedBefore
	shot.Sent = after - before - min(shot.Refused, after-before)
	return shot, nil
}

// Shoot sends n requests, in one run call on the calling goroutine's CPU.
func (g *Gun) Shoot(n int) error {
	errs := make(chan error)
	go func() {
		run, err := g.aim(anyCPU)
		if err == nil {
			run.Repeat = uint32(n)
			err = g.run(run)
		}
		errs <- err
	}()
	if err := <-errs; err != nil {
		return fmt.Errorf("live sender on %s: %w", g.o.Interface, err)
	}
	return nil
}

// sent returns how many requests were handed to the device, and how many frames it refused.
func (g *Gun) sent() (n, refused uint64, err error) {
	c, err := g.Counts()
	if err != nil {
		return 0, 0, err
	}
	refused, _, err = g.Drops()
	return c.Sent(), refused, err
}

// Drops returns the interface's own counts of frames that it could not send,
// for want of room at the peer, and could not receive. They do not begin at 0.
func (g *Gun) Drops() (tx, rx uint64, err error) {
	dev, err := g.links.LinkByIndex(g.ifindex)
	if err != nil {
		return 0, 0, err
	}
	if s := dev.Attrs().Statistics; s != nil {
		tx, rx = s.TxDropped, s.RxDropped
	}
	return tx, rx, nil
}

// anyCPU leaves the choice to the scheduler.
const anyCPU = -1

// aim makes the calling goroutine's thread a sender. The thread is locked and
// ends with the goroutine: it is in another namespace then, and may be on one CPU.
func (g *Gun) aim(cpu int) (*ebpf.RunOptions, error) {
	runtime.LockOSThread()
	if err := unix.Setns(int(g.netns.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("enter the namespace: %w", err)
	}
	if cpu != anyCPU {
		var set unix.CPUSet
		set.Set(cpu)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return nil, fmt.Errorf("bind to CPU %d: %w", cpu, err)
		}
	}
	frame := g.o.Template.t.Frame[:g.o.Template.t.Len+1] // set_length in send.h says why one more
	return &ebpf.RunOptions{
		Data:    frame,
		Context: runContext{DataEnd: uint32(len(frame)), IngressIfindex: uint32(g.ifindex)},
		Flags:   liveFrames,
		Repeat:  firstRun,
	}, nil
}

func (g *Gun) run(o *ebpf.RunOptions) error {
	if _, err := g.objects.Send.Run(o); err != nil {
		return fmt.Errorf("run live frames (Linux 5.18, CAP_SYS_ADMIN): %w", err)
	}
	return nil
}

// send sends until the end, each run call as long as what is left allows.
func (g *Gun) send(ctx context.Context, end time.Time, cpu int) error {
	run, err := g.aim(cpu)
	for err == nil && ctx.Err() == nil {
		begin := time.Now()
		if !begin.Before(end) {
			break
		}
		if err = g.run(run); err != nil {
			break
		}
		took := max(time.Since(begin), time.Microsecond)
		next := min(longRun, max(time.Until(end), shortRun))
		run.Repeat = uint32(min(max(float64(run.Repeat)*float64(next)/float64(took), leastRun), mostRun))
	}
	return errors.Join(err, ctx.Err())
}
