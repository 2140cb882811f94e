package limits

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/lab/labtest"
)

func TestOptions(t *testing.T) {
	good := DefaultOptions()
	if err := good.Check(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for want, spoil := range map[string]func(*Options){
		"length of a measurement": func(o *Options) { o.For = time.Millisecond },
		"10m":                     func(o *Options) { o.For = time.Hour },
		"0 queues":                func(o *Options) { o.Queues = []int{1, 0} },
		"number of CPUs":          func(o *Options) { o.Queues = []int{runtime.NumCPU() + 1} },
		"45 blocks":               func(o *Options) { o.Blocks = []int{16, 45} },
		"burst of 0":              func(o *Options) { o.Blocks = []int{0} },
		"-1 receivers":            func(o *Options) { o.Receivers = -1 },
	} {
		o := DefaultOptions()
		spoil(&o)
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestShare(t *testing.T) {
	for _, c := range []struct{ total, n int }{{1, 1}, {7, 3}, {500, 8}, {2, 2}} {
		sum, least, most := 0, c.total, 0
		for i := range c.n {
			s := share(c.total, c.n, i)
			sum, least, most = sum+s, min(least, s), max(most, s)
		}
		if sum != c.total || most-least > 1 {
			t.Errorf("%d in %d parts: %d in all, %d to %d", c.total, c.n, sum, least, most)
		}
	}
}

// What fits the receivers' buffers arrives, all of it.
func TestBlastArrives(t *testing.T) {
	labtest.Need(t, false) // SO_RCVBUFFORCE
	c, err := lay(1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	}()
	for _, o := range []BlastOptions{
		{Receivers: 1, Bytes: 1, Blocks: 1, Blksize: 512},
		{Receivers: 5, Bytes: 100_000},
		{Receivers: 5, Bytes: 100_000, Blocks: 40, Threads: min(2, runtime.NumCPU())},
		{Receivers: 5, Bytes: 100_000, Blocks: 44, From: c.near, To: c.far, Addr: farAddr},
	} {
		r, err := Blast(t.Context(), o)
		if err != nil {
			t.Errorf("%+v: %v", o, err)
			continue
		}
		if err := o.complete(); err != nil {
			t.Fatal(err)
		}
		burst := int64(o.Blocks * o.Blksize)
		want := (o.Bytes + burst - 1) / burst * burst * int64(o.Receivers)
		if r.Sent != want || r.Received != want || r.Elapsed <= 0 {
			t.Errorf("%+v: %+v, want %d bytes", o, r, want)
		}
	}
}

func TestBlastRefuses(t *testing.T) {
	for name, o := range map[string]BlastOptions{
		"threads":   {Receivers: 2, Threads: 3},
		"receivers": {Receivers: 1 << 20},
		"burst":     {Blocks: 45},
		"segments":  {Blocks: 65, Blksize: 8},
		"IPv6":      {Addr: netip.IPv6Loopback()},
	} {
		if _, err := Blast(t.Context(), o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	labtest.Need(t, false)
	if _, err := Blast(ctx, BlastOptions{Receivers: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// Frames come back from every echo, by every queue.
func TestEchoes(t *testing.T) {
	labtest.Need(t, false)
	for _, e := range echoes {
		for _, queues := range []int{1, min(2, runtime.NumCPU())} {
			f, err := floodEcho(t.Context(), e.start, queues, 20*time.Millisecond)
			if err != nil {
				t.Errorf("%s, %d queues: %v", e.name, queues, err)
				continue
			}
			if f.returned == 0 || f.returned > f.sent {
				t.Errorf("%s, %d queues: %+v", e.name, queues, f)
			}
		}
	}
}
