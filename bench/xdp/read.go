package xdp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/cilium/ebpf/ringbuf"

	"github.com/xdpxe/xdpxe/bench/result"
)

// Counts are totals since Open, by verdict.
type Counts [numCounters]uint64

// Frames and Bytes are what a sink took.
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

// Latencies adds the times from request to first good reply to h, each as the
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
// until nothing has come for as long as wait (negative: until Close).
func (g *Gun) Samples(wait time.Duration, f func(*Sample)) error {
	var rec ringbuf.Record
	for {
		if wait >= 0 {
			g.samples.SetDeadline(time.Now().Add(wait))
		}
		switch err := g.samples.ReadInto(&rec); {
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, ringbuf.ErrClosed):
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
