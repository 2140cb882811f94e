package deploy

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/xdpxe/xdpxe/responder/store"
)

// with returns s after some changes, which it takes in their order, and whether
// an answer can be another than before.
func (s *Snapshot) with(changes []store.Change) (next *Snapshot, decides bool) {
	copied := *s
	next = &copied
	for _, c := range changes {
		if next.apply(c) {
			decides = true
		}
	}
	return next, decides
}

func (s *Snapshot) apply(c store.Change) (decides bool) {
	s.problems = s.problems.remove(c.Key)
	k, err := parseKey(c.Key)
	if err == nil {
		decides, err = s.applyRecord(k, c)
	}
	if err != nil {
		s.problems = s.problems.set(c.Key, err.Error())
		gone := c
		gone.Deleted = true // what cannot be read is not there
		if again, err := s.applyRecord(k, gone); err == nil {
			decides = again
		}
	}
	return decides
}

func (s *Snapshot) applyRecord(k parsedKey, c store.Change) (decides bool, err error) {
	switch k.kind {
	case kindDeployment:
		d := &Deployment{}
		if c.Deleted {
			d = nil
		} else if err = json.Unmarshal(c.Value, d); err == nil {
			err = d.readable(k.name)
		}
		if err == nil {
			s.setDeployment(k.name, d, c.Rev)
			decides = true
		}
	case kindRun:
		rec := &runRecord{rev: c.Rev}
		if c.Deleted {
			rec = nil
		} else {
			err = json.Unmarshal(c.Value, &rec.Run)
		}
		if err == nil {
			decides = s.setRun(RunID{k.name, k.machine}, rec)
		}
	case kindMachine:
		rec := &machineRecord{rev: c.Rev}
		if c.Deleted {
			rec = nil
		} else {
			err = json.Unmarshal(c.Value, &rec.Machine)
		}
		if err == nil {
			decides = s.setMachine(k.machine, rec)
		}
	case kindGroup:
		record := &Group{}
		if c.Deleted {
			record = nil
		} else {
			err = json.Unmarshal(c.Value, record)
		}
		if err == nil {
			g := s.group(k.name)
			g.record, g.rev = record, c.Rev
			s.setGroup(k.name, g)
		}
	case kindMember:
		s.setMember(k.name, k.machine, !c.Deleted)
		decides = true
	case kindIgnored:
		rec := &ignoredRecord{rev: c.Rev}
		if c.Deleted {
			rec = nil
		} else {
			err = json.Unmarshal(c.Value, &rec.Ignored)
		}
		if err == nil {
			s.setIgnored(k.pattern, rec)
			decides = true
		}
	}
	return decides, err
}

// readable refuses a stored deployment that names nobody, or is filed under another's name.
func (d *Deployment) readable(id string) error {
	if d.ID != id {
		return invalid("id", "is %q", clip(d.ID))
	}
	if err := d.Target.check(); err != nil {
		return err
	}
	return d.settleMilestone()
}

// edit changes one identity's entry, and forgets one with nothing in it.
func (s *Snapshot) edit(id Identity, change func(*entry)) {
	var e entry
	if old, ok := s.entries.get(id); ok {
		e = *old
	}
	change(&e)
	if e.machine == nil && e.ignored == nil && len(e.bearers)+len(e.groups)+len(e.nodes) == 0 {
		s.entries = s.entries.remove(id)
		return
	}
	s.entries = s.entries.set(id, &e)
}

func (s *Snapshot) group(name string) group {
	if g, ok := s.groups.get(name); ok {
		return *g
	}
	return group{members: trie[Identity, struct{}]{hash: s.entries.hash}}
}

func (s *Snapshot) setGroup(name string, g group) {
	if g.record == nil && g.members.n == 0 && len(g.nodes) == 0 {
		s.groups = s.groups.remove(name)
		return
	}
	s.groups = s.groups.set(name, &g)
}

// setDeployment puts a deployment in the place of an older form of it, or takes
// it away (nil). Its runs stay: with it, or as orphans.
func (s *Snapshot) setDeployment(id string, d *Deployment, rev store.Rev) {
	old, had := s.deployments.get(id)
	runs, _ := s.orphans.get(id)
	if had {
		runs = old.runs
		if d == nil || old.d.Target != d.Target {
			s.list(old.d.Target, id, nil)
		}
	}
	if d == nil {
		s.deployments = s.deployments.remove(id)
		s.setOrphans(id, runs)
		return
	}
	s.setOrphans(id, trie[Identity, *runRecord]{})
	runs.hash = s.entries.hash
	n := &node{d: d, rev: rev}
	n.setRuns(runs)
	s.setNode(n)
}

func (s *Snapshot) setOrphans(id string, runs trie[Identity, *runRecord]) {
	if runs.n == 0 {
		s.orphans = s.orphans.remove(id)
		return
	}
	s.orphans = s.orphans.set(id, runs)
}

func (s *Snapshot) setNode(n *node) {
	s.deployments = s.deployments.set(n.d.ID, n)
	s.list(n.d.Target, n.d.ID, n)
}

