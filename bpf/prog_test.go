package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"
)

// monotonicPast is a deadline that has passed: reads do not wait.
var monotonicPast = time.Unix(1, 0)

func TestEveryReasonHasARow(t *testing.T) {
	seen := map[Reason]bool{}
	for _, r := range rows {
		seen[r.want] = true
	}
	for _, c := range guardCases {
		for _, s := range c.steps {
			seen[s.want] = true
		}
	}
	for r := range NumReasons {
		// Only a kernel that takes the reply's head and not its rest would end in Broken.
		if !seen[r] && r != Broken {
			t.Errorf("no row ends in %v", r)
		}
	}
}

// prepare brings the kernel into the state that a row wants.
func (k *kernel) prepare(t testing.TB, r *row, xsk int) {
	t.Helper()
	switch {
	case r.noBeat:
		k.put(t, HeartbeatMap, uint32(0), uint64(0))
	case r.beat != nil:
		k.beat(t, *r.beat)
	default:
		k.beat(t, 0)
	}
	settings := Settings{Deliver67: DeliverRingTee, Deliver4011: DeliverRingTee}
	if r.settings != nil {
		settings = *r.settings
	}
	k.steer(t, settings)
	k.put(t, GenerationMap, uint32(0), uint64(0))
	if r.template != nil {
		tpl := templateFor(r.request(), 0)
		r.template(tpl)
		k.hold(t, tpl)
	}
	if r.socket {
		k.put(t, XSKsMap, uint32(0), uint32(xsk))
		t.Cleanup(func() {
			if err := k.Maps[XSKsMap].Delete(uint32(0)); err != nil {
				t.Error(err)
			}
		})
	}
	if r.fillRing {
		k.fill(t)
	}
}

// fill puts requests into the ring buffer until it takes no more.
func (k *kernel) fill(t testing.TB) {
	t.Helper()
	in := discover().bytes()
	for n := 0; n < int(k.Maps[RequestsMap].MaxEntries()); n += len(in) {
		if k.run(t, in, nil) == RingFull {
			return
		}
	}
	t.Fatal("the ring buffer takes more than its size")
}

func TestProgram(t *testing.T) {
	k := loadKernel(t, testStale, testRing)
	rd := k.records(t)
	xsk := openXSK(t)
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			k.prepare(t, &r, xsk)
			if r.fillRing {
				defer drain(t, rd)
			}
			in := r.bytes()
			var ctx *xdpContext
			if r.linear != 0 {
				needLinear(t, k)
				ctx = &xdpContext{DataEnd: r.linear}
			}
			sent := monotonic(t)
			got, out := k.answer(t, in, ctx)
			if got != r.want {
				t.Fatalf("ended in %v, want %v\n%x", got, r.want, in)
			}
			if (got == Answered) == bytes.Equal(out, in) {
				t.Errorf("%v, and the frame is\n%x, was\n%x", got, out, in)
			}
			if !r.fillRing {
				checkRecords(t, rd, r.want, in, sent)
			}
		})
	}
}

// checkRecords wants one record of the frame where the reason says so, else none.
func checkRecords(t *testing.T, rd *ringbuf.Reader, reason Reason, in []byte, sent uint64) {
	t.Helper()
	records := drain(t, rd)
	if reason != Teed && reason != Stolen {
		if len(records) != 0 {
			t.Fatalf("%v, but %d records", reason, len(records))
		}
		return
	}
	if len(records) != 1 {
		t.Fatalf("%v: %d records, want 1", reason, len(records))
	}
	rec := records[0]
	want := binary.NativeEndian.AppendUint32(nil, 1) // lo, which BPF_PROG_RUN takes by default
	want = binary.NativeEndian.AppendUint32(want, uint32(len(in)))
	want = append(want, in...)
	if !bytes.Equal(rec[8:], want) {
		t.Errorf("record\n%x, want\n%x", rec[8:], want)
	}
	h, frame, err := ParseRequest(rec)
	if err != nil {
		t.Fatal(err)
	}
	if h.IfIndex != 1 || int(h.Len) != len(in) || !bytes.Equal(frame, in) {
		t.Errorf("ParseRequest: %+v, frame %x", h, frame)
	}
	if now := monotonic(t); h.KtimeNS < sent || h.KtimeNS > now {
		t.Errorf("ktime %d outside of [%d, %d]", h.KtimeNS, sent, now)
	}
}

// needLinear skips where BPF_PROG_RUN cannot put a short frame into two
// buffers (Linux before 6.18).
func needLinear(t *testing.T, k *kernel) {
	t.Helper()
	in := discover().bytes()
	_, err := k.prog.Run(&ebpf.RunOptions{Data: in, Context: xdpContext{DataEnd: 200}})
	if errors.Is(err, unix.EINVAL) {
		t.Skipf("needs BPF_PROG_RUN with a chosen length of the first buffer (Linux 6.18): %v", err)
	}
}
