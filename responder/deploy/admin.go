package deploy

import (
	"context"
	"fmt"
	"time"

	"github.com/xdpxe/xdpxe/responder/store"
)

// Approve lets a machine boot, with a profile or as the rule says (empty). One
// that was never seen can be approved too.
func (c *Catalogue) Approve(ctx context.Context, id Identity, rev store.Rev, profile, by, reason string, now time.Time) error {
	return c.changeMachine(ctx, id, rev, true, func(m *Machine) bool {
		if m.Approved != nil && m.Approved.Profile == profile && !m.Held {
			return false
		}
		m.Held = false
		m.Approved = &Approval{Mark: Mark{Time: now.UTC(), By: clipTo(by), Reason: clipTo(reason)}, Profile: clipTo(profile)}
		return true
	})
}

// Describe gives a machine a name and a note; nil: it keeps the one it has.
func (c *Catalogue) Describe(ctx context.Context, id Identity, rev store.Rev, name, note *string) error {
	if name != nil && *name != "" {
		if err := checkName("name", *name); err != nil {
			return err
		}
	}
	return c.changeMachine(ctx, id, rev, true, func(m *Machine) bool {
		was := *m
		if name != nil {
			m.Name = *name
		}
		if note != nil {
			m.Note = clipTo(*note)
		}
		return m.Name != was.Name || m.Note != was.Note
	})
}

// changeMachine changes a machine's record, and makes one if create is set.
func (c *Catalogue) changeMachine(ctx context.Context, id Identity, rev store.Rev, create bool, edit func(*Machine) bool) error {
	if id.IsZero() {
		return invalid("machine", "is missing")
	}
	return c.change(ctx, func(s *Snapshot) (*store.Txn, error) {
		rec := s.entry(id.key()).machine
		if err := c.machineAt(s, rec, id, rev, create); err != nil {
			return nil, err
		}
		m, known := Machine{ID: id}, store.Rev(0)
		if rec != nil {
			m, known = rec.Machine, rec.rev
		}
		if !edit(&m) {
			return nil, nil
		}
		key := machineKey(id)
		return &store.Txn{Checks: []store.Check{{Key: key, Rev: known}}, Writes: []store.Write{put(key, m)}}, nil
	})
}

func (c *Catalogue) machineAt(s *Snapshot, rec *machineRecord, id Identity, rev store.Rev, create bool) error {
	switch {
	case rec == nil && rev != 0, rec != nil && rev != 0 && rec.rev != rev:
		return fmt.Errorf("machine %s: %w", id, ErrChanged)
	case rec == nil && !create:
		return fmt.Errorf("machine %s: %w", id, ErrNotFound)
	case rec == nil && s.machines >= c.bounds.Load().limits.Machines:
		return fmt.Errorf("%d machines are recorded, at most %d: forget some: %w", s.machines, c.bounds.Load().limits.Machines, ErrLimit)
	}
	return nil
}

// Forget removes a machine's record, and its approval with it.
func (c *Catalogue) Forget(ctx context.Context, id Identity, rev store.Rev) error {
	return c.change(ctx, func(s *Snapshot) (*store.Txn, error) {
		rec := s.entry(id.key()).machine
		if err := c.machineAt(s, rec, id, rev, false); err != nil {
			return nil, err
		}
		key := machineKey(id)
		return &store.Txn{Checks: []store.Check{{Key: key, Rev: rec.rev}}, Writes: []store.Write{{Key: key, Delete: true}}}, nil
	})
}

// Ignore puts a pattern on the ignore list. A machine that is held for
// approval is not any more: that was the operator's answer.
func (c *Catalogue) Ignore(ctx context.Context, p Pattern, by, reason string, now time.Time) error {
	return c.change(ctx, func(s *Snapshot) (*store.Txn, error) {
		if s.onList(p) != nil {
			return nil, nil
		}
		if s.ignored >= c.bounds.Load().limits.Ignored {
			return nil, fmt.Errorf("the ignore list has %d patterns, at most %d: %w", s.ignored, c.bounds.Load().limits.Ignored, ErrLimit)
		}
		key := ignoredKey(p)
		txn := &store.Txn{
			Checks: []store.Check{{Key: key}},
			Writes: []store.Write{put(key, Ignored{Pattern: p, Mark: Mark{Time: now.UTC(), By: clipTo(by), Reason: clipTo(reason)}})},
		}
		if rec := s.entry(p.Machine.key()).machine; rec != nil && rec.Held {
			m := rec.Machine
			m.Held = false
			key := machineKey(m.ID)
			txn.Checks = append(txn.Checks, store.Check{Key: key, Rev: rec.rev})
			txn.Writes = append(txn.Writes, put(key, m))
		}
		return txn, nil
	})
}

// onList is the pattern's own record; nil if it is not on the list.
func (s *Snapshot) onList(p Pattern) *ignoredRecord {
	if p.Machine.IsZero() {
		return s.vendors[p.OUI]
	}
	return s.entry(p.Machine.key()).ignored
}

