package history

import (
	"hash/maphash"
	"slices"
	"sync/atomic"
	"time"

	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// Config bounds what is remembered. Zero fields are the defaults.
type Config struct {
	Machines int
	Entries  int   // of one machine
	Bytes    int64 // of all
}

// Defaults.
const (
	DefaultMachines = 16_384
	DefaultEntries  = 48
	DefaultBytes    = 48 << 20
)

// again is how long after an entry the same counts as that entry once more: the
// pauses of firmware that asks again, and of a machine that starts anew for want of an answer.
const again = 10 * time.Minute

// History is the timelines of all machines. Its methods are safe for concurrent
// use and wait for nobody.
type History struct {
	entries  int
	seed     maphash.Seed
	shards   []shard
	nameless atomic.Uint64
	hub
}

// New returns a history that remembers nobody yet.
func New(c Config) *History {
	if c.Machines <= 0 {
		c.Machines = DefaultMachines
	}
	if c.Entries <= 0 {
		c.Entries = DefaultEntries
	}
	if c.Bytes <= 0 {
		c.Bytes = DefaultBytes
	}
	n := 1
	for n < maxShards && c.Machines/(2*n) >= minShard {
		n *= 2
	}
	h := &History{entries: c.Entries, seed: maphash.MakeSeed(), shards: make([]shard, n)}
	for i := range h.shards {
		h.shards[i].init(c.Machines/n, c.Bytes/int64(n))
	}
	return h
}

// shardOf returns where a machine is.
func (h *History) shardOf(id deploy.Identity) *shard {
	return &h.shards[maphash.Comparable(h.seed, id)&uint64(len(h.shards)-1)]
}

// Observe takes what became of a request. m may be nil.
func (h *History) Observe(e *responder.Event, m *policy.Machine) {
	if e.Reason == packet.NotRequest {
		return // a server's reply to the machine
	}
	c := deploy.Client{MAC: e.MAC[:min(int(e.MACLen), len(e.MAC))]}
	if e.HasUUID {
		c.UUID = e.UUID[:]
	}
	h.add(c, &record{fact: ofRequest(e, m), first: e.Time.UnixNano()}, classOf(e))
}

// Transfer takes that a transfer begins, or how it ended.
func (h *History) Transfer(t *FileTransfer, now time.Time) {
	h.add(t.Client, &record{
		first: now.UnixNano(), bytes: t.Sent, size: t.Size,
		fact: fact{
			kind: transfer, from: t.Address, file: clip(t.File, maxFile), detail: clip(t.Why, maxDetail), outcome: t.Outcome,
			profile: t.Profile, deployment: t.Deployment, server: t.Server,
		},
	}, established)
}

// Note takes something to know of a machine.
func (h *History) Note(n *Remark, now time.Time) {
	h.add(n.Client, &record{first: now.UnixNano(), fact: fact{
		kind: note, file: clip(n.File, maxFile), detail: clip(n.Text, maxDetail),
		profile: n.Profile, deployment: n.Deployment, server: n.Server,
	}}, stranger)
}

// Moved takes a step of a deployment: see deploy.Config. What is about all of a
// group, or deleted, subscribers hear of, and nobody remembers.
func (h *History) Moved(m deploy.Move, now time.Time) {
	run := &m.Now
	r := record{first: now.UnixNano(), last: now.UnixNano(), count: 1, bytes: run.Sent, size: run.Size, fact: fact{
		kind: deployment, deployment: m.Run.ID, profile: m.Profile, outcome: string(run.State),
		file: clip(run.File, maxFile), detail: clip(run.Reason, maxDetail), server: run.Server,
	}}
	if m.Deleted {
		r.outcome = Deleted
	}
	id := m.Run.Machine.Key()
	if m.Deleted || id.IsZero() {
		h.tell(id, deploy.Identity{}, &r)
		return
	}
	h.addTo(id, deploy.Identity{}, &r, answered)
}

// add takes an entry of a machine, which makes it one of at least that class.
func (h *History) add(c deploy.Client, r *record, to class) {
	mac, uuid := c.Identities()
	id := mac
	if id.IsZero() {
		id = uuid.Key()
	}
	h.addTo(id, uuid, r, to)
}

func (h *History) addTo(id, uuid deploy.Identity, r *record, to class) {
	if id.IsZero() {
		h.nameless.Add(1)
		return
	}
	s := h.shardOf(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.machine(id)
	if !uuid.IsZero() {
		m.uuid = uuid
	}
	h.tell(id, m.uuid, s.put(m, r, to, h.entries))
}

// Machine returns a machine's timeline, the oldest entry first. A UUID's is that
// of all machines that show it; a hardware address's has what the machine did
// when it showed its UUID only.
func (h *History) Machine(id deploy.Identity) []Entry {
	var out []Entry
	if id = id.Key(); id.IsUUID() {
		for i := range h.shards {
			out = h.shards[i].bearers(out, id)
		}
	} else {
		var uuid deploy.Identity
		if out, uuid = h.shardOf(id).timeline(out, id); !uuid.IsZero() {
			out, _ = h.shardOf(uuid.Key()).timeline(out, uuid.Key())
		}
	}
	slices.SortStableFunc(out, func(a, b Entry) int { return a.Last.Compare(b.Last) })
	return out
}

// Stats count what is remembered, and what is not any more.
type Stats struct {
	Machines    int    `json:"machines"`
	Bytes       int64  `json:"bytes"`
	Forgotten   uint64 `json:"forgotten"` // machines that made room for others
	Nameless    uint64 `json:"nameless"`  // entries of nobody: no hardware address and no UUID
	Subscribers int    `json:"subscribers"`
	Dropped     uint64 `json:"dropped"` // entries that subscribers had no room for
}

// Stats returns them.
func (h *History) Stats() Stats {
	st := Stats{Nameless: h.nameless.Load()}
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.Lock()
		st.Machines += s.all.n
		st.Bytes += s.all.bytes
		st.Forgotten += s.forgotten
		s.mu.Unlock()
	}
	st.Subscribers, st.Dropped = h.hub.stats()
	return st
}
