package deploy

import (
	"context"
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/xdpxe/xdpxe/responder/store"
)

// Sighting is what one request tells of a machine. The slices are borrowed.
type Sighting struct {
	Client
	Arch        string
	VendorClass []byte
	Relay       netip.Addr
	CircuitID   []byte
	Hold        bool // the rule holds unknown machines for approval
}

// sightings are machines that were seen and are not written yet. A machine
// that asks again and again is one of them and one write a minute; of a flood
// of random addresses, those that ask twice are written first, some a second.
type sightings struct {
	mu      sync.Mutex
	pending map[Identity]*seen
	lost    uint64
	refused uint64

	// Of the goroutine that writes.
	tokens  float64
	filled  time.Time
	evicted time.Time
}

// seen is one of them: a Machine with the tries since the last write.
type seen struct {
	m           Machine
	hold        bool
	known       bool      // it is recorded, and
	due         time.Time // so to be written then
	vendorClass []byte
	circuitID   []byte
}

// Bounds of sightings.
const (
	maxPending  = 16_384
	newBurst    = 100         // new machines written at once after some quiet
	noteEvery   = time.Minute // of a machine that is recorded
	maxUpdates  = 500         // of recorded machines, at a time
	evictEvery  = 10 * time.Second
	evictMost   = 100             // machines that make room for others, at a time
	evictAfter  = 2 * time.Minute // without a second try: firmware asks again within one
	maxSeenText = 256             // bytes of a vendor class or circuit id
)

// See notes that a machine has asked. It does no I/O, and allocates only for
// a machine that has not asked since the last write.
func (c *Catalogue) See(s Sighting, now time.Time) {
	id := s.ID().key()
	if id.IsZero() {
		return
	}
	_, uuid := s.Identities()
	rec := c.Snapshot().entry(id).machine
	l := &c.sightings
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.pending[id]
	if p == nil {
		if len(l.pending) >= maxPending {
			l.dropOne()
		}
		if l.pending == nil {
			l.pending = make(map[Identity]*seen)
		}
		p = &seen{m: Machine{ID: id, FirstSeen: now}, known: rec != nil}
		if rec != nil {
			p.due = rec.LastSeen.Add(noteEvery)
		}
		l.pending[id] = p
	}
	if rec != nil && (s.Hold && !rec.Held && rec.Approved == nil || !uuid.IsZero() && uuid != rec.UUID) {
		p.known, p.due = true, now // it says something else than is recorded
	}
	m := &p.m
	m.LastSeen = now
	m.Tries++
	p.hold = s.Hold
	if !uuid.IsZero() {
		m.UUID = uuid
	}
	if s.Arch != "" {
		m.Arch = s.Arch
	}
	m.Relay = s.Relay
	keep(&p.vendorClass, s.VendorClass)
	keep(&p.circuitID, s.CircuitID)
}

// keep copies what a machine sent; what it leaves out this time stays.
func keep(kept *[]byte, raw []byte) {
	if len(raw) > 0 {
		*kept = append((*kept)[:0], raw[:min(len(raw), maxSeenText)]...)
	}
}

// dropOne makes room for a machine: of a few at random the one that asked least goes.
func (l *sightings) dropOne() {
	var least Identity
	looked := 0
	for id, p := range l.pending {
		if least.IsZero() || p.m.Tries < l.pending[least].m.Tries {
			least = id
		}
		if looked++; looked == 8 {
			break
		}
	}
	delete(l.pending, least)
	l.lost++
}

// text writes what a machine sent: as text if it is, else its digits after 0x.
func text(raw []byte) string {
	if len(raw) == 0 {
		return ""
	}
	if s := string(raw); utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return s
	}
	return "0x" + hex.EncodeToString(raw)
}

// SightingStats count what was not recorded.
type SightingStats struct {
	Lost    uint64 `json:"lost"`    // machines dropped before they were written: too many asked
	Refused uint64 `json:"refused"` // not recorded, as the limit of machines is reached
	Waiting int    `json:"waiting"` // to be written
}

// SightingStats returns them.
func (c *Catalogue) SightingStats() SightingStats {
	l := &c.sightings
	l.mu.Lock()
	defer l.mu.Unlock()
	return SightingStats{l.lost, l.refused, len(l.pending)}
}

