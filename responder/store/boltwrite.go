package store

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Bounds of what goes to the disk in one write. A caller's own share can be as much again.
const (
	maxTogether      = 4096    // transactions
	maxTogetherBytes = 8 << 20 // of keys and values
)

// submission is what one caller wants to be committed.
type submission struct {
	ctx     context.Context
	txns    []Txn
	size    int
	results []Result
	done    chan struct{}
}

func (b *Bolt) Commit(ctx context.Context, checks []Check, writes []Write) (Rev, error) {
	t := Txn{checks, writes}
	if err := t.validate(); err != nil {
		return 0, fmt.Errorf("store %s: %w", b.path, err)
	}
	r := b.submit(ctx, []Txn{t.clone()})[0]
	return r.Rev, r.Err
}

func (b *Bolt) Bulk(ctx context.Context, txns []Txn) []Result {
	results := make([]Result, 0, len(txns))
	for len(results) < len(txns) {
		at := len(results)
		var good []Txn
		for size := 0; len(results) < len(txns) && len(good) < maxTogether && size < maxTogetherBytes; {
			t := txns[len(results)]
			err := t.validate()
			if err != nil {
				err = fmt.Errorf("store %s: %w", b.path, err)
			} else {
				good = append(good, t.clone())
				size += t.size()
			}
			results = append(results, Result{Err: err})
		}
		done := b.submit(ctx, good)
		for i := range results[at:] {
			if results[at+i].Err == nil {
				results[at+i], done = done[0], done[1:]
			}
		}
	}
	return results
}

// submit gives transactions to the writer and waits for what becomes of them.
func (b *Bolt) submit(ctx context.Context, txns []Txn) []Result {
	if len(txns) == 0 {
		return nil
	}
	s := &submission{ctx: ctx, txns: txns, results: make([]Result, len(txns)), done: make(chan struct{})}
	for _, t := range txns {
		s.size += t.size()
	}
	select {
	case <-b.quit: // also when the writer could still take it
		return fail(len(txns), fmt.Errorf("store %s: %w", b.path, ErrClosed))
	default:
	}
	select {
	case b.submitted <- s:
	case <-ctx.Done():
		return fail(len(txns), fmt.Errorf("store %s: %w", b.path, ctx.Err()))
	case <-b.quit:
		return fail(len(txns), fmt.Errorf("store %s: %w", b.path, ErrClosed))
	}
	select {
	case <-s.done:
		return s.results
	case <-ctx.Done():
		return fail(len(txns), fmt.Errorf("store %s: %w before the disk had answered: it may be done or not", b.path, ctx.Err()))
	}
}

func fail(n int, err error) []Result {
	results := make([]Result, n)
	for i := range results {
		results[i].Err = err
	}
	return results
}

// write is the one writer. What callers submit while it waits for the disk goes
// there together the next time: a thousand machines at once cost no thousand syncs.
func (b *Bolt) write() {
	for {
		var together []*submission
		select {
		case s := <-b.submitted:
			together = append(together, s)
		case <-b.quit:
			return
		}
	more:
		for n, size := len(together[0].txns), together[0].size; n < maxTogether && size < maxTogetherBytes; {
			select {
			case s := <-b.submitted:
				together = append(together, s)
				n += len(s.txns)
				size += s.size
			default:
				break more
			}
		}
		b.commit(together)
		for _, s := range together {
			close(s.done)
		}
	}
}

// commit does what callers submitted in one transaction of the file.
func (b *Bolt) commit(together []*submission) {
	changes, err := b.tryCommit(together)
	if err == nil {
		b.setHealth(nil)
		b.history.add(changes)
		return
	}
	err = fmt.Errorf("store %s: %w: %w", b.path, ErrUnavailable, err)
	b.setHealth(err)
	for _, s := range together {
		copy(s.results, fail(len(s.results), err))
	}
	// bbolt may have got as far as its last write: then the commit is there, and
	// nobody was told of its changes.
	if t, err := b.readTally(); err == nil && t.rev != b.tally.rev {
		b.tally = t
		b.history.lose(t.rev)
	}
}

// tryCommit fills in the results, and returns all changes. They are durable if it returns no error.
func (b *Bolt) tryCommit(together []*submission) (changes []Change, err error) {
	tx, err := b.db.Begin(true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ignoreDone(tx.Rollback())) }()
	bucket := tx.Bucket([]byte(bucketName))
	now := b.tally
	for _, s := range together {
		if err := s.ctx.Err(); err != nil {
			copy(s.results, fail(len(s.results), fmt.Errorf("store %s: %w", b.path, err)))
			continue
		}
		for i, t := range s.txns {
			made, err := apply(bucket, t, &now)
			var conflict *ConflictError
			switch {
			case errors.As(err, &conflict):
				s.results[i].Err = fmt.Errorf("store %s: %w", b.path, err)
				continue
			case err != nil:
				return nil, err
			}
			s.results[i].Rev = now.rev
			changes = append(changes, made...)
		}
	}
	if now.rev == b.tally.rev {
		return nil, nil
	}
	if err := bucket.Put([]byte(tallyKey), now.record()); err != nil {
		return nil, err
	}
	if err := tx.Commit(); err != nil {
		return nil, err
	}
	b.tally = now
	return changes, nil
}

func ignoreDone(err error) error {
	if errors.Is(err, berrors.ErrTxClosed) {
		return nil
	}
	return err
}

// apply does one transaction: all checks, then all writes.
func apply(bucket *bbolt.Bucket, t Txn, now *tally) ([]Change, error) {
	for _, c := range t.Checks {
		it, _, err := itemOf(bucket, c.Key)
		if err != nil {
			return nil, err
		}
		if it.Rev != c.Rev {
			return nil, &ConflictError{c.Key}
		}
	}
	var changes []Change
	rev := now.rev + 1
	for _, w := range t.Writes {
		key := []byte(itemPrefix + w.Key)
		old := bucket.Get(key)
		if w.Delete && old == nil {
			continue
		}
		now.remove(old)
		now.rev = rev
		if w.Delete {
			if err := bucket.Delete(key); err != nil {
				return nil, err
			}
			changes = append(changes, Change{Key: w.Key, Rev: rev, Deleted: true})
			continue
		}
		record := appendRecord(nil, string(key), rev, w.Value)
		now.add(record)
		if err := bucket.Put(key, record); err != nil {
			return nil, err
		}
		changes = append(changes, Change{Key: w.Key, Value: w.Value, Rev: rev})
	}
	return changes, nil
}
