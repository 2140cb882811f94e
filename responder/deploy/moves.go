package deploy

import "github.com/xdpxe/xdpxe/responder/store"

// Move tells that one machine's run is another than before, or that a deployment
// was made, cancelled or deleted. What the clock does to a run is none.
type Move struct {
	Run     RunID // Machine is zero for what is about all of a group
	Profile string
	Now     Run // the state as it is stored, or as an operator's word makes it
	Deleted bool
}

// moveOf is what one change led to, between two snapshots.
func moveOf(before, after *Snapshot, key string) (m Move, ok bool) {
	k, err := parseKey(key)
	if err != nil {
		return m, false // a problem of the snapshot, not a move
	}
	switch k.kind {
	case kindRun:
		return moveOfRun(before, after, RunID{k.name, k.machine})
	case kindDeployment:
		return moveOfDeployment(before, after, k.name)
	}
	return m, false
}

func moveOfRun(before, after *Snapshot, run RunID) (m Move, ok bool) {
	n, ok := after.deployments.get(run.ID)
	if !ok || !after.names(n, run.Machine) {
		return m, false
	}
	m = Move{Run: run, Profile: n.d.Profile}
	var rev, was store.Rev
	if m.Now, rev = n.runOf(run.Machine); rev == 0 {
		return m, false
	}
	if old, had := before.deployments.get(run.ID); had {
		_, was = old.runOf(run.Machine)
	}
	return m, rev != was
}

func moveOfDeployment(before, after *Snapshot, id string) (m Move, ok bool) {
	old, had := before.deployments.get(id)
	n, has := after.deployments.get(id)
	if !has {
		if !had {
			return m, false
		}
		n = old
	}
	m = Move{Run: RunID{ID: id}, Profile: n.d.Profile, Deleted: !has}
	var run Run
	if n.d.Target.Group == "" {
		m.Run.Machine = n.d.Target.Machine().key()
		run, _ = n.runOf(m.Run.Machine)
	}
	at := n.d.Created
	if n.d.Cancelled != nil {
		at = n.d.Cancelled.Time
	}
	m.Now = run.At(n.d, at)
	return m, !has || !had || (old.d.Cancelled == nil) != (n.d.Cancelled == nil)
}

// advance puts the snapshot after some changes in force, and tells of the steps
// that they are: of each, also where a deployment is made and deleted among them.
// The caller holds c.mu, so that they are told in order.
func (c *Catalogue) advance(changes []store.Change) (decides bool) {
	next := c.snapshot.Load()
	if c.moved == nil {
		next, decides = next.with(changes)
		c.snapshot.Store(next)
		return decides
	}
	var moves []Move
	for i := range changes {
		before, counts := next, false
		next, counts = before.with(changes[i : i+1])
		decides = decides || counts
		if m, ok := moveOf(before, next, changes[i].Key); ok {
			moves = append(moves, m)
		}
	}
	c.snapshot.Store(next)
	for _, m := range moves {
		c.moved(m)
	}
	return decides
}

// missed tells what was missed before everything was read anew: the items that
// are others than before. What was deleted meanwhile is not told of.
func (c *Catalogue) missed(before, after *Snapshot, items []store.Change) {
	if c.moved == nil {
		return
	}
	for i := range items {
		if m, ok := moveOf(before, after, items[i].Key); ok {
			c.moved(m)
		}
	}
}
