package deploy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xdpxe/xdpxe/responder/store"
)

const (
	maxJobs    = 4096             // callers that wait at a time; the next waits for room
	maxBulk    = 4096             // transactions in one write, but for a caller with more
	commitWait = 10 * time.Second // bounds a write, whoever waits for it
	tries      = 8                // of a change that others change meanwhile
)

var errStopped = fmt.Errorf("shutting down: %w", store.ErrUnavailable)

// job is transactions of one caller.
type job struct {
	txns    []store.Txn
	results []store.Result
	done    chan struct{}
}

// commit writes transactions, each all or nothing, in order. When it returns,
// what was written is durable and in the snapshot.
func (c *Catalogue) commit(ctx context.Context, txns ...store.Txn) ([]store.Result, error) {
	if len(txns) == 0 {
		return nil, nil
	}
	if !c.Snapshot().loaded {
		return nil, fmt.Errorf("%w: not read yet, nothing was changed", store.ErrUnavailable)
	}
	j := &job{txns: txns, done: make(chan struct{})}
	select {
	case c.jobs <- j:
	case <-c.stopped:
		return nil, errStopped
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting to write: %w", ctx.Err())
	}
	select {
	case <-j.done:
		return j.results, nil
	case <-c.stopped:
		select {
		case <-j.done:
			return j.results, nil
		default:
			return nil, errStopped
		}
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the store, which may have written it: %w", ctx.Err())
	}
}

// commitOne is commit of one transaction.
func (c *Catalogue) commitOne(ctx context.Context, txn store.Txn) error {
	results, err := c.commit(ctx, txn)
	if err != nil {
		return err
	}
	return results[0].Err
}

// commitJobs writes what callers wait for. Those that come while it writes are
// written together: a thousand machines that reach their milestone at once cost a few writes.
func (c *Catalogue) commitJobs(ctx context.Context) {
	defer close(c.stopped)
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-c.jobs:
			batch, n := []*job{j}, len(j.txns)
			for n < maxBulk {
				select {
				case j = <-c.jobs:
					batch, n = append(batch, j), n+len(j.txns)
					continue
				default:
				}
				break
			}
			c.commitBatch(ctx, batch)
		}
	}
}

func (c *Catalogue) commitBatch(ctx context.Context, batch []*job) {
	var txns []store.Txn
	for _, j := range batch {
		txns = append(txns, j.txns...)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitWait)
	results := c.store.Bulk(ctx, txns)
	cancel()
	var changes []store.Change
	gone := false
	for i, r := range results {
		if r.Err != nil {
			gone = gone || unavailable(r.Err)
			continue
		}
		for _, w := range txns[i].Writes {
			changes = append(changes, store.Change{Key: w.Key, Value: w.Value, Rev: r.Rev, Deleted: w.Delete})
		}
	}
	c.applyOwn(changes)
	if gone {
		c.setAvailable(false)
	}
	for _, j := range batch {
		j.results, results = results[:len(j.txns):len(j.txns)], results[len(j.txns):]
		close(j.done)
	}
}

func unavailable(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}

// change reads, decides and writes until nobody comes between. decide looks at
// the newest snapshot; it returns no transaction if there is nothing to write.
// At a conflict what the transaction checked is read again.
func (c *Catalogue) change(ctx context.Context, decide func(*Snapshot) (*store.Txn, error)) error {
	for range tries {
		txn, err := decide(c.Snapshot())
		if err != nil || txn == nil {
			return err
		}
		err = c.commitOne(ctx, *txn)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		var keys []string
		for _, check := range txn.Checks {
			keys = append(keys, check.Key)
		}
		if err := c.refresh(ctx, keys...); err != nil {
			return err
		}
	}
	return ErrChanged
}
