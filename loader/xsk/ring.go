package xsk

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// words are the index and flag words of one ring in memory shared with the kernel.
type words struct {
	producer, consumer, flags *atomic.Uint32
}

// needWakeup reports whether the kernel waits for a system call to go on with this ring.
func (w *words) needWakeup() bool { return w.flags.Load()&unix.XDP_RING_NEED_WAKEUP != 0 }

// slot is what a ring carries: frame addresses (fill, completion) or descriptors (RX, TX).
type slot interface{ uint64 | unix.XDPDesc }

// producer is our side of a ring that we fill. len(slots) is a power of two.
type producer[T slot] struct {
	words
	slots []T
	head  uint32 // our index: the next slot to write
	tail  uint32 // the kernel's index as last seen
}

// reserve returns how many of n slots may be written now. It advances nothing.
func (r *producer[T]) reserve(n uint32) uint32 {
	size := uint32(len(r.slots))
	if size-(r.head-r.tail) < n {
		r.tail = r.consumer.Load()
	}
	used := r.head - r.tail
	if used > size { // no index that a kernel can write
		return 0
	}
	return min(n, size-used)
}

// at returns the i-th reserved slot.
func (r *producer[T]) at(i uint32) *T { return &r.slots[(r.head+i)&uint32(len(r.slots)-1)] }

// submit publishes the first k reserved slots.
func (r *producer[T]) submit(k uint32) {
	r.head += k
	r.producer.Store(r.head)
}

// pending returns how many published slots the kernel has not consumed.
func (r *producer[T]) pending() uint32 { return r.head - r.consumer.Load() }

// consumer is our side of a ring that the kernel fills.
type consumer[T slot] struct {
	words
	slots []T
	head  uint32 // the kernel's index as last seen
	tail  uint32 // our index: the next slot to read
}

// peek returns how many of n slots may be read now. It advances nothing.
func (r *consumer[T]) peek(n uint32) uint32 {
	if r.head-r.tail < n {
		r.head = r.producer.Load()
	}
	// No more slots than the ring has can be valid, whatever the index says.
	return min(n, r.head-r.tail, uint32(len(r.slots)))
}

// at returns the i-th peeked slot.
func (r *consumer[T]) at(i uint32) *T { return &r.slots[(r.tail+i)&uint32(len(r.slots)-1)] }

// release gives the first k peeked slots back.
func (r *consumer[T]) release(k uint32) {
	r.tail += k
	r.consumer.Store(r.tail)
}

// pending returns how many published slots we have not consumed.
func (r *consumer[T]) pending() uint32 { return r.producer.Load() - r.tail }
