// Package responder is the boot server between the wire and the decisions:
// workers take requests from a conn.Conn in batches, ask responder/dhcp for
// the answer, send it, and account for every request.
//
// One Server serves all interfaces and tiers. What it answers with (the policy
// in a dhcp.Responder, the addresses in Links) is swapped whole while workers
// run. It opens nothing itself: cmd/xdpxe wires connections to it.
package responder

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// Server answers PXE requests. Its methods are safe for concurrent use.
type Server struct {
	answers   atomic.Pointer[dhcp.Responder]
	links     atomic.Pointer[Links]
	journal   *Journal
	diagnoses *Diagnoses
	taps      taps
	observers []Observer // not changed once requests come

	mu       sync.Mutex
	counters map[countKey]*counters
	workers  map[*worker]struct{}
	kernels  map[string]*kernel // by interface
}

// New returns a Server that answers nothing until SetAnswers and SetLinks are called.
func New(log *zap.Logger) *Server {
	d := newDiagnoses(log)
	return &Server{
		journal:   newJournal(log, d),
		diagnoses: d,
		counters:  make(map[countKey]*counters),
		workers:   make(map[*worker]struct{}),
		kernels:   make(map[string]*kernel),
	}
}

// SetAnswers makes r decide. Once it returns, what is received is answered by
// it, in the kernel as well.
func (s *Server) SetAnswers(r *dhcp.Responder) {
	s.answers.Store(r)
	s.VoidTemplates()
}

// SetLinks makes l the known networks, as SetAnswers does. l must not be changed
// afterwards. Where it only adds ports, what the kernel answers on others holds on.
func (s *Server) SetLinks(l Links) {
	was := s.links.Swap(&l)
	if was == nil || !l.extends(*was) {
		s.VoidTemplates()
	}
}

// Journal returns the record of what became of clients.
func (s *Server) Journal() *Journal { return s.journal }

// Diagnoses returns what was found to keep clients from booting.
func (s *Server) Diagnoses() []Diagnosis { return s.diagnoses.List() }

// Run writes the journal to the log until ctx ends.
func (s *Server) Run(ctx context.Context) { s.journal.run(ctx) }

// countersFor returns the counters of an interface and tier; they outlive the
// workers, so that a re-opened datapath goes on counting.
func (s *Server) countersFor(iface, tier string) *counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := countKey{iface, tier}
	c := s.counters[key]
	if c == nil {
		c = new(counters)
		s.counters[key] = c
	}
	return c
}

// Counts returns all counters that are not zero, in a stable order.
func (s *Server) Counts() []Count {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Count
	for key, c := range s.counters {
		for stage := range c.ended {
			for reason := range c.ended[stage] {
				if n := c.ended[stage][reason].Load(); n != 0 {
					out = append(out, Count{key.iface, key.tier, dhcp.Stage(stage), packet.Reason(reason), n})
				}
			}
		}
	}
	for iface, k := range s.kernels {
		out = k.appendCounts(out, iface)
	}
	slices.SortFunc(out, func(a, b Count) int {
		return cmp.Or(strings.Compare(a.Iface, b.Iface), strings.Compare(a.Tier, b.Tier), cmp.Compare(a.Stage, b.Stage), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// Notes returns how often each note was made, in a stable order.
func (s *Server) Notes() []NoteCount {
	s.mu.Lock()
	defer s.mu.Unlock()
	sums := make(map[string]*[noteBits]uint64)
	for key, c := range s.counters {
		if sums[key.iface] == nil {
			sums[key.iface] = new([noteBits]uint64)
		}
		for bit := range c.notes {
			sums[key.iface][bit] += c.notes[bit].Load()
		}
	}
	var out []NoteCount
	for _, iface := range slices.Sorted(maps.Keys(sums)) {
		for bit, n := range sums[iface] {
			if n != 0 {
				out = append(out, NoteCount{iface, 1 << bit, n})
			}
		}
	}
	return out
}

// Alive reports whether every worker of the interface has gone round its loop
// within the given time. A worker that hangs must stop the heartbeat: XDP then
// passes its requests to the stack instead of feeding a queue that nobody reads.
func (s *Server) Alive(iface string, now time.Time, within time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.workers {
		if w.iface == iface && now.Sub(time.Unix(0, w.turned.Load())) > within {
			return false
		}
	}
	return true
}

func (s *Server) join(w *worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.workers[w] = struct{}{}
}

func (s *Server) leave(w *worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.workers, w)
}
