package history

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/xdpxe/xdpxe/responder/deploy"
)

// backlog is how many entries wait for a subscriber.
const backlog = 1024

// hub is who hears of entries as they come.
type hub struct {
	mu      sync.Mutex // of changes
	subs    atomic.Pointer[[]*Subscription]
	dropped atomic.Uint64
}

// Subscription is one subscriber's.
type Subscription struct {
	told    chan Told
	only    deploy.Identity
	dropped atomic.Uint64
}

// C has the entries. It is never closed.
func (s *Subscription) C() <-chan Told { return s.told }

// Dropped counts entries that there was no room for.
func (s *Subscription) Dropped() uint64 { return s.dropped.Load() }

// Subscribe makes entries heard as they come, those of one machine or, with the
// zero Identity, of all, until cancel. An entry that counts on is told again. What
// the subscriber does not take in time is dropped and counted: nobody waits for it.
func (h *History) Subscribe(only deploy.Identity) (s *Subscription, cancel func()) {
	s = &Subscription{told: make(chan Told, backlog), only: only.Key()}
	h.change(func(subs []*Subscription) []*Subscription { return append(subs, s) })
	return s, func() {
		h.change(func(subs []*Subscription) []*Subscription {
			return slices.DeleteFunc(subs, func(o *Subscription) bool { return o == s })
		})
	}
}

func (h *hub) change(to func([]*Subscription) []*Subscription) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var subs []*Subscription
	if old := h.subs.Load(); old != nil {
		subs = slices.Clone(*old)
	}
	if subs = to(subs); len(subs) == 0 {
		h.subs.Store(nil)
		return
	}
	h.subs.Store(&subs)
}

// tell hands an entry to those who hear of that machine.
func (h *hub) tell(id, uuid deploy.Identity, r *record) {
	subs := h.subs.Load()
	if subs == nil {
		return
	}
	var t Told
	for _, s := range *subs {
		if !s.only.IsZero() && s.only != id && s.only != uuid.Key() {
			continue
		}
		if t.Count == 0 {
			t = Told{Machine: id, UUID: uuid, Entry: r.entry()}
		}
		select {
		case s.told <- t:
		default:
			s.dropped.Add(1)
			h.dropped.Add(1)
		}
	}
}

func (h *hub) stats() (subscribers int, dropped uint64) {
	if subs := h.subs.Load(); subs != nil {
		subscribers = len(*subs)
	}
	return subscribers, h.dropped.Load()
}
