package deploy

import (
	"slices"
	"time"

	"github.com/xdpxe/xdpxe/responder/store"
)

// MaxPage bounds what one page shows.
const MaxPage = 1000

// Filter says which deployments to list; zero fields do not matter.
type Filter struct {
	Machine Identity // named itself, or by one of its groups
	Group   string
	Profile string
	State   State
}

// Deployments returns a page of deployments in order of their ids, from behind
// `after`. more says that there are others.
func (s *Snapshot) Deployments(f Filter, after string, limit int, now time.Time) (page []Status, more bool) {
	limit = pageSize(limit)
	var ids []string
	for id, n := range s.deployments.all {
		if id > after && s.passes(n, f) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		n, _ := s.deployments.get(id)
		st := s.status(n, now)
		if f.State != "" && st.Run.State != f.State {
			continue
		}
		if len(page) == limit {
			return page, true
		}
		page = append(page, st)
	}
	return page, false
}

func pageSize(limit int) int {
	if limit <= 0 || limit > MaxPage {
		return MaxPage
	}
	return limit
}

func (s *Snapshot) passes(n *node, f Filter) bool {
	t := n.d.Target
	return (f.Machine.IsZero() || s.names(n, f.Machine.key())) && (f.Group == "" || t.Group == f.Group) && (f.Profile == "" || n.d.Profile == f.Profile)
}

// MachineStatus is a machine as it is shown.
type MachineStatus struct {
	Machine
	Revision store.Rev  `json:"revision"`
	Groups   []string   `json:"groups,omitempty"`
	Ignored  *Ignored   `json:"ignored,omitempty"`
	Shared   []Identity `json:"uuid_shared_with,omitempty"` // other machines that were seen with its UUID
}

// Machine returns what is recorded of a machine.
func (s *Snapshot) Machine(id Identity) (MachineStatus, bool) {
	e := s.entry(id.key())
	if e.machine == nil {
		return MachineStatus{}, false
	}
	return s.machineStatus(e), true
}

func (s *Snapshot) machineStatus(e *entry) MachineStatus {
	m := MachineStatus{Machine: e.machine.Machine, Revision: e.machine.rev, Groups: e.groups}
	same := s.entry(m.UUID.key())
	m.Ignored = s.ignores(m.ID.key(), e, same)
	for _, id := range same.bearers {
		if id != m.ID.key() {
			m.Shared = append(m.Shared, id)
		}
	}
	return m
}

// MachineFilter says which machines to list.
type MachineFilter struct {
	Held     bool // only those that wait for approval
	Approved bool // only those that have it
	Ignored  bool // only those on the ignore list, themselves or their vendor
	Group    string
}

// Machines returns a page of recorded machines in order, from behind `after`.
func (s *Snapshot) Machines(f MachineFilter, after Identity, limit int) (page []MachineStatus, more bool) {
	limit = pageSize(limit)
	var found []*entry
	for id, e := range s.entries.all {
		m := e.machine
		if m != nil && f.Ignored && s.ignores(id, e, s.entry(m.UUID.key())) == nil {
			continue
		}
		if m == nil || f.Held && !m.Held || f.Approved && m.Approved == nil || f.Group != "" && !slices.Contains(e.groups, f.Group) ||
			!after.IsZero() && compare(id, after.key()) <= 0 {
			continue
		}
		found = append(found, e)
	}
	slices.SortFunc(found, func(a, b *entry) int { return compare(a.machine.ID.key(), b.machine.ID.key()) })
	for _, e := range found[:min(len(found), limit)] {
		page = append(page, s.machineStatus(e))
	}
	return page, len(found) > limit
}

// IgnoredStatus is a pattern of the ignore list as it is shown.
type IgnoredStatus struct {
	Ignored
	Revision store.Rev `json:"revision"`
}

// IgnoreList returns all of it, vendors first.
func (s *Snapshot) IgnoreList() []IgnoredStatus {
	var list []IgnoredStatus
	for _, rec := range s.vendors {
		list = append(list, IgnoredStatus{rec.Ignored, rec.rev})
	}
	for _, e := range s.entries.all {
		if rec := e.ignored; rec != nil {
			list = append(list, IgnoredStatus{rec.Ignored, rec.rev})
		}
	}
	slices.SortFunc(list, func(a, b IgnoredStatus) int {
		if c := compare(a.Pattern.Machine, b.Pattern.Machine); c != 0 {
			return c
		}
		return slices.Compare(a.Pattern.OUI[:], b.Pattern.OUI[:])
	})
	return list
}

// GroupStatus is a group as it is shown.
type GroupStatus struct {
	Group
	Revision store.Rev `json:"revision"`
	Machines int       `json:"machines"`
}

// Group returns a group.
func (s *Snapshot) Group(name string) (GroupStatus, bool) {
	g, ok := s.groups.get(name)
	if !ok || g.record == nil {
		return GroupStatus{}, false
	}
	return GroupStatus{*g.record, g.rev, g.members.n}, true
}

// Groups returns all groups, in order of their names.
func (s *Snapshot) Groups() []GroupStatus {
	var names []string
	for name, g := range s.groups.all {
		if g.record != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out := make([]GroupStatus, len(names))
	for i, name := range names {
		out[i], _ = s.Group(name)
	}
	return out
}
