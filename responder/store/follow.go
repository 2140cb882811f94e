package store

import (
	"context"
	"errors"
	"time"
)

// scanner is what Follow needs of a Store.
type scanner interface {
	Scan(ctx context.Context, prefix string, each func(Item) error) (Rev, error)
	Watch(ctx context.Context, prefix string, from Rev) (<-chan []Change, error)
}

// Waits between tries to reach a store that is gone.
const (
	minBackoff = 50 * time.Millisecond
	maxBackoff = 800 * time.Millisecond
)

// Follow keeps a copy of the items below prefix in step, until ctx ends or the
// store is closed, whose error it returns. reset gets all items and the revision
// that they are of; apply each batch of changes after it. When changes are lost,
// reset gets everything again; while the store is gone, nobody is called.
func Follow(ctx context.Context, s scanner, prefix string, reset func([]Item, Rev), apply func([]Change)) error {
	wait := minBackoff
	for {
		err := follow(ctx, s, prefix, reset, func(c []Change) {
			wait = minBackoff
			apply(c)
		})
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrClosed):
			return err
		}
		if !sleep(ctx, wait) {
			return ctx.Err()
		}
		wait = min(2*wait, maxBackoff)
	}
}

// follow is one round: everything, then changes until they are lost.
func follow(ctx context.Context, s scanner, prefix string, reset func([]Item, Rev), apply func([]Change)) error {
	var items []Item
	rev, err := s.Scan(ctx, prefix, func(it Item) error {
		items = append(items, it)
		return nil
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changes, err := s.Watch(ctx, prefix, rev)
	if err != nil {
		return err
	}
	reset(items, rev)
	for c := range changes {
		apply(c)
	}
	return nil
}

// sleep waits, and says whether ctx still goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
