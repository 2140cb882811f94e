package responder

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// Frame is one datagram that a tap shows, as an Ethernet frame of its own.
type Frame struct {
	Time  time.Time
	Iface string
	Out   bool // ours
	Data  []byte
}

// taps copy what workers receive and send to whoever captures: what XDP takes
// never reaches tcpdump. Without a subscriber they cost one load per batch.
type taps struct {
	count atomic.Int32
	mu    sync.Mutex
	subs  map[*subscription]struct{}
}

type subscription struct {
	iface string
	sink  func(Frame)
}

// Tap calls sink with each frame of the interface (empty: of all) until cancel.
// Meanwhile the kernel answers nothing there by itself, so that none is missing.
// sink runs on the workers and must neither block nor keep them busy.
func (s *Server) Tap(iface string, sink func(Frame)) (cancel func()) {
	t, sub := &s.taps, &subscription{iface, sink}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.subs == nil {
		t.subs = make(map[*subscription]struct{})
	}
	t.subs[sub] = struct{}{}
	t.count.Store(int32(len(t.subs)))
	s.standAside()
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.subs, sub)
		t.count.Store(int32(len(t.subs)))
		s.standAside()
	}
}

// shows reports whether somebody captures on the interface.
func (t *taps) shows(iface string) bool {
	for sub := range t.subs {
		if sub.iface == "" || sub.iface == iface {
			return true
		}
	}
	return false
}

func (t *taps) on() bool { return t.count.Load() != 0 }

// show rebuilds the frame: transports lend payloads, and a UDP socket never had the headers.
func (t *taps) show(now time.Time, iface string, out bool, p *packet.Packet) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for sub := range t.subs {
		if sub.iface != "" && sub.iface != iface {
			continue
		}
		head := packet.HeaderLen(&p.Meta)
		data := make([]byte, max(head+len(p.Payload), 60))
		copy(data[head:], p.Payload)
		n := packet.Build(data, &p.Meta, len(p.Payload))
		sub.sink(Frame{Time: now, Iface: iface, Out: out, Data: data[:n]})
	}
}
