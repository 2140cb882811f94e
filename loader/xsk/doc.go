// Package xsk is AF_XDP for a request/response server: one socket per receive
// queue, each with its own UMEM, over golang.org/x/sys/unix and nothing else.
// The XDP program that fills the sockets is the caller's.
//
// # Frames
//
// A UMEM is cut into frames of FrameSize bytes. A frame is at any time in one
// place: on the free list, posted for reception (fill ring, kernel, RX ring),
// held by the caller (between Recv or Alloc and Send or Release), or sent (TX
// ring, kernel, completion ring). At most Config.RxSize frames are posted or
// held as received, so the RX ring cannot overflow and receiving cannot starve
// sending. The free list is LIFO: the frame used last is the one in the cache.
//
// # Ownership
//
// A Socket has one owner at a time, which calls Recv, Alloc, Send, Flush and
// Release. Wake, Close, FD, Info, Stats and Done may be called by anyone.
// A buffer belongs to the caller from Recv or Alloc until it goes into Send or Release.
//
// Close from another goroutine must not unmap memory under the owner. So it
// marks the socket closed, wakes the owner's poll, and takes the socket down
// only when no operation runs and no frame is held; otherwise the owner's
// Release or Send of its last frame takes it down. Done tells when.
//
// # Memory ordering
//
// Each ring has one producer and one consumer: we produce fill and TX, the
// kernel produces RX and completion. Both sides publish through two index words:
//
//	producer: load-acquire consumer, write slots, store-release producer
//	consumer: load-acquire producer, read slots, store-release consumer
//
// sync/atomic is sequentially consistent, hence at least that. An index counts
// modulo 2^32, a slot is the index modulo the size; differences of indices are
// therefore right across the wrap. Each side keeps its own index in private
// memory: what stands in the shared word of our own side is never read back.
// Reserving and peeking move nothing; submit(k) and release(k) publish exactly k.
//
// # Waiting
//
// Recv sleeps in ppoll(2) on the socket and an eventfd, not in Go's netpoller:
// an AF_XDP descriptor has no read or write to retry, and the poll itself
// drives a driver that asked for a wake-up. The owner should lock its goroutine
// to a thread. A poll interrupted by a signal (EINTR: the Go runtime preempts
// by SIGURG) is resumed with what is left of its time. The kernel reports no
// error event for a device that went down or away, so Recv asks when a wait
// has run out, and at least once a second.
package xsk
