package tftp

import (
	"container/heap"
	"sync/atomic"
	"time"
)

// meter bounds a rate: it is the time until which all that was let through
// would take at that rate. All workers may use it at once.
type meter struct{ until atomic.Int64 }

// meterSlack is how far a meter may lag behind: what could have been sent within
// it, but was not, may be sent later. It makes good for timers that are late.
const meterSlack = 5 * time.Millisecond

// reserve returns when bytes may leave at so many a second: not after now, if at once.
func (m *meter) reserve(bytes int, rate int64, now instant) instant {
	cost := int64(time.Duration(bytes) * time.Second / time.Duration(rate))
	for {
		old := m.until.Load()
		start := max(old, int64(now.add(-meterSlack)))
		if m.until.CompareAndSwap(old, start+cost) {
			return instant(start)
		}
	}
}

// caps bound the bandwidth of all, of a client address, and of a network, in
// bytes a second; 0: none.
type caps struct {
	total, client, network int64
	some                   bool // one of them is set
	all                    *meter
}

func newCaps(cfg *Config) caps {
	c := caps{total: cfg.Bandwidth, client: cfg.PerClient.Bandwidth, network: cfg.PerNetwork.Bandwidth, all: new(meter)}
	c.some = c.total != 0 || c.client != 0 || c.network != 0
	return c
}

// reserve returns when a client's message of so many bytes may leave.
func (c *caps) reserve(a *account, bytes int, now instant) instant {
	var at instant
	if c.client != 0 {
		at = max(at, a.meter.reserve(bytes, c.client, now))
	}
	if c.network != 0 {
		at = max(at, a.network.meter.reserve(bytes, c.network, now))
	}
	if c.total != 0 {
		at = max(at, c.all.reserve(bytes, c.total, now))
	}
	return at
}

// parking is a heap of the flows that wait for their reserved time.
type parking []*flow

func (p *parking) add(f *flow) { heap.Push(p, f) }

func (p *parking) remove(f *flow) {
	if f.parked >= 0 {
		heap.Remove(p, int(f.parked))
	}
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (p parking) Len() int           { return len(p) }
func (p parking) Less(i, j int) bool { return p[i].until < p[j].until }
func (p parking) Swap(i, j int) {
	p[i], p[j] = p[j], p[i]
	p[i].parked, p[j].parked = int32(i), int32(j)
}
func (p *parking) Push(x any) {
	f := x.(*flow)
	f.parked = int32(len(*p))
	*p = append(*p, f)
}
func (p *parking) Pop() any {
	last := len(*p) - 1
	f := (*p)[last]
	(*p)[last] = nil
	*p = (*p)[:last]
	f.parked = -1
	return f
}
