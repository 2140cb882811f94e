package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/xdpxe/xdpxe/responder/store"
)

// memStore keeps everything in memory and obeys the rules of store.Store: all
// or nothing, checks, one revision a transaction, watches that lose nothing or
// end, and that it can be gone.
type memStore struct {
	mu      sync.Mutex
	rev     store.Rev
	items   map[string]store.Item
	history []store.Change
	begins  store.Rev // history has what is behind this
	watches map[*memWatch]bool
	down    bool
	// doubt: the next Bulk does its work and says that it may have not.
	doubt  bool
	bulks  int
	writes int
	// before is called ahead of each Bulk, without the lock.
	before func([]store.Txn)
}

type memWatch struct {
	prefix string
	feed   []store.Change // not sent yet
	wake   chan struct{}
	closed bool
}

func newMemStore() *memStore {
	return &memStore{items: make(map[string]store.Item), watches: make(map[*memWatch]bool)}
}

func (m *memStore) setDown(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

// written counts what was written so far.
func (m *memStore) written() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.writes
}

func (m *memStore) gone(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if m.down {
		return fmt.Errorf("nobody there: %w", store.ErrUnavailable)
	}
	return nil
}

func (m *memStore) Get(ctx context.Context, key string) (store.Item, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.gone(ctx); err != nil {
		return store.Item{}, false, err
	}
	it, ok := m.items[key]
	return it, ok, nil
}

func (m *memStore) Scan(ctx context.Context, prefix string, each func(store.Item) error) (store.Rev, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.gone(ctx); err != nil {
		return 0, err
	}
	var keys []string
	for key := range m.items {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		if err := each(m.items[key]); err != nil {
			return 0, err
		}
	}
	return m.rev, nil
}

func (m *memStore) Bulk(ctx context.Context, txns []store.Txn) []store.Result {
	if m.before != nil {
		m.before(txns)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bulks++
	results := make([]store.Result, len(txns))
	err := m.gone(ctx)
	for i, txn := range txns {
		if results[i].Err = err; err == nil {
			results[i] = m.commit(txn)
			if m.doubt {
				results[i] = store.Result{Err: fmt.Errorf("no answer: %w", store.ErrUnavailable)}
			}
		}
	}
	m.doubt = false
	return results
}

func (m *memStore) commit(txn store.Txn) store.Result {
	if len(txn.Checks) > store.MaxOps || len(txn.Writes) > store.MaxOps {
		return store.Result{Err: store.ErrTooLarge}
	}
	for _, c := range txn.Checks {
		if m.items[c.Key].Rev != c.Rev {
			return store.Result{Err: &store.ConflictError{Key: c.Key}}
		}
	}
	changed := false
	for _, w := range txn.Writes {
		if len(w.Value) > store.MaxValue || len(w.Key) > store.MaxKey {
			return store.Result{Err: store.ErrTooLarge}
		}
		_, has := m.items[w.Key]
		changed = changed || !w.Delete || has
	}
	if !changed {
		return store.Result{Rev: m.rev}
	}
	m.rev++
	m.writes++
	for _, w := range txn.Writes {
		if _, has := m.items[w.Key]; w.Delete && !has {
			continue
		}
		c := store.Change{Key: w.Key, Value: slices.Clone(w.Value), Rev: m.rev, Deleted: w.Delete}
		m.history = append(m.history, c)
		if w.Delete {
			delete(m.items, w.Key)
		} else {
			m.items[w.Key] = store.Item{Key: w.Key, Value: c.Value, Rev: m.rev}
		}
		for watch := range m.watches {
			watch.offer(c)
		}
	}
	return store.Result{Rev: m.rev}
}

func (w *memWatch) offer(c store.Change) {
	if strings.HasPrefix(c.Key, w.prefix) {
		w.feed = append(w.feed, c)
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

func (m *memStore) Watch(ctx context.Context, prefix string, from store.Rev) (<-chan []store.Change, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.gone(ctx); err != nil {
		return nil, err
	}
	w := &memWatch{prefix: prefix, wake: make(chan struct{}, 1)}
	out := make(chan []store.Change)
	if from < m.begins {
		close(out)
		return out, nil
	}
	for _, c := range m.history {
		if c.Rev > from {
			w.offer(c)
		}
	}
	m.watches[w] = true
	go m.send(ctx, w, out)
	return out, nil
}

func (m *memStore) send(ctx context.Context, w *memWatch, out chan<- []store.Change) {
	defer close(out)
	for {
		m.mu.Lock()
		feed, closed := w.feed, w.closed
		w.feed = nil
		m.mu.Unlock()
		if closed {
			return
		}
		if len(feed) > 0 {
			select {
			case out <- feed:
				continue
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			return
		}
	}
}

// forget loses the history, and ends all watches with changes that they have
// not sent. What comes meanwhile they do not see.
func (m *memStore) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.history, m.begins = nil, m.rev
	for w := range m.watches {
		w.closed, w.feed = true, nil
		select {
		case w.wake <- struct{}{}:
		default:
		}
		delete(m.watches, w)
	}
}
