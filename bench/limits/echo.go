package limits

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/bench/xdp"
)

// closer ends an echo.
type closer func() error

func bounce(int) (closer, error) {
	b, err := xdp.OpenBounce(device)
	if err != nil {
		return nil, err
	}
	return b.Close, nil
}

func startUDPEcho(queues int) (closer, error) {
	e, err := openUDPEcho(queues)
	if err != nil {
		return nil, err
	}
	return e.close, nil
}

// startAFXDPEcho swaps the MAC addresses of every frame and sends it back.
func startAFXDPEcho(queues int) (closer, error) {
	ports, err := port.OpenQueues(port.Options{Interface: device, Kind: port.XDP}, queues)
	if err != nil {
		return nil, err
	}
	var stop atomic.Bool
	var wait sync.WaitGroup
	errs := make([]error, 2*queues)
	for i, p := range ports {
		wait.Go(func() { errs[i] = reflect(p, &stop) })
	}
	return func() error {
		stop.Store(true)
		wait.Wait()
		for i, p := range ports {
			errs[queues+i] = p.Close()
		}
		return errors.Join(errs...)
	}, nil
}

func reflect(p port.Port, stop *atomic.Bool) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	frames := make([]port.Frame, echoBatch)
	for !stop.Load() {
		n, err := p.Recv(frames, stopEvery*time.Microsecond)
		if err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		for _, f := range frames[:n] {
			var mac [6]byte
			copy(mac[:], f.Data)
			copy(f.Data, f.Data[6:12])
			copy(f.Data[6:], mac[:])
		}
		sent, err := p.Send(frames[:n])
		// What finds no room on the way back is lost, as with any server.
		p.Release(frames[sent:n])
		if err = errors.Join(err, p.Flush()); err != nil {
			return err
		}
	}
	return nil
}

// flood is what came of flooding an echo.
type flood struct {
	sent, returned uint64
	elapsed        time.Duration
}

const (
	// warmUp lets the caches fill and the CPU wake up.
	warmUp = 100 * time.Millisecond
	// quiet without a frame is the end of what comes back.
	quiet = 50 * time.Millisecond
)

// floodEcho starts an echo at the far end of a cable with so many queues, and
// floods it from as many CPUs.
func floodEcho(ctx context.Context, start func(queues int) (closer, error), queues int, d time.Duration) (f flood, err error) {
	c, err := lay(queues)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	var stop closer
	if err := c.far.Do(func() error { stop, err = start(queues); return err }); err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	g, err := c.gun()
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	if _, err := g.Fire(ctx, min(warmUp, d), queues); err != nil {
		return f, err
	}
	before, err := g.Settle(ctx, quiet)
	if err != nil {
		return f, err
	}
	shot, err := g.Fire(ctx, d, queues)
	if err != nil {
		return f, err
	}
	after, err := g.Settle(ctx, quiet)
	if err != nil {
		return f, err
	}
	return flood{sent: shot.Sent, returned: after.Frames() - before.Frames(), elapsed: shot.Elapsed}, nil
}
