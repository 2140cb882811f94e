package xdp

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf/ringbuf"

	"github.com/xdpxe/xdpxe/bench/result"
)

// Counts are totals since Open, by verdict.
type Counts [numCounters]uint64

// Sent is how many requests were handed to the device; it may have refused some.
func (c *Counts) Sent() uint64 { return c[counterSent] }

// Replies is how many replies came, of all kinds.
func (c *Counts) Replies() (n uint64) {
	for v := Answered; v <= Malformed; v++ {
		n += c[v]
	}
	return n
}

// Wrong is how many requests had replies, and no good one.
func (c *Counts) Wrong() uint64 { return c[counterWrong] }

// Frames is how many datagrams a sink took.
func (c *Counts) Frames() uint64 { return c[counterFrames] }

// Bytes of the frames that a sink took, headers included.
func (c *Counts) Bytes() uint64 { return c[counterBytes] }

// Unsampled is how many replies were meant for Samples and found no room.
func (c *Counts) Unsampled() uint64 { return c[counterUnsampled] }

// Counts reads the counters of all CPUs.
func (g *Gun) Counts() (c Counts, err error) {
	var perCPU []uint64
	for i := range c {
		if err := g.objects.CountersMap.Lookup(uint32(i), &perCPU); err != nil {
			return c, fmt.Errorf("%s: %w", gunMapCountersMap, err)
		}
		for _, n := range perCPU {
			c[i] += n
		}
	}
	return c, nil
}

// Latencies adds the times from request to answer in time to h, each as the
// upper end of its bucket: at most 1/32 too long.
func (g *Gun) Latencies(h *result.Histogram) error {
	var perCPU []uint64
	for i := range numBuckets {
		if err := g.objects.LatencyMap.Lookup(uint32(i), &perCPU); err != nil {
			return fmt.Errorf("%s: %w", gunMapLatencyMap, err)
		}
		for _, n := range perCPU {
			if n > 0 {
				h.RecordN(bucketTop(i), int64(n))
			}
		}
	}
	return nil
}

// Sample is a reply that came to user space.
type Sample struct {
	Verdict Verdict
	XID     uint32 // of the request, and
	Machine int    // who made it: valid unless the reply is Unknown, WrongOp or Malformed
	Frame   []byte // the first MaxFrame bytes; valid until the next
}

// Samples calls f with all odd replies and some of the good ones as they come,
// until EndSamples.
func (g *Gun) Samples(f func(*Sample)) error {
	var rec ringbuf.Record
	for {
		switch err := g.samples.ReadInto(&rec); {
		case errors.Is(err, ringbuf.ErrFlushed), errors.Is(err, ringbuf.ErrClosed):
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", gunMapSamplesMap, err)
		}
		var head sample
		n, err := binary.Decode(rec.RawSample, binary.NativeEndian, &head)
		if err != nil || int(head.Len) > len(rec.RawSample)-n {
			return fmt.Errorf("%s: record of %d bytes is none of ours", gunMapSamplesMap, len(rec.RawSample))
		}
		f(&Sample{
			Verdict: head.Verdict, XID: g.o.FirstXID + head.Serial, Machine: int(head.Serial) % len(g.o.Identities),
			Frame: rec.RawSample[n:][:head.Len],
		})
	}
}

// EndSamples makes Samples return when it has been through what is there.
func (g *Gun) EndSamples() error { return g.samples.Flush() }

// settleEvery is how often Settle looks.
const settleEvery = 5 * time.Millisecond

// allIn is how long Settle waits for odd replies once every request has its answer.
const allIn = 50 * time.Millisecond

// Settle waits until nothing has been counted for as long as quiet, and returns
// the counts; nothing may be firing.
func (g *Gun) Settle(ctx context.Context, quiet time.Duration) (Counts, error) {
	last, err := g.Counts()
	for since := time.Now(); err == nil && time.Since(since) < quiet; {
		if err = ctx.Err(); err != nil {
			break
		}
		time.Sleep(settleEvery)
		var now Counts
		if now, err = g.Counts(); now != last {
			last, since = now, time.Now()
		}
		if last[Answered]+last[Late] == last.Sent() && last.Sent() > 0 && time.Since(since) >= allIn {
			break
		}
	}
	return last, err
}
