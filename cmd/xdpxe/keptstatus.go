package main

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xdpxe/xdpxe/responder/control"
	"github.com/xdpxe/xdpxe/responder/deploy"
)

// maxProblemsShown bounds the unreadable records in a status.
const maxProblemsShown = 100

// addStatus adds what is known of store, deployments and fleet.
func (d *deployments) addStatus(st *control.Status, now time.Time) {
	if d == nil {
		return
	}
	s, health := d.catalogue.Snapshot(), d.store.Health()
	sum, seen := s.Stats(), d.catalogue.SightingStats()
	st.Store = &control.Store{Kind: d.kind, Where: d.where, Loaded: s.Read(), Available: sum.Available, Since: health.Since}
	if health.Err != nil {
		st.Store.Error = health.Err.Error()
	}
	for _, p := range s.Problems(maxProblemsShown) {
		st.Store.Problems = append(st.Store.Problems, p.Key+": "+p.Err)
	}
	states, duplicates := d.counts.of(s, now)
	st.Deployments = &control.Deployments{
		States: states, Duplicates: duplicates, Machines: sum.Machines, Held: sum.Held, Groups: sum.Groups, Ignored: sum.Ignored,
		EventsLost: d.catalogue.NotesLost(), SeenLost: seen.Lost + seen.Refused, SeenWait: seen.Waiting,
	}
	st.Fleet = d.fleet.status()
}

// stateCounts remembers for a moment how many deployments are in which state,
// and which UUIDs several machines show: to count them is to look at all, and at
// all machines of their groups. Whoever asks how often, it takes a twentieth of a
// core at most.
type stateCounts struct {
	mu         sync.Mutex
	until      time.Time // what was counted is good enough
	states     []control.DeploymentState
	duplicates []control.DuplicateUUID
}

// maxDuplicatesShown bounds the UUIDs in a status, and the machines of each.
const maxDuplicatesShown = 20

const countShare = 20

func (c *stateCounts) of(s *deploy.Snapshot, now time.Time) ([]control.DeploymentState, []control.DuplicateUUID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !now.Before(c.until) {
		began := time.Now()
		states := s.States(now)
		c.duplicates = duplicatesOf(s)
		c.until, c.states = now.Add(countShare*time.Since(began)), nil
		for _, state := range slices.SortedFunc(maps.Keys(states), func(a, b deploy.State) int { return strings.Compare(string(a), string(b)) }) {
			c.states = append(c.states, control.DeploymentState{State: string(state), Count: states[state]})
		}
	}
	return c.states, c.duplicates
}

func duplicatesOf(s *deploy.Snapshot) (list []control.DuplicateUUID) {
	for _, d := range s.Duplicates() {
		if len(list) == maxDuplicatesShown {
			break
		}
		one := control.DuplicateUUID{UUID: d.UUID.String()}
		for _, m := range d.Machines[:min(len(d.Machines), maxDuplicatesShown)] {
			one.Machines = append(one.Machines, m.String())
		}
		list = append(list, one)
	}
	return list
}

// status says who else answers; nil: nobody that this server could know of.
func (f *fleetMember) status() *control.Fleet {
	if f == nil {
		return nil
	}
	is := f.Status()
	st := &control.Fleet{Name: f.config.Name, Member: is.Member}
	if is.Err != nil {
		st.Error = is.Err.Error()
	}
	for _, member := range f.Members() {
		st.Members = append(st.Members, control.Member(member))
	}
	return st
}

func (m *memory) status() *control.Memory {
	if m == nil {
		return nil
	}
	b, h := m.bindings.Stats(), m.history.Stats()
	return &control.Memory{
		Bindings: b.Machines, Addresses: b.Addresses, Contested: b.Contested, Pushed: b.Pushed,
		Timelines: h.Machines, Forgotten: h.Forgotten, EventsDropped: h.Dropped,
	}
}
