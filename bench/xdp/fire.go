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
	firstRun = 1 << 14
	longRun  = 400 * time.Millisecond
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
		return Shot{}, err
	}
	begin := time.Now()
	errs := make([]error, senders)
	var wait sync.WaitGroup
	for i := range senders {
		wait.Go(func() { errs[i] = g.send(ctx, begin.Add(d), i, senders > 1) })
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

// sent returns how many requests were handed to the device, and how many frames it refused.
func (g *Gun) sent() (n, refused uint64, err error) {
	c, err := g.Counts()
	if err != nil {
		return 0, 0, err
	}
	dev, err := g.links.LinkByIndex(g.ifindex)
	if err != nil {
		return 0, 0, err
	}
	if s := dev.Attrs().Statistics; s != nil {
		refused = s.TxDropped
	}
	return c[counterSent], refused, nil
}

func (g *Gun) send(ctx context.Context, end time.Time, sender int, pin bool) error {
	// The thread ends with the goroutine: it is in another namespace now, and on one CPU.
	runtime.LockOSThread()
	if err := unix.Setns(int(g.netns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the namespace: %w", err)
	}
	if pin {
		var set unix.CPUSet
		set.Set(sender)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return fmt.Errorf("bind to CPU %d: %w", sender, err)
		}
	}
	frame := g.o.Template.t.Frame[:g.o.Template.t.Len]
	run := ebpf.RunOptions{
		Data:    frame,
		Context: runContext{DataEnd: uint32(len(frame)), IngressIfindex: uint32(g.ifindex)},
		Flags:   liveFrames,
		Repeat:  firstRun,
	}
	for ctx.Err() == nil {
		begin := time.Now()
		left := end.Sub(begin)
		if left <= 0 {
			break
		}
		if _, err := g.objects.Send.Run(&run); err != nil {
			return fmt.Errorf("run live frames (Linux 5.18, CAP_SYS_ADMIN): %w", err)
		}
		took := max(time.Since(begin), time.Microsecond)
		run.Repeat = uint32(float64(run.Repeat) * float64(min(longRun, max(time.Until(end), 10*time.Millisecond))) / float64(took))
		run.Repeat = max(run.Repeat, 64)
	}
	return ctx.Err()
}
