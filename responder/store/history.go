package store

import (
	"context"
	"slices"
	"sort"
	"sync"
)

// Bounds of the changes that a Bolt remembers for watchers. Who is further
// behind has to Scan again.
const (
	maxHistory      = 1 << 16  // changes
	maxHistoryBytes = 32 << 20 // of their keys and values
	maxBatch        = 1024     // changes that a watcher gets at once, and the rest of that commit
)

// history has the last changes in order, and wakes who waits for the next.
type history struct {
	most, mostBytes int

	mu      sync.Mutex
	changes []Change
	size    int
	from    Rev           // all changes after it are here
	last    Rev           // of the store
	next    chan struct{} // closed when there is more
	closed  bool
}

func newHistory(last Rev) *history {
	return &history{most: maxHistory, mostBytes: maxHistoryBytes, from: last, last: last, next: make(chan struct{})}
}

// add appends the changes of one or more commits.
func (h *history) add(changes []Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range changes {
		h.size += c.size()
		h.last = c.Rev
	}
	h.changes = append(h.changes, changes...)
	drop := 0
	for ; len(h.changes)-drop > h.most || h.size > h.mostBytes; drop++ {
		h.from = h.changes[drop].Rev
		h.size -= h.changes[drop].size()
	}
	if drop > 0 {
		clear(h.changes[:drop]) // the values are garbage now; append moves the rest some day
		h.changes = h.changes[drop:]
	}
	h.wake()
}

// lose forgets all: the store has come to a revision by changes that are not known.
func (h *history) lose(last Rev) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changes, h.size, h.from, h.last = nil, 0, last, last
	h.wake()
}

func (h *history) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.wake()
}

func (h *history) wake() {
	close(h.next)
	h.next = make(chan struct{})
}

// after returns the changes that come after a revision, the revision that they
// go up to, and what to wait for if there are none. ok is false if changes are missing.
func (h *history) after(rev Rev) (changes []Change, to Rev, next <-chan struct{}, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || rev < h.from || rev > h.last {
		return nil, 0, nil, false
	}
	i := sort.Search(len(h.changes), func(i int) bool { return h.changes[i].Rev > rev })
	end := min(i+maxBatch, len(h.changes))
	for end > i && end < len(h.changes) && h.changes[end].Rev == h.changes[end-1].Rev {
		end++
	}
	if end > i {
		rev = h.changes[end-1].Rev
	}
	return slices.Clone(h.changes[i:end]), rev, h.next, true
}

// watch sends changes below prefix until ctx ends or some are missing, then closes out.
func (h *history) watch(ctx context.Context, prefix string, rev Rev, out chan<- []Change) {
	defer close(out)
	for {
		changes, to, next, ok := h.after(rev)
		if !ok {
			return
		}
		if rev = to; len(changes) == 0 {
			select {
			case <-next:
				continue
			case <-ctx.Done():
				return
			}
		}
		if changes = only(changes, prefix); len(changes) == 0 {
			continue
		}
		select {
		case out <- changes:
		case <-ctx.Done():
			return
		}
	}
}

func (c *Change) size() int { return len(c.Key) + len(c.Value) + 64 }
