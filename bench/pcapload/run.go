package pcapload

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/xdpxe/xdpxe/bench/port"
)

const (
	burst    = 64 // requests handed to the kernel at once, at most
	received = 64 // frames taken from it at once
	// longestSleep bounds how late the end of the context is noticed.
	longestSleep = 50 * time.Millisecond
)

// Run replays a session through a port, which stays the caller's. The end of ctx
// ends it; what came until then is the session's result, with ctx's error.
// Progress, if not nil, is called about once a second.
func (s *Session) Run(ctx context.Context, p port.Port, progress func(elapsed time.Duration, sent int)) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begin := time.Now()
	now := func() time.Duration { return time.Since(begin) }
	s.Own = [macLen]byte(p.MAC())
	var in [received]port.Frame
	reported := time.Duration(0)
	for {
		wait, more := s.Until(now())
		if !more {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if n := s.Due(now()); n > 0 {
			if err := s.send(p, n, now); err != nil {
				return fmt.Errorf("send: %w", err)
			}
			wait = 0
		}
		n, err := p.Recv(in[:], min(max(wait, 0), longestSleep))
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		at := now()
		for i := range in[:n] {
			s.Take(in[i].Data, at)
		}
		p.Release(in[:n])
		if progress != nil && at-reported >= time.Second {
			reported = at
			progress(at, s.next)
		}
	}
}

// send sends the next n requests, or as many as there is room for.
func (s *Session) send(p port.Port, n int, now func() time.Duration) error {
	var out [burst]port.Frame
	n = p.Alloc(out[:n])
	for i := range n {
		if out[i].Data = s.Append(out[i].Data, i); out[i].Data == nil {
			return errors.New("a request does not fit a frame")
		}
	}
	sent, err := p.Send(out[:n])
	p.Release(out[sent:n])
	s.Sent(sent, now())
	return errors.Join(err, p.Flush())
}
