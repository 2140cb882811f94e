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

// moves are those that changes led to, between two snapshots.
func moves(before, after *Snapshot, changes []store.Change) []Move {
	var all []Move
	for _, ch := range changes {
		k, err := parseKey(ch.Key)
		if err != nil {
			continue // a problem, not a move
		}
		switch k.kind {
		case kindRun:
			if m, ok := moveOfRun(before, after, RunID{k.name, k.machine}); ok {
				all = append(all, m)
			}
		case kindDeployment:
			if m, ok := moveOfDeployment(before, after, k.name); ok {
				all = append(all, m)
			}
		}
	}
	return all
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

// tellMoves calls Config.Moved for all that is another than in the snapshot before.
// The caller holds c.mu, so that they are told in order.
func (c *Catalogue) tellMoves(before, after *Snapshot, changes []store.Change) {
	if c.moved == nil {
		return
	}
	for _, m := range moves(before, after, changes) {
		c.moved(m)
	}
}
