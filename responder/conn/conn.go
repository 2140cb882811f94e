// Package conn is the seam between the responder and the wire: batches of
// datagrams in, batches of replies out, over AF_XDP, a BPF ring buffer with a
// packet socket, or plain UDP sockets.
//
// A Conn has one owner: all methods but Close, Wake and Stats are called from
// one goroutine. Buffers are lent: a received Packet and its Payload are the
// caller's until Release, an allocated one until Send or Release. Their number
// is fixed; nothing is allocated per packet.
//
// A reply is built in the buffer that Alloc lends, whose Payload has room in
// front of it for all headers. Close takes effect at once for the owner's next
// call, but what the owner holds stays readable and writable until it is
// released: the memory of an AF_XDP socket is unmapped with the last of it.
package conn

import (
	"errors"
	"time"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// MaxPayload is the room that Alloc guarantees in a reply: the largest DHCP
// message that edk2 takes (PXEBC_DHCP4_PACKET_MAX_SIZE 1472).
const MaxPayload = 1472

// ErrClosed is wrapped by Recv after Close.
var ErrClosed = errors.New("connection closed")

// Conn is one queue's way to the wire.
type Conn interface {
	// Recv fills dst with received datagrams and waits at most until wait has
	// passed (negative: for ever) for the first of them. 0 and nil: nothing
	// came, or Wake. Where the transport can tell that its port is down or gone,
	// the error satisfies errors.Is(err, syscall.ENETDOWN).
	Recv(dst []packet.Packet, wait time.Duration) (int, error)
	// Alloc fills dst with empty reply buffers: Payload has length 0 and
	// capacity MaxPayload or more. It returns how many there were.
	Alloc(dst []packet.Packet) int
	// Send queues replies whose Meta and Payload the caller has set: p[:n] are
	// the Conn's again, p[n:] still the caller's. A reply that the kernel
	// refuses for itself is counted and skipped, not returned as an error.
	Send(p []packet.Packet) (n int, err error)
	// Release gives back received packets and unsent replies.
	Release(p []packet.Packet)
	// Flush starts the transmission of what was sent: one wake-up a batch. What
	// the kernel has no room for is tried again a bounded number of times, then
	// counted. An error is a port that is down or gone, as from Recv, or ErrClosed.
	Flush() error
	// Wake makes a blocked Recv, or else the next one that would block, return; safe from any goroutine.
	Wake()
	// Close ends the Conn; safe from any goroutine, twice too. Recv returns ErrClosed from then on.
	Close() error
	// Stats returns totals since opening; safe from any goroutine.
	Stats() Stats
}

// Stats are a Conn's own counters, in packets.
type Stats struct {
	Received, Sent uint64
	BadFrames      uint64 // received but not parseable
	Stale          uint64 // older than their client's patience when they were read
	SendErrors     uint64 // refused by the kernel
	Dropped        uint64 // the kernel's own count: ring full, no fill frames, socket buffer full
}
