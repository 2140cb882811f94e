package history

import (
	"sync"
	"unsafe"

	"github.com/xdpxe/xdpxe/responder/deploy"
)

const (
	maxShards = 64
	minShard  = 64 // machines of one: fewer make shards that fill unevenly
)

// class says how much is known of a machine.
type class uint8

const (
	stranger    class = iota // met with silence
	answered                 // or named by somebody
	established              // went on after an answer, or fetched files
	classes
)

// shard is a part of the machines.
type shard struct {
	mu        sync.Mutex
	machines  map[deploy.Identity]*machine // by key
	rings     [classes]machine             // of each class, from the longest unheard to the last heard
	spare     *machine                     // that was forgotten last, for its memory
	all, kept account                      // kept: of all but strangers
	forgotten uint64
	_         [64]byte // the next shard's lock is in another cache line
}

// account is what machines take, and may take.
type account struct {
	n, most         int
	bytes, mostByte int64
}

func (a *account) over() bool { return a.n > a.most || a.bytes > a.mostByte }

func (a *account) add(n int, bytes int64) {
	a.n += n
	a.bytes += bytes
}

// machine is one timeline.
type machine struct {
	id             deploy.Identity
	uuid           deploy.Identity
	class          class
	before, behind *machine // in its class's ring
	text           int64    // bytes
	ring           []record // grows to the entries of one machine, then begins anew
	next           int      // where the next entry goes once it is full
}

const machineSize = int64(unsafe.Sizeof(machine{})) + 64 // with its part of the map

func (m *machine) size() int64 { return machineSize + int64(cap(m.ring))*recordSize + m.text }

func (s *shard) init(machines int, bytes int64) {
	s.machines = make(map[deploy.Identity]*machine)
	s.all = account{most: machines, mostByte: bytes}
	s.kept = account{most: machines - machines/4, mostByte: bytes - bytes/4}
	for i := range s.rings {
		end := &s.rings[i]
		end.before, end.behind = end, end
	}
}

// machine returns that of an identity, which may be new.
func (s *shard) machine(id deploy.Identity) *machine {
	m := s.machines[id]
	if m != nil {
		m.unlink()
		return m
	}
	if m = s.spare; m == nil {
		m = new(machine)
	}
	s.spare = nil
	m.id = id
	s.machines[id] = m
	s.all.add(1, m.size())
	return m
}

func (m *machine) unlink() { m.before.behind, m.behind.before = m.behind, m.before }

// link puts a machine to the end of its class's ring.
func (s *shard) link(m *machine) {
	end := &s.rings[m.class]
	m.before, m.behind = end.before, end
	m.before.behind, end.before = m, m
}

// put adds an entry to a machine that is in no ring, which it then is, and makes
// room. It returns the entry in its place.
func (s *shard) put(m *machine, r *record, to class, most int) *record {
	was, before := m.class, m.size()
	switch {
	case m.class == answered && r.kind == request && !m.repeats(r):
		to = established
	case to < m.class:
		to = m.class
	}
	r = m.put(r, most)
	m.class = to
	s.link(m)

	after := m.size()
	s.all.add(0, after-before)
	switch {
	case was != stranger:
		s.kept.add(0, after-before)
	case to != stranger:
		s.kept.add(1, after)
	}
	for s.kept.over() && s.forget(answered, m) {
	}
	for s.all.over() && s.forget(stranger, m) {
	}
	return r
}

// forget drops the machine that goes first, of those of a class or a higher one.
// false: there is none but the one that is to stay.
func (s *shard) forget(from class, stays *machine) bool {
	for c := from; c < classes; c++ {
		end := &s.rings[c]
		m := end.behind
		if m == stays {
			m = m.behind
		}
		if m == end {
			continue
		}
		m.unlink()
		delete(s.machines, m.id)
		s.all.add(-1, -m.size())
		if m.class != stranger {
			s.kept.add(-1, -m.size())
		}
		s.forgotten++
		clear(m.ring)
		*m = machine{ring: m.ring[:0]}
		if cap(m.ring) > spareEntries {
			m.ring = nil
		}
		s.spare = m
		return true
	}
	return false
}

// spareEntries is how long a timeline may be to be used for another machine.
const spareEntries = 4

// last returns the newest entry, nil if there is none.
func (m *machine) last() *record {
	switch {
	case len(m.ring) == 0:
		return nil
	case m.next == 0:
		return &m.ring[len(m.ring)-1]
	}
	return &m.ring[m.next-1]
}

// repeats reports whether the machine does what it did last.
func (m *machine) repeats(r *record) bool {
	last := m.last()
	return last != nil && last.kind == r.kind && last.stage == r.stage && last.reason == r.reason
}

// put adds an entry, or counts it where it is the same as the last one.
func (m *machine) put(r *record, most int) *record {
	if last := m.last(); last != nil && r.first-last.last < int64(again) && r.fact == last.fact {
		last.count++
		last.last = max(last.last, r.first)
		last.bytes, last.size = r.bytes, r.size
		return last
	}
	if r.kind == transfer && r.outcome != Running {
		if begun := m.begun(r); begun != nil {
			m.text += r.text() - begun.text()
			first := begun.first
			*begun = *r
			begun.first, begun.last, begun.count = first, r.first, 1
			return begun
		}
	}
	at := m.grow(most)
	m.text += r.text() - at.text()
	*at = *r
	at.last, at.count = r.first, 1
	return at
}

// begun returns the entry of the transfer's begin.
func (m *machine) begun(r *record) *record {
	for i := range m.ring {
		if b := &m.ring[i]; b.kind == transfer && b.outcome == Running && b.file == r.file && b.from == r.from {
			return b
		}
	}
	return nil
}

// grow returns the place of the next entry, which has the oldest in it if there
// are as many as there may be.
func (m *machine) grow(most int) *record {
	n := len(m.ring)
	if n == most {
		at := &m.ring[m.next]
		m.next = (m.next + 1) % n
		return at
	}
	if n == cap(m.ring) {
		longer := make([]record, n, min(max(1, 2*n), most))
		copy(longer, m.ring)
		m.ring = longer
	}
	m.ring = m.ring[:n+1]
	return &m.ring[n]
}

// timeline adds a machine's entries to out, and returns its UUID.
func (s *shard) timeline(out []Entry, id deploy.Identity) ([]Entry, deploy.Identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.machines[id]
	if m == nil {
		return out, deploy.Identity{}
	}
	return m.timeline(out), m.uuid
}

func (m *machine) timeline(out []Entry) []Entry {
	for i := range m.ring {
		out = append(out, m.ring[(m.next+i)%len(m.ring)].entry())
	}
	return out
}

// bearers adds the entries of all machines that show a UUID.
func (s *shard) bearers(out []Entry, uuid deploy.Identity) []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.machines {
		if m.uuid.Key() == uuid {
			out = m.timeline(out)
		}
	}
	return out
}
