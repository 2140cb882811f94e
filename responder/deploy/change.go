package deploy

import (
	"context"
	"fmt"
	"time"

	"github.com/xdpxe/xdpxe/responder/store"
)

// Cancel withdraws a deployment. rev is the revision that the caller has seen,
// 0: any. One that is over by itself is refused; cancelled once more is no error.
func (c *Catalogue) Cancel(ctx context.Context, id string, rev store.Rev, by, reason string, now time.Time) error {
	return c.change(ctx, func(s *Snapshot) (*store.Txn, error) {
		n, err := s.at(id, rev, now)
		if err != nil || n.d.Cancelled != nil {
			return nil, err
		}
		checks := []store.Check{{Key: deploymentKey(id), Rev: n.rev}}
		if n.d.Target.Group == "" {
			r, runRev := n.runOf(Identity{})
			if r = r.At(n.d, now); n.d.Once && r.over() {
				return nil, &Refused{ID: id, State: r.State, Why: "it cannot be cancelled any more"}
			}
			// Of a cancellation and a last block only one happens.
			checks = append(checks, store.Check{Key: runKey(RunID{id, n.d.Target.Machine().key()}), Rev: runRev})
		}
		d := *n.d
		d.Cancelled = &Mark{Time: now.UTC(), By: clipTo(by), Reason: clipTo(reason)}
		return &store.Txn{Checks: checks, Writes: []store.Write{put(deploymentKey(id), d)}}, nil
	})
}

// at returns a deployment, of which the caller has seen a revision.
func (s *Snapshot) at(id string, rev store.Rev, now time.Time) (*node, error) {
	n, ok := s.deployments.get(id)
	if !ok {
		return nil, fmt.Errorf("deployment %q: %w", clip(id), ErrNotFound)
	}
	if rev != 0 && rev != s.status(n, now).Revision {
		return nil, fmt.Errorf("deployment %s: %w", id, ErrChanged)
	}
	return n, nil
}

func clipTo(text string) string { return text[:min(len(text), maxText)] }

// Arm lets a deployment that failed or is used up run again. machine is needed
// for a group's.
func (c *Catalogue) Arm(ctx context.Context, id string, machine Identity, rev store.Rev, by string, now time.Time) error {
	n, err := c.Snapshot().at(id, rev, now)
	if err != nil {
		return err
	}
	if n.d.Target.Group == "" {
		machine = n.d.Target.Machine()
	} else if machine.IsZero() {
		return invalid("machine", "is missing: deployment %s is a group's", id)
	}
	e := Event{Kind: Armed, Message: "armed again"}
	if by != "" {
		e.Message += " by " + clipTo(by)
	}
	return c.actAt(ctx, RunID{id, machine.key()}, e, now, rev)
}

// CallBack takes an installer's word for how it went. machine is needed for a
// group's deployment.
func (c *Catalogue) CallBack(ctx context.Context, id string, machine Identity, failed bool, message string, now time.Time) error {
	n, err := c.Snapshot().at(id, 0, now)
	if err != nil {
		return err
	}
	switch named := n.d.Target.Machine(); {
	case n.d.Target.Group == "" && machine.IsZero():
		machine = named
	case machine.IsZero():
		return invalid("machine", "is missing: deployment %s is a group's", id)
	}
	return c.Act(ctx, RunID{id, machine.key()}, Event{Kind: Called, Failed: failed, Message: clipTo(message)}, now)
}

// Delete forgets a deployment that is over: done, failed, cancelled or expired.
func (c *Catalogue) Delete(ctx context.Context, id string, rev store.Rev, now time.Time) error {
	n, err := c.Snapshot().at(id, rev, now)
	if err != nil {
		return err
	}
	if n.runs.n > maxRuns {
		if err := c.deleteRuns(ctx, n, now); err != nil {
			return err
		}
	}
	return c.change(ctx, func(s *Snapshot) (*store.Txn, error) {
		n, ok := s.deployments.get(id)
		if !ok {
			return nil, nil // it was there above: somebody else deleted it
		}
		if rev != 0 && n.d.Target.Group == "" && rev != s.status(n, now).Revision {
			return nil, fmt.Errorf("deployment %s: %w", id, ErrChanged)
		}
		return s.deletion(n, now)
	})
}

// maxRuns is how many runs one transaction deletes with their deployment.
const maxRuns = 100

// deletion is the transaction that forgets a deployment, and its runs if they are few.
func (s *Snapshot) deletion(n *node, now time.Time) (*store.Txn, error) {
	id := n.d.ID
	if _, over := s.over(n, now); !over {
		return nil, &Refused{ID: id, State: s.status(n, now).Run.State, Why: "cancel it first"}
	}
	txn := &store.Txn{}
	forget := func(key string, rev store.Rev) {
		txn.Checks = append(txn.Checks, store.Check{Key: key, Rev: rev})
		txn.Writes = append(txn.Writes, store.Write{Key: key, Delete: true})
	}
	forget(deploymentKey(id), n.rev)
	if n.runs.n <= maxRuns {
		for machine, rec := range n.runs.all {
			forget(runKey(RunID{id, machine}), rec.rev)
		}
	}
	return txn, nil
}

// deleteRuns forgets the runs of a group's deployment that is over. It is over
// without them too, so they may go first and in parts.
func (c *Catalogue) deleteRuns(ctx context.Context, n *node, now time.Time) error {
	if _, err := c.Snapshot().deletion(n, now); err != nil {
		return err
	}
	var txns []store.Txn
	for machine := range n.runs.all {
		txns = append(txns, store.Txn{Writes: []store.Write{{Key: runKey(RunID{n.d.ID, machine}), Delete: true}}})
	}
	return c.commitAll(ctx, txns)
}

// maxSweep bounds what one sweep deletes.
const maxSweep = 1000

// sweep forgets deployments that have been over for long. All servers do it;
// it does not matter which is first.
func (c *Catalogue) sweep(ctx context.Context) {
	now := time.Now()
	s := c.Snapshot()
	var txns []store.Txn
	for id, n := range s.deployments.all {
		since, over := s.over(n, now)
		if !over || now.Sub(since) < c.bounds.Load().keep {
			continue
		}
		if n.runs.n > maxRuns {
			_ = c.Delete(ctx, id, 0, now) // else the next sweep does
			continue
		}
		if txn, err := s.deletion(n, now); err == nil {
			txns = append(txns, *txn)
		}
		if len(txns) >= maxSweep {
			break
		}
	}
	_, _ = c.commit(ctx, txns...) // what is not deleted now is at the next sweep
}