// list keeps the lists of those that a target names.
func (s *Snapshot) list(t Target, id string, n *node) {
	if t.Group != "" {
		g := s.group(t.Group)
		g.nodes = enlist(g.nodes, id, n)
		s.setGroup(t.Group, g)
		return
	}
	s.edit(t.Machine().key(), func(e *entry) { e.nodes = enlist(e.nodes, id, n) })
}

// setRun puts or removes (nil) a run.
func (s *Snapshot) setRun(r RunID, rec *runRecord) (decides bool) {
	old, ok := s.deployments.get(r.ID)
	if !ok {
		runs, _ := s.orphans.get(r.ID)
		runs.hash = s.entries.hash
		s.setOrphans(r.ID, withRun(runs, r.Machine, rec))
		return false
	}
	before, _ := old.runOf(r.Machine)
	n := *old
	n.setRuns(withRun(n.runs, r.Machine, rec))
	s.setNode(&n)
	after, _ := n.runOf(r.Machine)
	if !n.d.Once {
		return false
	}
	// Of two machines with one UUID, one keeps the other out while it loads.
	loads := (before.State == Loading) != (after.State == Loading) || after.State == Loading && before.Address != after.Address
	return before.over() != after.over() || r.Machine.uuid && loads
}

func (n *node) setRuns(runs trie[Identity, *runRecord]) {
	n.runs = runs
	if n.d.Target.Group == "" {
		n.run, _ = runs.get(n.d.Target.Machine().key())
	}
}

func withRun(runs trie[Identity, *runRecord], machine Identity, rec *runRecord) trie[Identity, *runRecord] {
	if rec == nil {
		return runs.remove(machine)
	}
	return runs.set(machine, rec)
}

func (s *Snapshot) setMachine(id Identity, rec *machineRecord) (decides bool) {
	var old *machineRecord
	s.edit(id, func(e *entry) { old, e.machine = e.machine, rec })
	if old != nil && (rec == nil || old.UUID.key() != rec.UUID.key()) {
		s.bear(old.UUID, id, false)
	}
	if rec != nil {
		s.bear(rec.UUID, id, true)
	}
	s.machines += count(rec != nil) - count(old != nil)
	s.held += count(rec != nil && rec.Held) - count(old != nil && old.Held)
	// Between unknown and held there is no difference to the machine: a flood of
	// strangers that are recorded changes no answer.
	return old.described() != rec.described() || !sameApproval(old.approval(), rec.approval())
}

func (rec *machineRecord) described() bool { return rec != nil && rec.Machine.described() }

func (rec *machineRecord) approval() *Approval {
	if rec == nil {
		return nil
	}
	return rec.Approved
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func sameApproval(a, b *Approval) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Profile == b.Profile
}

// maxBearers bounds the machines that are listed for one UUID: a vendor can
// have shipped thousands.
const maxBearers = 64

// bear notes that a machine was seen with a UUID, or takes that back.
func (s *Snapshot) bear(uuid, machine Identity, bears bool) {
	if uuid.IsZero() || uuid.key() == machine {
		return
	}
	s.edit(uuid.key(), func(e *entry) {
		i, has := slices.BinarySearchFunc(e.bearers, machine, compare)
		switch {
		case bears && !has && len(e.bearers) < maxBearers:
			e.bearers = slices.Insert(slices.Clone(e.bearers), i, machine)
		case !bears && has:
			e.bearers = slices.Delete(slices.Clone(e.bearers), i, i+1)
		}
	})
}

func compare(a, b Identity) int {
	if a.uuid != b.uuid {
		return count(a.uuid) - count(b.uuid)
	}
	if c := slices.Compare(a.b[:], b.b[:]); c != 0 {
		return c
	}
	return int(a.n) - int(b.n)
}

func (s *Snapshot) setMember(name string, machine Identity, is bool) {
	g := s.group(name)
	if is {
		g.members = g.members.set(machine, struct{}{})
	} else {
		g.members = g.members.remove(machine)
	}
	s.setGroup(name, g)
	s.edit(machine, func(e *entry) {
		i, has := slices.BinarySearch(e.groups, name)
		switch {
		case is && !has:
			e.groups = slices.Insert(slices.Clone(e.groups), i, name)
		case !is && has:
			e.groups = slices.Delete(slices.Clone(e.groups), i, i+1)
		}
	})
}

func (s *Snapshot) setIgnored(p Pattern, rec *ignoredRecord) {
	var old *ignoredRecord
	if !p.Machine.IsZero() {
		s.edit(p.Machine, func(e *entry) { old, e.ignored = e.ignored, rec })
	} else {
		old = s.vendors[p.OUI]
		s.vendors = maps.Clone(s.vendors)
		if rec == nil {
			delete(s.vendors, p.OUI)
		} else {
			if s.vendors == nil {
				s.vendors = make(map[[3]byte]*ignoredRecord)
			}
			s.vendors[p.OUI] = rec
		}
	}
	s.ignored += count(rec != nil) - count(old != nil)
}
