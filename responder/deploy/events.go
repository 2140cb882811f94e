package deploy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/xdpxe/xdpxe/responder/store"
)

// Act takes an event that is to be durable before anything else happens: the
// last block of a file, a call back, an operator's arming. If it returns nil,
// the last block may be sent; else it must not be. It waits for the store.
func (c *Catalogue) Act(ctx context.Context, run RunID, e Event, now time.Time) error {
	return c.actAt(ctx, run, e, now, 0)
}

// actAt is Act on a deployment that the caller has seen at a revision (0: any).
func (c *Catalogue) actAt(ctx context.Context, run RunID, e Event, now time.Time, rev store.Rev) error {
	err := c.change(ctx, func(s *Snapshot) (*store.Txn, error) {
		n, ok := s.deployments.get(run.ID)
		if !ok {
			return nil, fmt.Errorf("deployment %q: %w", clip(run.ID), ErrNotFound)
		}
		if rev != 0 && rev != s.status(n, now).Revision {
			return nil, fmt.Errorf("deployment %s: %w", run.ID, ErrChanged)
		}
		if !s.names(n, run.Machine) {
			return nil, fmt.Errorf("deployment %s: machine %s: %w", run.ID, run.Machine, ErrNotFound)
		}
		old, runRev := n.runOf(run.Machine)
		next, save, err := old.Next(n.d, e, now)
		if err != nil || save == Nothing {
			return nil, err
		}
		return &store.Txn{
			// The deployment too: it may have been cancelled.
			Checks: []store.Check{{Key: deploymentKey(run.ID), Rev: n.rev}, {Key: runKey(run), Rev: runRev}},
			Writes: []store.Write{put(runKey(run), next)},
		}, nil
	})
	if err != nil && unavailable(err) {
		return fmt.Errorf("deployment %s: %s cannot be made durable: %w", run.ID, e.Kind, err)
	}
	return err
}

// names reports whether a deployment is for that machine, which is a key.
func (s *Snapshot) names(n *node, machine Identity) bool {
	if n.d.Target.Group == "" {
		return machine == n.d.Target.Machine().key()
	}
	g := s.group(n.d.Target.Group)
	_, ok := g.members.get(machine)
	return ok
}

// notes are events that wait to be written.
type notes struct {
	mu      sync.Mutex
	waiting map[RunID][]note
	lost    uint64
}

// note is an event with its time.
type note struct {
	Event
	at time.Time
}

// Bounds of notes.
const (
	maxNoted     = 20_000 // runs
	maxRunEvents = 6      // of one run; then the oldest goes
)

// Note takes an event that nothing waits for, and writes it soon. It does no
// I/O. What is known already, as of a client that asks again, costs a look.
func (c *Catalogue) Note(run RunID, e Event, now time.Time) {
	n, ok := c.Snapshot().deployments.get(run.ID)
	if !ok {
		return
	}
	old, _ := n.runOf(run.Machine)
	if _, save, err := old.Next(n.d, e, now); err != nil || save == Nothing && (e.Kind == Asked || e.Kind == Moved) {
		return
	}
	c.notes.add(run, note{e, now})
}

func (n *notes) add(run RunID, e note) {
	n.mu.Lock()
	defer n.mu.Unlock()
	events, has := n.waiting[run]
	if !has && len(n.waiting) >= maxNoted {
		n.lost++
		return
	}
	if last := len(events) - 1; last >= 0 && events[last].Kind == e.Kind && events[last].File == e.File {
		events[last] = e
		return
	}
	if len(events) >= maxRunEvents {
		n.lost++
		events = append(events[:0], events[1:]...)
	}
	if n.waiting == nil {
		n.waiting = make(map[RunID][]note)
	}
	n.waiting[run] = append(events, e)
}

// takeAll returns what waits, and leaves nothing.
func (n *notes) takeAll() map[RunID][]note {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.waiting
	n.waiting = nil
	return all
}

// giveBack puts events before those that came meanwhile.
func (n *notes) giveBack(run RunID, events []note) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, has := n.waiting[run]; !has && len(n.waiting) >= maxNoted {
		n.lost += uint64(len(events))
		return
	}
	events = append(events, n.waiting[run]...)
	if over := len(events) - maxRunEvents; over > 0 {
		n.lost += uint64(over)
		events = events[over:]
	}
	if n.waiting == nil {
		n.waiting = make(map[RunID][]note)
	}
	n.waiting[run] = events
}

// NotesLost counts events that were not written, as there were too many.
func (c *Catalogue) NotesLost() uint64 {
	c.notes.mu.Lock()
	defer c.notes.mu.Unlock()
	return c.notes.lost
}

// flushNotes writes the runs that events of a moment have led to.
func (c *Catalogue) flushNotes(ctx context.Context) {
	all := c.notes.takeAll()
	if len(all) == 0 {
		return
	}
	s := c.Snapshot()
	var runs []RunID
	var txns []store.Txn
	for run, events := range all {
		txn, ok := s.fold(run, events)
		if ok {
			runs, txns = append(runs, run), append(txns, txn)
		}
	}
	results, err := c.commit(ctx, txns...)
	for i, run := range runs {
		failed := err
		if err == nil {
			failed = results[i].Err
		}
		switch {
		case failed == nil:
		case errors.Is(failed, store.ErrConflict):
			// Somebody was faster; what the events mean now is seen at the next flush.
			if err := c.refresh(ctx, deploymentKey(run.ID), runKey(run)); err == nil || unavailable(err) {
				c.notes.giveBack(run, all[run])
			}
		default:
			c.notes.giveBack(run, all[run])
		}
	}
}

// fold is the write that events lead to, if any.
func (s *Snapshot) fold(run RunID, events []note) (store.Txn, bool) {
	n, ok := s.deployments.get(run.ID)
	if !ok || !s.names(n, run.Machine) {
		return store.Txn{}, false
	}
	r, rev := n.runOf(run.Machine)
	write := false
	for _, e := range events {
		next, save, err := r.Next(n.d, e.Event, e.at)
		if err == nil && save != Nothing {
			r, write = next, true
		}
	}
	return store.Txn{
		Checks: []store.Check{{Key: deploymentKey(run.ID), Rev: n.rev}, {Key: runKey(run), Rev: rev}},
		Writes: []store.Write{put(runKey(run), r)},
	}, write
}

// flushAtEnd writes what was noted when the goroutine that commits has ended.
func (c *Catalogue) flushAtEnd(ctx context.Context) {
	all := c.notes.takeAll()
	s := c.Snapshot()
	var txns []store.Txn
	for run, events := range all {
		if txn, ok := s.fold(run, events); ok {
			txns = append(txns, txn)
		}
	}
	if len(txns) > 0 {
		c.store.Bulk(ctx, txns)
	}
}
