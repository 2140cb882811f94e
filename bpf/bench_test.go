package bpf

import (
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/ringbuf"
)

// benchChunk is how many runs go into one call: less than fit into the ring
// buffer, so that delivering rows deliver, and soon enough over that the
// heartbeat stays fresh.
const benchChunk = 4000

// BenchmarkExit prints what one packet costs in the program, for the first row
// of every reason: `go test -bench Exit ./bpf`. The figure is the kernel's
// own, over runs in a loop on warm caches (BPF_PROG_RUN with repeat), without
// the driver, and for sockets without the redirect itself. Where the program
// writes to the packet, another restores it before each run, whose own cost is
// taken off.
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

// BenchmarkTemplates is what an answer costs, by kind of request; "flat" is an
// OVMF-like DISCOVER of 389 bytes.
func BenchmarkTemplates(b *testing.B) {
	for _, c := range requests {
		b.Run(c.name, func(b *testing.B) {
			benchRow(b, &row{frame: c.frame, settings: &answering, template: func(*Template) {}, want: Answered})
		})
	}
	b.Run("flat, for one machine", func(b *testing.B) {
		benchRow(b, &row{settings: &answering, template: exact([4]byte{}), want: Answered})
	})
	b.Run("none that fits", func(b *testing.B) {
		benchRow(b, &row{settings: &answering, template: func(t *Template) { t.Request[offSName]++ }, want: Stolen})
	})
}

func benchRow(b *testing.B, r *row) {
	k := loadKernel(b, testStale, 8<<20)
	rd := k.records(b)
	xsk := openXSK(b)
	k.prepare(b, r, xsk)
	in := r.bytes()
	prog, restoring := k.prog, time.Duration(0)
	if r.want == Answered {
		prog, restoring = k.restorer(b, in)
	}
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
		ret, each, err := prog.Benchmark(in, n, nil)
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
	total -= restoring * time.Duration(runs)
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

// restorer returns a program that makes the packet frame again and goes on to
// the program under test, and what that costs by itself.
func (k *kernel) restorer(b *testing.B, frame []byte) (*ebpf.Program, time.Duration) {
	const hasFrags = 1 << 5 // BPF_F_XDP_HAS_FRAGS
	load := func(ins asm.Instructions) *ebpf.Program {
		p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "Dual MIT/GPL", Flags: hasFrags, Instructions: ins})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { p.Close() })
		return p
	}
	newMap := func(spec ebpf.MapSpec) *ebpf.Map {
		m, err := ebpf.NewMap(&spec)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { m.Close() })
		return m
	}
	image := newMap(ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: uint32(len(frame)), MaxEntries: 1})
	next := newMap(ebpf.MapSpec{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err := image.Put(uint32(0), frame); err != nil {
		b.Fatal(err)
	}
	restore := load(asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.FnXdpGetBuffLen.Call(),
		asm.Mov.Imm(asm.R2, int32(len(frame))),
		asm.Sub.Reg(asm.R2, asm.R0),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.FnXdpAdjustTail.Call(),
		asm.StoreImm(asm.R10, -8, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, image.FD()),
		asm.Mov.Reg(asm.R2, asm.R10),
		asm.Add.Imm(asm.R2, -8),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "out"),
		asm.Mov.Reg(asm.R3, asm.R0),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Imm(asm.R2, 0),
		asm.Mov.Imm(asm.R4, int32(len(frame))),
		asm.FnXdpStoreBytes.Call(),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.LoadMapPtr(asm.R2, next.FD()),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnTailCall.Call(),
		asm.Mov.Imm(asm.R0, int32(Aborted)).WithSymbol("out"),
		asm.Return(),
	})
	follow := func(p *ebpf.Program) {
		if err := next.Put(uint32(0), p); err != nil {
			b.Fatal(err)
		}
	}
	follow(load(asm.Instructions{asm.Mov.Imm(asm.R0, int32(TX)), asm.Return()}))
	_, cost, err := restore.Benchmark(frame, 1_000_000, nil)
	if err != nil {
		b.Fatal(err)
	}
	follow(k.prog)
	return restore, cost
}