// flushSightings writes the machines whose turn it is.
func (c *Catalogue) flushSightings(ctx context.Context) {
	now := time.Now()
	due := c.sightings.due(now, c.bounds.Load().limits.NewMachines)
	if len(due) == 0 {
		return
	}
	if c.full(due) {
		c.evict(ctx, now)
	}
	s := c.Snapshot()
	room := min(c.bounds.Load().limits.Machines-s.machines, c.bounds.Load().limits.Held-s.held)
	var txns []store.Txn
	var of []*seen
	for _, p := range due {
		rec := s.entry(p.m.ID).machine
		if rec == nil {
			if room <= 0 {
				c.sightings.refuse()
				continue
			}
			room--
		}
		m, rev := p.merged(rec)
		key := machineKey(p.m.ID)
		txns = append(txns, store.Txn{Checks: []store.Check{{Key: key, Rev: rev}}, Writes: []store.Write{put(key, m)}})
		of = append(of, p)
	}
	results, err := c.commit(ctx, txns...)
	for i, p := range of {
		failed := err
		if err == nil {
			failed = results[i].Err
		}
		if errors.Is(failed, store.ErrConflict) {
			// Another server saw it too: the next flush adds to that.
			_ = c.refresh(ctx, machineKey(p.m.ID))
			p.known, p.due = true, now
		}
		if failed != nil {
			c.sightings.giveBack(p)
		}
	}
}

func (c *Catalogue) full(due []*seen) bool {
	s := c.Snapshot()
	return s.machines+len(due) > c.bounds.Load().limits.Machines || s.held+len(due) > c.bounds.Load().limits.Held
}

// merged is the record after the tries of p.
func (p *seen) merged(rec *machineRecord) (m Machine, rev store.Rev) {
	if rec == nil {
		m = p.m
		m.Held = p.hold
		m.VendorClass, m.CircuitID = text(p.vendorClass), text(p.circuitID)
		return m, 0
	}
	m = rec.Machine
	m.LastSeen = p.m.LastSeen
	m.Tries += p.m.Tries
	if m.FirstSeen.IsZero() {
		m.FirstSeen = p.m.FirstSeen
	}
	if !p.m.UUID.IsZero() {
		m.UUID = p.m.UUID
	}
	m.Arch = orText(p.m.Arch, m.Arch)
	m.VendorClass, m.CircuitID = orText(text(p.vendorClass), m.VendorClass), orText(text(p.circuitID), m.CircuitID)
	m.Relay = p.m.Relay
	m.Held = m.Approved == nil && (m.Held || p.hold)
	return m, rec.rev
}

// due takes out of pending what is to be written now; rate is that of new machines, a second.
func (l *sightings) due(now time.Time, rate float64) []*seen {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.filled.IsZero() {
		l.tokens = newBurst
	} else {
		l.tokens = min(newBurst, l.tokens+rate*now.Sub(l.filled).Seconds())
	}
	l.filled = now
	// See waits meanwhile, so this only picks: machines that asked again first.
	var due, again, once []*seen
	for _, p := range l.pending {
		switch {
		case p.known:
			if len(due) < maxUpdates && !now.Before(p.due) {
				due = append(due, p)
			}
		case p.m.Tries > 1 && len(again) < newBurst:
			again = append(again, p)
		case len(once) < newBurst:
			once = append(once, p)
		}
	}
	fresh := append(again, once...)
	fresh = fresh[:min(len(fresh), int(l.tokens))]
	l.tokens -= float64(len(fresh))
	due = append(due, fresh...)
	for _, p := range due {
		delete(l.pending, p.m.ID)
	}
	return due
}

// giveBack puts a machine back that could not be written.
func (l *sightings) giveBack(p *seen) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if again := l.pending[p.m.ID]; again != nil {
		again.m.Tries += p.m.Tries
		again.m.FirstSeen = p.m.FirstSeen
		if p.known {
			again.known, again.due = true, p.due
		}
	} else if len(l.pending) < maxPending {
		l.pending[p.m.ID] = p
	} else {
		l.lost++
	}
}

func (l *sightings) refuse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused++
}

// evict makes room: machines that asked once, are held, and were not seen since.
func (c *Catalogue) evict(ctx context.Context, now time.Time) {
	if now.Sub(c.sightings.evicted) < evictEvery {
		return
	}
	c.sightings.evicted = now
	var victims []*machineRecord
	for _, e := range c.Snapshot().entries.all {
		if m := e.machine; m != nil && m.Held && m.Tries == 1 && m.Name == "" && m.Note == "" && now.Sub(m.LastSeen) >= evictAfter {
			victims = append(victims, m)
		}
	}
	slices.SortFunc(victims, func(a, b *machineRecord) int { return a.LastSeen.Compare(b.LastSeen) })
	var txns []store.Txn
	for _, m := range victims[:min(len(victims), evictMost)] {
		key := machineKey(m.ID)
		txns = append(txns, store.Txn{Checks: []store.Check{{Key: key, Rev: m.rev}}, Writes: []store.Write{{Key: key, Delete: true}}})
	}
	_, _ = c.commit(ctx, txns...) // what is not evicted now has its turn later
}
