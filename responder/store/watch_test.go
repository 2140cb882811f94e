package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// receive takes n changes.
func receive(t *testing.T, changes <-chan []Change, n int) []Change {
	t.Helper()
	var got []Change
	for timeout := time.After(20 * time.Second); len(got) < n; {
		select {
		case c, ok := <-changes:
			if !ok {
				t.Fatalf("closed after %v", got)
			}
			got = append(got, c...)
		case <-timeout:
			t.Fatalf("got %d changes of %d: %v", len(got), n, got)
		}
	}
	return got
}

// closed waits for the channel's end, and returns what came before.
func closed(t *testing.T, changes <-chan []Change) []Change {
	t.Helper()
	var got []Change
	for timeout := time.After(20 * time.Second); ; {
		select {
		case c, ok := <-changes:
			if !ok {
				return got
			}
			got = append(got, c...)
		case <-timeout:
			t.Fatal("the watch does not end")
		}
	}
}

func testWatch(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(testContextFor(t))
	defer cancel()
	base := commit(t, s, put("m/a", "0"))
	changes, err := s.Watch(ctx, "m/", base)
	must(t, err)
	commit(t, s, put("m/b", "1"), put("n/a", "1"))
	commit(t, s, put("n/b", "2"))
	commit(t, s, put("m/b", "3"), put("m/c", "3"), del("m/a"), del("m/none"))
	commit(t, s, del("m/b"))
	got := receive(t, changes, 5)
	for _, of := range [][]Change{got[:1], got[1:4], got[4:]} { // within a commit there is no order
		slices.SortFunc(of, func(a, b Change) int { return strings.Compare(a.Key, b.Key) })
	}
	want(t, "changes", changesText(got, base), "m/b=1@1 -m/a@3 m/b=3@3 m/c=3@3 -m/b@4")
	cancel()
	closed(t, changes)
}

func testWatchFrom(t *testing.T, s Store) {
	ctx := testContextFor(t)
	base := commit(t, s, put("a", "0"))
	for i := range 50 {
		commit(t, s, put("a", fmt.Sprint(i)))
	}
	changes, err := s.Watch(ctx, "", base+10)
	must(t, err)
	got := receive(t, changes, 40)
	for i, c := range got {
		if c.Rev != base+11+Rev(i) {
			t.Fatal(changesText(got, base))
		}
	}
}

// A revision that the store has not had yet is of another store.
func testWatchFuture(t *testing.T, s Store) {
	rev := commit(t, s, put("a", "0"))
	changes, err := s.Watch(testContextFor(t), "", rev+1000)
	must(t, err)
	if got := closed(t, changes); len(got) != 0 {
		t.Fatal(got)
	}
}

// A commit comes in one piece, however many come at once.
func testWatchBulk(t *testing.T, s Store) {
	ctx := testContextFor(t)
	base := commit(t, s, put("start", ""))
	changes, err := s.Watch(ctx, "", base)
	must(t, err)
	const n = 500
	var txns []Txn
	for i := range n {
		var writes []Write
		for j := range 7 {
			writes = append(writes, put(fmt.Sprintf("%d/%d", i, j), "x"))
		}
		txns = append(txns, Txn{Writes: writes})
	}
	results := s.Bulk(ctx, txns)
	revs := map[Rev]int{}
	for _, r := range results {
		must(t, r.Err)
		revs[r.Rev] += 7
	}
	last := base
	for seen := 0; seen < 7*n; {
		piece := receive(t, changes, 1)
		if piece[0].Rev <= last {
			t.Fatalf("revision %d after %d", piece[0].Rev, last)
		}
		in := map[Rev]int{}
		for _, c := range piece {
			if c.Rev < last {
				t.Fatalf("revision %d after %d", c.Rev, last)
			}
			last = c.Rev
			in[c.Rev]++
		}
		for rev, got := range in {
			if got != revs[rev] {
				t.Fatalf("%d of the %d changes of revision %d", got, revs[rev], rev)
			}
		}
		seen += len(piece)
	}
}

// mirror is a copy that Follow keeps.
type mirror struct {
	mu     sync.Mutex
	items  map[string]string
	rev    Rev
	resets int
	back   bool // a revision went back
	seen   chan struct{}
}

func newMirror() *mirror { return &mirror{seen: make(chan struct{}, 1)} }

func (m *mirror) reset(items []Item, rev Rev) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.items = map[string]string{}
	for _, it := range items {
		m.items[it.Key] = string(it.Value)
	}
	m.rev = rev
	m.resets++
	m.tell()
}

func (m *mirror) apply(changes []Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range changes {
		m.back = m.back || c.Rev < m.rev
		m.rev = c.Rev
		if c.Deleted {
			delete(m.items, c.Key)
		} else {
			m.items[c.Key] = string(c.Value)
		}
	}
	m.tell()
}

func (m *mirror) tell() {
	select {
	case m.seen <- struct{}{}:
	default:
	}
}

// wait waits until the copy is as it should be.
func (m *mirror) wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		m.mu.Lock()
		done := ok()
		m.mu.Unlock()
		if done {
			return
		}
		select {
		case <-m.seen:
		case <-timeout:
			t.Fatalf("%s: %d items at %d after %d resets", what, len(m.items), m.rev, m.resets)
		}
	}
}

func testFollow(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(testContextFor(t))
	m, ended := newMirror(), make(chan error, 1)
	commit(t, s, put("f/before", "1"))
	go func() { ended <- Follow(ctx, s, "f/", m.reset, m.apply) }()
	for i := range 100 {
		commit(t, s, put(fmt.Sprintf("f/%d", i%10), fmt.Sprint(i)), put("other", "x"))
	}
	commit(t, s, del("f/before"), put("f/last", "1"))
	m.wait(t, "all", func() bool { return m.items["f/last"] == "1" && m.items["f/3"] == "93" && len(m.items) == 11 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || m.back {
		t.Fatal(err, m.back)
	}
}
