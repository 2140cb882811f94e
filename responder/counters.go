package responder

import (
	"sync/atomic"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// counters are one worker's requests by stage and reason. One goroutine
// writes, any may read; they are never reset, so that sums stay monotonic.
type counters [dhcp.NumStages][packet.NumReasons]atomic.Uint64

// add counts one request.
func (c *counters) add(s dhcp.Stage, r packet.Reason) { c[s][r].Add(1) }

// Count is a number of requests of one worker group that ended alike.
type Count struct {
	Iface, Tier string
	Stage       dhcp.Stage
	Reason      packet.Reason
	Requests    uint64
}

// countKey groups the counters of workers that serve the same interface by the same tier.
type countKey struct{ iface, tier string }
