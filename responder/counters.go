package responder

import (
	"math/bits"
	"sync/atomic"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// counters are the requests of an interface's tier. They are never reset, so that sums stay monotonic.
type counters struct {
	ended [dhcp.NumStages][packet.NumReasons]atomic.Uint64
	notes [noteBits]atomic.Uint64
}

const noteBits = 16 // of dhcp.Note

// add counts one request and what was noted of it.
func (c *counters) add(s dhcp.Stage, r packet.Reason, notes dhcp.Note) {
	c.ended[s][r].Add(1)
	for ; notes != 0; notes &= notes - 1 {
		c.notes[bits.TrailingZeros16(uint16(notes))].Add(1)
	}
}

// NoteCount is how many requests on an interface had something noted of them.
type NoteCount struct {
	Iface    string
	Note     dhcp.Note
	Requests uint64
}

// Count is a number of requests of one interface and tier that ended alike.
type Count struct {
	Iface, Tier string
	Stage       dhcp.Stage
	Reason      packet.Reason
	Requests    uint64
}

// countKey groups the counters of workers that serve the same interface by the same tier.
type countKey struct{ iface, tier string }
