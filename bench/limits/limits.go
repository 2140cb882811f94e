package limits

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xdpxe/xdpxe/bench/result"
)

// Options of Run.
type Options struct {
	For    time.Duration // each flood's length
	Queues []int         // numbers of queues to measure with, each at most the number of CPUs
	Blocks []int         // datagrams of a burst, for each of which a blast is measured
	// Receivers of the blast, and bytes for each.
	Receivers int
	Bytes     int64
	// Progress is told what is being measured.
	Progress func(what string)
}

// DefaultOptions measure with one queue and with one for each CPU, and blast as
// much as a rack of 500 machines that fetch 4 MiB each.
func DefaultOptions() Options {
	queues := []int{1}
	if n := runtime.NumCPU(); n > 1 {
		queues = append(queues, n)
	}
	return Options{For: 2 * time.Second, Queues: queues, Blocks: []int{16, 40}, Receivers: 500, Bytes: 4 << 20}
}

// Check says what is wrong with the options, in a user's terms.
func (o *Options) Check() error {
	if o.For < 100*time.Millisecond || o.For > 10*time.Minute {
		return fmt.Errorf("length of a measurement %v: want 100ms to 10m", o.For)
	}
	for _, q := range o.Queues {
		if q < 1 || q > runtime.NumCPU() {
			return fmt.Errorf("%d queues: want 1 to %d, the number of CPUs", q, runtime.NumCPU())
		}
	}
	if o.Receivers < 1 || o.Bytes < 1 {
		return fmt.Errorf("%d receivers of %d bytes each: want 1 or more", o.Receivers, o.Bytes)
	}
	for _, n := range o.Blocks {
		if n < 1 {
			return fmt.Errorf("a burst of %d blocks: want 1 or more", n)
		}
		b := BlastOptions{Receivers: o.Receivers, Bytes: o.Bytes, Blocks: n, Threads: slices.Max(append(o.Queues, 1))}
		if err := b.complete(); err != nil {
			return fmt.Errorf("blast: %w", err)
		}
	}
	return nil
}

// echoes are what frames come back from.
var echoes = []struct {
	name  string
	start func(queues int) (closer, error)
}{
	{"XDP_TX bounce", bounce},
	{"AF_XDP echo", startAFXDPEcho},
	{"UDP echo", startUDPEcho},
}

// Run measures everything, one row each. It needs root.
func Run(ctx context.Context, o Options) (*result.Run, error) {
	run := &result.Run{Settings: []result.Setting{
		{Name: "for", Value: o.For.String()},
		{Name: "queues", Value: join(o.Queues)},
		{Name: "frame", Value: strconv.Itoa(discoverLen+14+20+8) + " B"},
		{Name: "receivers", Value: strconv.Itoa(o.Receivers)},
		{Name: "bytes", Value: result.Bytes.Text(float64(o.Bytes))},
	}}
	for _, queues := range o.Queues {
		for _, e := range echoes {
			name := e.name + ", " + plural(queues, "queue")
			o.progress(name)
			f, err := floodEcho(ctx, e.start, queues, o.For)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			run.Rows = append(run.Rows, f.row(name))
		}
		for _, blocks := range o.Blocks {
			name := fmt.Sprintf("UDP_SEGMENT blast of %d blocks, %s", blocks, plural(queues, "thread"))
			o.progress(name)
			r, err := blastVeth(ctx, BlastOptions{Receivers: o.Receivers, Bytes: o.Bytes, Blocks: blocks, Threads: queues})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			run.Rows = append(run.Rows, r.row(name))
		}
	}
	return run, nil
}

// blastVeth blasts over a cable.
func blastVeth(ctx context.Context, o BlastOptions) (r BlastResult, err error) {
	c, err := lay(1)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	o.From, o.To, o.Addr = c.near, c.far, farAddr
	return Blast(ctx, o)
}

func (o *Options) progress(what string) {
	if o.Progress != nil {
		o.Progress(what)
	}
}

// allBack is the share of frames that must come back for the sender to have been the limit.
const allBack = 0.999

func (f *flood) row(name string) result.Row {
	r := result.Row{Name: name}
	share := 0.0
	if f.sent > 0 {
		share = float64(f.returned) / float64(f.sent)
	}
	r.Add("offered", result.PerSecond, float64(f.sent)/f.elapsed.Seconds())
	r.Add("returned", result.PerSecond, float64(f.returned)/f.elapsed.Seconds())
	r.Add("share", result.Share, share)
	if share >= allBack {
		r.Limit = &result.Limit{By: result.ByGenerator, Why: "everything that it sent came back"}
	} else {
		r.Limit = &result.Limit{By: result.ByServer, Why: "the echo did not keep up with what was sent"}
	}
	return r
}

func (b *BlastResult) row(name string) result.Row {
	r := result.Row{Name: name}
	r.Add("sent", result.ByteRate, float64(b.Sent)/b.Elapsed.Seconds())
	r.Add("goodput", result.ByteRate, float64(b.Received)/b.Elapsed.Seconds())
	r.Add("share", result.Share, float64(b.Received)/float64(b.Sent))
	return r
}

func join(n []int) string {
	var s []string
	for _, v := range n {
		s = append(s, strconv.Itoa(v))
	}
	return strings.Join(s, ", ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
