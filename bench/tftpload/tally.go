package tftpload

import (
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/bench/tftpc"
)

// slice is the resolution of throughput over time.
const slice = 100 * time.Millisecond

// tally is what one worker's clients saw. It has one owner at a time.
type tally struct {
	completed, failed uint64 // transfers
	completedBytes    int64  // of the files that came whole
	failures          map[string]uint64
	times, firstBytes *result.Histogram // of the transfers that came whole

	sum           tftpc.Stats // of all transfers, the instants aside
	strangers     uint64      // datagrams from other hosts
	droppedIn     uint64      // by the impairment, like the next
	droppedOut    uint64
	sendErrors    uint64
	lastSendError unix.Errno
	overflows     uint64 // of the quick clients' socket buffers, in messages
	slowOverflows uint64

	first, last time.Duration // the first request and the last end
	perSlice    []int64       // bytes
	spans       []result.Span
	cpu         cpuTime       // of the thread
	alive       time.Duration // the thread's time
}

func (t *tally) init() {
	t.failures = map[string]uint64{}
	t.times, t.firstBytes = result.NewHistogram(), result.NewHistogram()
	t.perSlice = make([]int64, 0, 1024)
	t.first = tftpc.Never
}

// moved notes bytes of the file.
func (t *tally) moved(now time.Duration, n int64) {
	i := int(now / slice)
	for i >= len(t.perSlice) {
		t.perSlice = append(t.perSlice, 0)
	}
	t.perSlice[i] += n
}

// packets adds what a transfer's packets were, be it a probe's.
func (t *tally) packets(c *client) {
	s := c.Client.Stats()
	t.sum.Blocks += s.Blocks
	t.sum.Bytes += s.Bytes
	t.sum.Duplicates += s.Duplicates
	t.sum.DuplicateBytes += s.DuplicateBytes
	t.sum.Beyond += s.Beyond
	t.sum.Ignored += s.Ignored
	t.sum.Requests += s.Requests
	t.sum.Acks += s.Acks
	t.sum.Resent += s.Resent
	t.first = min(t.first, s.Started)
}

// transfer notes the end of one.
func (t *tally) transfer(c *client, now time.Duration) {
	s := c.Client.Stats()
	t.last = max(t.last, s.Ended)
	c.busy += s.Ended - c.began
	reason := "ok"
	if c.Outcome() == tftpc.Done {
		t.completed++
		t.completedBytes += s.Bytes
		c.bytes += s.Bytes
		t.times.Record(s.Ended - c.began)
		t.firstBytes.Record(s.FirstByte - c.began)
	} else {
		reason = c.Reason()
		t.fail(reason, 1)
	}
	if c.spanned {
		span := result.Span{Client: "client " + strconv.Itoa(c.index), From: c.began.Seconds(), To: now.Seconds(), Outcome: reason, Marks: c.marks}
		if s.FirstByte > 0 {
			span.Marks = append(span.Marks, result.Mark{T: s.FirstByte.Seconds(), What: "first byte"})
		}
		t.spans = append(t.spans, span)
		c.marks = nil
	}
}

func (t *tally) fail(reason string, n uint64) {
	if n > 0 {
		t.failed += n
		t.failures[reason] += n
	}
}

// mostMarks bounds what a span says.
const mostMarks = 16

// mark notes something that happened to a client that gets a span.
func (c *client) mark(now time.Duration, what string) {
	if c.spanned && len(c.marks) < mostMarks {
		c.marks = append(c.marks, result.Mark{T: now.Seconds(), What: what})
	}
}

func (t *tally) lost(c *client, n uint64) {
	if c.slow {
		t.slowOverflows += n
	} else {
		t.overflows += n
	}
}