// Unignore takes a pattern off the ignore list.
func (c *Catalogue) Unignore(ctx context.Context, p Pattern) error {
	return c.change(ctx, func(s *Snapshot) (*store.Txn, error) {
		rec := s.onList(p)
		if rec == nil {
			return nil, fmt.Errorf("%s on the ignore list: %w", p, ErrNotFound)
		}
		key := ignoredKey(p)
		return &store.Txn{Checks: []store.Check{{Key: key, Rev: rec.rev}}, Writes: []store.Write{{Key: key, Delete: true}}}, nil
	})
}

// PutGroup creates a group, or changes its note.
func (c *Catalogue) PutGroup(ctx context.Context, name string, rev store.Rev, note, by string, now time.Time) error {
	if err := checkName("name", name); err != nil {
		return err
	}
	return c.change(ctx, func(s *Snapshot) (*store.Txn, error) {
		g := s.group(name)
		if rev != 0 && rev != g.rev {
			return nil, fmt.Errorf("group %s: %w", name, ErrChanged)
		}
		record := Group{Name: name, Created: now.UTC(), By: clipTo(by)}
		if g.record != nil {
			if g.record.Note == note {
				return nil, nil
			}
			record = *g.record
		} else if s.groups.n >= c.bounds.Load().limits.Groups {
			return nil, fmt.Errorf("there are %d groups, at most %d: %w", s.groups.n, c.bounds.Load().limits.Groups, ErrLimit)
		}
		record.Note = clipTo(note)
		return &store.Txn{Checks: []store.Check{{Key: groupKey(name), Rev: g.rev}}, Writes: []store.Write{put(groupKey(name), record)}}, nil
	})
}

// maxGroups bounds the groups of one machine: Find looks at all.
const maxGroups = 16

// AddMembers puts machines into a group; those that are in it already stay.
func (c *Catalogue) AddMembers(ctx context.Context, name string, machines []Identity) error {
	s := c.Snapshot()
	g := s.group(name)
	switch {
	case g.record == nil:
		return fmt.Errorf("group %q: %w", clip(name), ErrNotFound)
	case g.members.n+len(machines) > c.bounds.Load().limits.Machines:
		return fmt.Errorf("group %s would have %d machines, at most %d: %w", name, g.members.n+len(machines), c.bounds.Load().limits.Machines, ErrLimit)
	}
	var txns []store.Txn
	for i, m := range machines {
		if m.IsZero() {
			return invalid(fmt.Sprintf("[%d]", i), "is no machine")
		}
		groups := s.entry(m.key()).groups
		if _, is := g.members.get(m.key()); is {
			continue
		}
		if len(groups) >= maxGroups {
			return fmt.Errorf("machine %s is in %d groups, at most %d: %w", m, len(groups), maxGroups, ErrLimit)
		}
		txns = append(txns, store.Txn{Writes: []store.Write{put(memberKey(name, m), struct{}{})}})
	}
	return c.commitAll(ctx, txns)
}

// RemoveMembers takes machines out of a group.
func (c *Catalogue) RemoveMembers(ctx context.Context, name string, machines []Identity) error {
	var txns []store.Txn
	for _, m := range machines {
		txns = append(txns, store.Txn{Writes: []store.Write{{Key: memberKey(name, m), Delete: true}}})
	}
	return c.commitAll(ctx, txns)
}

// commitAll writes transactions of which none may fail; the first error tells.
func (c *Catalogue) commitAll(ctx context.Context, txns []store.Txn) error {
	results, err := c.commit(ctx, txns...)
	for _, r := range results {
		if err == nil {
			err = r.Err
		}
	}
	return err
}

// DeleteGroup removes a group without deployments that could still be given.
func (c *Catalogue) DeleteGroup(ctx context.Context, name string, rev store.Rev, now time.Time) error {
	s := c.Snapshot()
	g := s.group(name)
	if g.record == nil {
		return fmt.Errorf("group %q: %w", clip(name), ErrNotFound)
	}
	if rev != 0 && rev != g.rev {
		return fmt.Errorf("group %s: %w", name, ErrChanged)
	}
	for _, n := range g.nodes {
		if _, over := s.over(n, now); !over {
			return &Refused{ID: n.d.ID, State: s.status(n, now).Run.State, Why: "it is group " + name + "'s: cancel it first"}
		}
	}
	var machines []Identity
	for m := range g.members.all {
		machines = append(machines, m)
	}
	if err := c.RemoveMembers(ctx, name, machines); err != nil {
		return err
	}
	return c.change(ctx, func(s *Snapshot) (*store.Txn, error) {
		g := s.group(name)
		if g.record == nil {
			return nil, nil
		}
		return &store.Txn{Checks: []store.Check{{Key: groupKey(name), Rev: g.rev}}, Writes: []store.Write{{Key: groupKey(name), Delete: true}}}, nil
	})
}
