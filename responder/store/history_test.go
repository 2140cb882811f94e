package store

import (
	"context"
	"fmt"
	"testing"
)

func revs(from, to Rev) (changes []Change) {
	for rev := from; rev <= to; rev++ {
		changes = append(changes, Change{Key: fmt.Sprintf("k%d", rev%3), Value: []byte("v"), Rev: rev})
	}
	return changes
}

func TestHistoryIsBounded(t *testing.T) {
	for name, bound := range map[string]func(*history){
		"changes": func(h *history) { h.most = 10 },
		"bytes":   func(h *history) { h.mostBytes = 10 * (2 + 1 + 64) },
	} {
		h := newHistory(100)
		bound(h)
		for rev := Rev(101); rev <= 1000; rev++ {
			h.add(revs(rev, rev))
		}
		if len(h.changes) != 10 || cap(h.changes) > 100 {
			t.Errorf("%s: %d changes, room for %d", name, len(h.changes), cap(h.changes))
		}
		for _, c := range []struct {
			from Rev
			ok   bool
			n    int
		}{{989, false, 0}, {990, true, 10}, {999, true, 1}, {1000, true, 0}, {1001, false, 0}} {
			changes, to, _, ok := h.after(c.from)
			if ok != c.ok || len(changes) != c.n || ok && to != 1000 {
				t.Errorf("%s: after %d: %d changes up to %d, %v", name, c.from, len(changes), to, ok)
			}
		}
	}
}

// A watcher that falls behind is told so; one that sees nothing of interest does not fall behind.
func TestHistorySlow(t *testing.T) {
	h := newHistory(0)
	h.most = 10
	slow, quiet := make(chan []Change), make(chan []Change)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go h.watch(ctx, "", 0, slow)
	go h.watch(ctx, "q", 0, quiet)
	h.add(revs(1, 1))
	receive(t, slow, 1)
	for rev := Rev(2); rev <= 1000; rev++ {
		h.add(revs(rev, rev))
	}
	got := closed(t, slow)
	for i, c := range got {
		if c.Rev != Rev(2+i) {
			t.Fatalf("revision %d after %d", c.Rev, 1+i)
		}
	}
	if len(got) > 990 {
		t.Error("it missed nothing")
	}
	// The quiet one may have been just as slow: then it is told as well.
	h.add([]Change{{Key: "q", Rev: 1001}})
	if c, ok := <-quiet; ok && (len(c) != 1 || c[0].Rev != 1001) {
		t.Error(c)
	}
}

// Commits are not cut in two.
func TestHistoryWholeCommits(t *testing.T) {
	h := newHistory(0)
	var changes []Change
	for i := range 3 * maxBatch {
		changes = append(changes, Change{Key: fmt.Sprint(i), Rev: Rev(1 + i/7)})
	}
	h.add(changes)
	var rev Rev
	for seen := 0; seen < len(changes); {
		piece, to, _, ok := h.after(rev)
		if !ok || len(piece) == 0 || piece[0].Rev != rev+1 {
			t.Fatal(rev, len(piece), ok)
		}
		rev = to
		seen += len(piece)
	}
}

// When changes are not known, watchers have to look again.
func TestHistoryLost(t *testing.T) {
	h := newHistory(5)
	out := make(chan []Change)
	go h.watch(t.Context(), "", 5, out)
	h.add(revs(6, 6))
	receive(t, out, 1)
	h.lose(7)
	closed(t, out)
}
