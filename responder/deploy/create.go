package deploy

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/xdpxe/xdpxe/responder/store"
)

// MaxCreate bounds the deployments of one call.
const MaxCreate = 20_000

// maxPerTarget bounds the deployments that name one machine or group, as Find
// looks at all. For one more the one that has been over for longest goes.
const maxPerTarget = 64

// maxMistakes bounds what one answer says of mistakes.
const maxMistakes = 20

// Created is what became of one deployment of a call.
type Created struct {
	ID       string
	Revision store.Rev
	Existed  bool  // it was there, and is the same: the call is a repetition
	Err      error // it was not created
}

// Create creates deployments. A mistake in one of them, and nothing is
// written: the error tells all. Else each is written by itself, and Created
// says what became of it: give an ID, and a call can be repeated safely. Those
// without one get one that begins with the time.
func (c *Catalogue) Create(ctx context.Context, ds []Deployment, now time.Time) ([]Created, error) {
	if len(ds) > MaxCreate {
		return nil, fmt.Errorf("%d deployments in one call, at most %d: %w", len(ds), MaxCreate, ErrLimit)
	}
	now = now.UTC().Round(0)
	s := c.Snapshot()
	if !s.loaded {
		return nil, fmt.Errorf("%w: not read yet, nothing was changed", store.ErrUnavailable)
	}
	ds = append([]Deployment(nil), ds...)
	if err := settleAll(s, ds, now); err != nil {
		return nil, err
	}
	if n := s.deployments.n + len(ds); n > c.bounds.Load().limits.Deployments {
		return nil, fmt.Errorf("%d deployments would be kept, at most %d: delete those that are over: %w", n, c.bounds.Load().limits.Deployments, ErrLimit)
	}
	out := make([]Created, len(ds))
	var txns []store.Txn
	var at []int
	named := make(map[Target]int)
	for i := range ds {
		d := &ds[i]
		out[i].ID = d.ID
		if n, ok := s.deployments.get(d.ID); ok {
			out[i].compare(n, d)
			continue
		}
		txn := &store.Txn{}
		named[d.Target]++
		if over := named[d.Target] + s.naming(d.Target) - maxPerTarget; over > 0 {
			if txn = s.makeRoom(d.Target, over-1, now); txn == nil {
				out[i].Err = fmt.Errorf("%d deployments that are not over name %s: %w", maxPerTarget, d.Target, ErrLimit)
				continue
			}
		}
		key := deploymentKey(d.ID)
		txn.Checks = append(txn.Checks, store.Check{Key: key})
		txn.Writes = append(txn.Writes, put(key, d))
		txns = append(txns, *txn)
		at = append(at, i)
	}
	results, err := c.commit(ctx, txns...)
	if err != nil {
		return nil, err
	}
	for k, r := range results {
		o := &out[at[k]]
		o.Revision, o.Err = r.Rev, r.Err
		if errors.Is(r.Err, store.ErrConflict) {
			o.Err = c.met(ctx, o, &ds[at[k]])
		}
	}
	return out, nil
}

// met looks at the deployment that somebody else created meanwhile.
func (c *Catalogue) met(ctx context.Context, o *Created, d *Deployment) error {
	if err := c.refresh(ctx, deploymentKey(d.ID)); err != nil {
		return err
	}
	n, ok := c.Snapshot().deployments.get(d.ID)
	if !ok {
		return fmt.Errorf("deployment %s: %w", d.ID, ErrChanged)
	}
	o.compare(n, d)
	return o.Err
}

func (o *Created) compare(n *node, d *Deployment) {
	o.Revision, o.Existed, o.Err = n.rev, n.d.sameAs(d), nil
	if !o.Existed {
		o.Err = fmt.Errorf("deployment %s: %w", d.ID, ErrExists)
	}
}

func settleAll(s *Snapshot, ds []Deployment, now time.Time) error {
	var mistakes []error
	ids := make(map[string]bool, len(ds))
	for i := range ds {
		d := &ds[i]
		if d.ID == "" {
			d.ID = newID(now)
		}
		d.Created, d.Cancelled = now, nil
		err := d.settle(now)
		switch {
		case err != nil:
		case ids[d.ID]:
			err = invalid("id", "%s is also another deployment's of this call", d.ID)
		case d.Target.Group != "" && s.group(d.Target.Group).record == nil:
			err = invalid("target.group", "there is no group %s", d.Target.Group)
		}
		ids[d.ID] = true
		if n, ok := s.deployments.get(d.ID); ok && err != nil && n.d.sameAs(d) {
			err = nil // repeated after its window closed
		}
		if err == nil {
			continue
		}
		if bad := (*Invalid)(nil); len(ds) > 1 && errors.As(err, &bad) {
			bad.Field = fmt.Sprintf("[%d].%s", i, bad.Field)
		}
		if mistakes = append(mistakes, err); len(mistakes) == maxMistakes {
			break
		}
	}
	return errors.Join(mistakes...)
}

// naming counts the deployments that are kept for a target.
func (s *Snapshot) naming(t Target) int {
	if t.Group != "" {
		return len(s.group(t.Group).nodes)
	}
	return len(s.entry(t.Machine().key()).nodes)
}

// makeRoom deletes the deployment for t that is the nth in having been over
// for longest; nil if there is none.
func (s *Snapshot) makeRoom(t Target, nth int, now time.Time) *store.Txn {
	nodes := s.group(t.Group).nodes
	if t.Group == "" {
		nodes = s.entry(t.Machine().key()).nodes
	}
	type ended struct {
		n     *node
		since time.Time
	}
	var over []ended
	for _, n := range nodes {
		if since, is := s.over(n, now); is && n.runs.n <= maxRuns {
			over = append(over, ended{n, since})
		}
	}
	if nth >= len(over) {
		return nil
	}
	slices.SortFunc(over, func(a, b ended) int { return a.since.Compare(b.since) })
	txn, err := s.deletion(over[nth].n, now)
	if err != nil {
		return nil
	}
	return txn
}

// newID returns an id that sorts by time and that nobody else makes.
func newID(now time.Time) string {
	var b [15]byte // 24 digits of 5 bits
	binary.BigEndian.PutUint64(b[:], uint64(now.UnixMilli())<<16)
	_, _ = rand.Read(b[6:]) // never fails
	return "d-" + idDigits.EncodeToString(b[:])
}

// idDigits are in the order of their bytes, so that ids are too.
var idDigits = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)
