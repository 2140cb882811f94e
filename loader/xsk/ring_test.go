package xsk

import (
	"math"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// plainWords are ring words in ordinary memory; start is where both indices begin.
func plainWords(start uint32) words {
	w := words{producer: new(atomic.Uint32), consumer: new(atomic.Uint32), flags: new(atomic.Uint32)}
	w.producer.Store(start)
	w.consumer.Store(start)
	return w
}

func plainProducer(size int, start uint32) *producer[uint64] {
	return &producer[uint64]{words: plainWords(start), slots: make([]uint64, size), head: start, tail: start}
}

func plainConsumer(size int, start uint32) *consumer[uint64] {
	return &consumer[uint64]{words: plainWords(start), slots: make([]uint64, size), head: start, tail: start}
}

func TestReserveAdvancesNothing(t *testing.T) {
	r := plainProducer(8, 0)
	for range 3 {
		if got := r.reserve(5); got != 5 {
			t.Fatalf("reserve(5) = %d on an empty ring of 8", got)
		}
	}
	if got := r.producer.Load(); got != 0 {
		t.Errorf("producer index %d before submit", got)
	}
	if got := r.reserve(100); got != 8 {
		t.Errorf("reserve(100) = %d, want the 8 that there are", got)
	}
}

func TestSubmitPublishesExactlyK(t *testing.T) {
	r := plainProducer(8, 0)
	r.reserve(8)
	for i := range uint32(8) {
		*r.at(i) = uint64(100 + i)
	}
	r.submit(3) // a short write must not publish what was only reserved
	if got := r.producer.Load(); got != 3 {
		t.Fatalf("producer index %d after submit(3)", got)
	}
	if got := r.pending(); got != 3 {
		t.Errorf("pending %d, want 3", got)
	}
	if got := r.reserve(8); got != 5 {
		t.Errorf("reserve(8) = %d with 3 of 8 pending", got)
	}
	r.consumer.Store(2) // the kernel took two
	if got := r.reserve(8); got != 7 {
		t.Errorf("reserve(8) = %d with 1 of 8 pending", got)
	}
}

func TestPeekReleaseExactlyK(t *testing.T) {
	r := plainConsumer(8, 0)
	if got := r.peek(4); got != 0 {
		t.Fatalf("peek = %d on an empty ring", got)
	}
	for i := range uint64(6) {
		r.slots[i] = 10 + i
	}
	r.producer.Store(6)
	if got := r.peek(4); got != 4 {
		t.Fatalf("peek(4) = %d with 6 there", got)
	}
	if got := r.consumer.Load(); got != 0 {
		t.Errorf("consumer index %d before release", got)
	}
	r.release(2)
	if got := r.consumer.Load(); got != 2 {
		t.Errorf("consumer index %d after release(2)", got)
	}
	if got := *r.at(0); got != 12 {
		t.Errorf("next slot holds %d, want 12", got)
	}
	if got := r.peek(8); got != 4 {
		t.Errorf("peek(8) = %d, want the 4 that are left", got)
	}
}

func TestIndicesWrap(t *testing.T) {
	for _, start := range []uint32{0, math.MaxUint32, math.MaxUint32 - 3, math.MaxUint32 - 100} {
		p, c := plainProducer(8, start), plainConsumer(8, start)
		c.words, c.slots = p.words, p.slots // one ring, both sides ours
		next, want := uint64(0), uint64(0)
		for round := range 200 {
			n := p.reserve(uint32(1 + round%8))
			for i := range n {
				*p.at(i) = next
				next++
			}
			p.submit(n)
			if got := c.pending(); got != p.pending() {
				t.Fatalf("start %#x: pending %d and %d", start, got, p.pending())
			}
			n = c.peek(uint32(1 + round%5))
			for i := range n {
				if got := *c.at(i); got != want {
					t.Fatalf("start %#x round %d: read %d, want %d", start, round, got, want)
				}
				want++
			}
			c.release(n)
		}
		if want < 500 {
			t.Fatalf("start %#x: only %d went through", start, want)
		}
	}
}

func TestFullRingAcrossWrap(t *testing.T) {
	p := plainProducer(4, math.MaxUint32-1)
	if got := p.reserve(4); got != 4 {
		t.Fatalf("reserve(4) = %d on an empty ring", got)
	}
	p.submit(4)
	if p.producer.Load() != 2 {
		t.Fatalf("producer index %#x", p.producer.Load())
	}
	if got := p.reserve(1); got != 0 {
		t.Errorf("reserve(1) = %d on a full ring", got)
	}
}

func TestWrongKernelIndexIsBounded(t *testing.T) {
	p := plainProducer(8, 10)
	p.consumer.Store(20) // ahead of everything that was published
	p.tail = 20
	if got := p.reserve(1); got != 0 {
		t.Errorf("reserve = %d against a consumer that is ahead", got)
	}
	c := plainConsumer(8, 0)
	c.producer.Store(1000)
	if got := c.peek(1000); got != 8 {
		t.Errorf("peek = %d on a ring of 8", got)
	}
}

func TestNeedWakeup(t *testing.T) {
	r := plainProducer(8, 0)
	if r.needWakeup() {
		t.Error("no flag is set")
	}
	r.flags.Store(unix.XDP_RING_NEED_WAKEUP)
	if !r.needWakeup() {
		t.Error("the flag is set")
	}
}
