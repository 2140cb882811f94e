package bpf

import (
	"testing"
	"time"

	"github.com/cilium/ebpf/ringbuf"
)

// benchChunk is how many runs go into one call: less than fit into the ring
// buffer, so that delivering rows deliver, and soon enough over that the
// heartbeat stays fresh.
const benchChunk = 4000

// BenchmarkExit prints what one packet costs in the program, for the first row
// of every reason: `go test -bench Exit ./bpf`. The figure is the kernel's
// own, over runs in a loop on warm caches (BPF_PROG_RUN with repeat), without
// the driver, and for sockets without the redirect itself. The program writes
// to no packet, so each run sees the same frame.
func BenchmarkExit(b *testing.B) {
	done := map[Reason]bool{}
	for _, r := range rows {
		if done[r.want] || r.linear != 0 {
			continue
		}
		done[r.want] = true
		b.Run(r.want.String(), func(b *testing.B) { benchRow(b, &r) })
	}
}

// BenchmarkOptions is the cost by length of the option list: a real DISCOVER
// is 7 options long, the worst messages are nothing but pads or one-byte options.
func BenchmarkOptions(b *testing.B) {
	for _, r := range []row{
		{name: "7", want: Stolen},
		{name: "64", frame: withOptions(many(MaxOptions-1), pxe), want: Stolen},
		{name: "1220 pads", frame: withOptions(pads(1220), pxe), want: Stolen},
	} {
		r.settings = both(DeliverRingSteal)
		b.Run(r.name, func(b *testing.B) { benchRow(b, &r) })
	}
}

func benchRow(b *testing.B, r *row) {
	k := loadKernel(b, testStale, 8<<20)
	rd := k.records(b)
	xsk := openXSK(b)
	k.prepare(b, r, xsk)
	in := r.bytes()
	reader := reader{rd: rd, keep: r.fillRing}
	before := k.counters(b)
	var total time.Duration
	runs := 0
	b.ResetTimer()
	for runs < b.N {
		n := min(benchChunk, b.N-runs)
		if r.beat == nil && !r.noBeat {
			k.beat(b, 0)
		}
		ret, each, err := k.prog.Benchmark(in, n, nil)
		if err != nil {
			b.Fatal(err)
		}
		if Action(ret) != r.want.Action() {
			b.Fatalf("action %v, want %v", Action(ret), r.want.Action())
		}
		total += each * time.Duration(n)
		runs += n
		reader.skip()
	}
	b.StopTimer()
	if after := k.counters(b); after[r.want]-before[r.want] < uint64(runs) {
		b.Fatalf("%d of %d runs ended in %v", after[r.want]-before[r.want], runs, r.want)
	}
	b.ReportMetric(float64(total.Nanoseconds())/float64(runs), "ns/op")
}

// reader empties the ring between chunks, outside of what is measured.
type reader struct {
	rd   *ringbuf.Reader
	rec  ringbuf.Record
	keep bool
}

func (r *reader) skip() {
	if r.keep {
		return
	}
	r.rd.SetDeadline(monotonicPast)
	for r.rd.ReadInto(&r.rec) == nil {
	}
}
