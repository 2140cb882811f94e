// Package conn is the seam between the responder and the wire: batches of
// datagrams in, batches of replies out, over AF_XDP, a BPF ring buffer with a
// packet socket, or plain UDP sockets.
//
// A Conn has one owner: all methods but Close and Wake are called from one
// goroutine. Buffers are lent: a received Packet and its Payload are the
// caller's until Release, an allocated one until Send or Release.
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
	// passed (negative: for ever) for the first of them. 0 and nil: nothing came, or Wake.
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
	// Flush starts the transmission of what was sent: one wake-up a batch.
	Flush() error
	// Wake makes a blocked Recv return; safe from any goroutine.
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
	Stale          uint64 // ring buffer records older than their client's patience
	SendErrors     uint64 // refused by the kernel
	Dropped        uint64 // the kernel's own count: ring full, no fill frames, socket buffer full
}
