package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// conform is what every Store must do. open returns a new, empty one.
func conform(t *testing.T, open func(t *testing.T) Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Store)
	}{
		{"get", testGet}, {"list", testList}, {"scan", testScan}, {"commit", testCommit}, {"revisions", testRevisions},
		{"conflict", testConflict}, {"limits", testLimits}, {"bulk", testBulk}, {"bulk of many", testBulkMany},
		{"consume once", testConsumeOnce}, {"watch", testWatch}, {"watch from before", testWatchFrom}, {"watch the future", testWatchFuture},
		{"watch bulk", testWatchBulk}, {"follow", testFollow}, {"context", testContext}, {"closed", testClosed}, {"values are copies", testCopies},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() { s.Close() })
			c.test(t, s)
		})
	}
}

func testContextFor(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(key, value string) Write { return Write{Key: key, Value: []byte(value)} }
func del(key string) Write        { return Write{Key: key, Delete: true} }

func commit(t *testing.T, s Store, writes ...Write) Rev {
	t.Helper()
	rev, err := s.Commit(testContextFor(t), nil, writes)
	must(t, err)
	return rev
}

// text is items in one line: key=value@rev, the revision counted from base.
func text(items []Item, base Rev) string {
	var out []string
	for _, it := range items {
		out = append(out, fmt.Sprintf("%s=%s@%d", it.Key, it.Value, it.Rev-base))
	}
	return strings.Join(out, " ")
}

func changesText(changes []Change, base Rev) string {
	var out []string
	for _, c := range changes {
		if c.Deleted {
			out = append(out, fmt.Sprintf("-%s@%d", c.Key, c.Rev-base))
		} else {
			out = append(out, fmt.Sprintf("%s=%s@%d", c.Key, c.Value, c.Rev-base))
		}
	}
	return strings.Join(out, " ")
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: %s\nwant %s", what, got, want)
	}
}

func listed(t *testing.T, s Store, prefix string) []Item {
	t.Helper()
	items, err := s.List(testContextFor(t), prefix, "", 0)
	must(t, err)
	return items
}

func testGet(t *testing.T, s Store) {
	ctx := testContextFor(t)
	if it, found, err := s.Get(ctx, "a"); err != nil || found || it.Rev != 0 {
		t.Fatal(it, found, err)
	}
	rev := commit(t, s, put("a", "1"), put("empty", ""))
	it, found, err := s.Get(ctx, "a")
	if err != nil || !found || it.Key != "a" || string(it.Value) != "1" || it.Rev != rev {
		t.Fatal(it, found, err)
	}
	if it, found, err = s.Get(ctx, "empty"); err != nil || !found || len(it.Value) != 0 || it.Rev != rev {
		t.Fatal(it, found, err)
	}
	commit(t, s, del("a"))
	if _, found, err := s.Get(ctx, "a"); err != nil || found {
		t.Fatal(found, err)
	}
}

func testList(t *testing.T, s Store) {
	ctx := testContextFor(t)
	base := commit(t, s, put("m/2", "b"), put("m/1", "a"), put("m", "x"), put("m/\xff", "d"), put("n/1", "y"), put("m/10", "c"), put("l", "z")) - 1
	for _, c := range []struct {
		prefix, after string
		limit         int
		want          string
	}{
		{"m/", "", 0, "m/1=a@1 m/10=c@1 m/2=b@1 m/\xff=d@1"},
		{"m/", "", 2, "m/1=a@1 m/10=c@1"},
		{"m/", "m/10", 2, "m/2=b@1 m/\xff=d@1"},
		{"m/", "m/\xff", 2, ""},
		{"m/", "a", 1, "m/1=a@1"}, // before all of them
		{"m/", "z", 1, ""},        // behind
		{"m/", "m/1/", 1, "m/10=c@1"},
		{"m/\xff", "", 0, "m/\xff=d@1"},
		{"o", "", 0, ""},
		{"", "", 0, "l=z@1 m=x@1 m/1=a@1 m/10=c@1 m/2=b@1 m/\xff=d@1 n/1=y@1"},
		{"", "m/2", 0, "m/\xff=d@1 n/1=y@1"},
	} {
		items, err := s.List(ctx, c.prefix, c.after, c.limit)
		must(t, err)
		want(t, fmt.Sprintf("List(%q, %q, %d)", c.prefix, c.after, c.limit), text(items, base), c.want)
	}
}

func testScan(t *testing.T, s Store) {
	ctx := testContextFor(t)
	var txns []Txn
	for i := range 2*MaxPage + 7 { // more than one page of an etcd
		txns = append(txns, Txn{Writes: []Write{put(fmt.Sprintf("k/%05d", i), "v")}})
	}
	for _, r := range s.Bulk(ctx, txns) {
		must(t, r.Err)
	}
	rev := commit(t, s, put("other", "x"))
	var keys []string
	at, err := s.Scan(ctx, "k/", func(it Item) error {
		keys = append(keys, it.Key)
		return nil
	})
	must(t, err)
	if at != rev || len(keys) != len(txns) || !slices.IsSorted(keys) {
		t.Fatalf("revision %d, want %d; %d keys, want %d, sorted: %v", at, rev, len(keys), len(txns), slices.IsSorted(keys))
	}
	mine := errors.New("mine")
	if _, err := s.Scan(ctx, "", func(Item) error { return mine }); !errors.Is(err, mine) {
		t.Fatal(err)
	}
	items, err := s.List(ctx, "k/", "", MaxPage+1)
	if must(t, err); len(items) != MaxPage {
		t.Fatal(len(items))
	}
}

func testCommit(t *testing.T, s Store) {
	ctx := testContextFor(t)
	first := commit(t, s, put("a", "1"), put("b", "1"))
	second, err := s.Commit(ctx, []Check{{"a", first}, {"c", 0}}, []Write{put("a", "2"), del("b"), put("c", "2")})
	must(t, err)
	want(t, "items", text(listed(t, s, ""), second), "a=2@0 c=2@0")
	// What is made again is another one.
	third := commit(t, s, put("b", "3"))
	if _, err := s.Commit(ctx, []Check{{"b", first}}, []Write{del("b")}); !errors.Is(err, ErrConflict) {
		t.Fatal(err)
	}
	want(t, "items", text(listed(t, s, "b"), third), "b=3@0")
}

func testRevisions(t *testing.T, s Store) {
	ctx := testContextFor(t)
	a := commit(t, s, put("a", "1"))
	if b := commit(t, s, put("a", "1"), put("b", "1")); b != a+1 {
		t.Fatalf("revision %d after %d", b, a)
	}
	// No change, no revision.
	if rev := commit(t, s, del("x")); rev != a+1 {
		t.Fatalf("revision %d after a delete of nothing", rev)
	}
	if rev, err := s.Commit(ctx, []Check{{"a", a + 1}}, nil); err != nil || rev != a+1 {
		t.Fatal(rev, err)
	}
	if rev := commit(t, s, del("a")); rev != a+2 {
		t.Fatalf("revision %d", rev)
	}
}

func testConflict(t *testing.T, s Store) {
	ctx := testContextFor(t)
	rev := commit(t, s, put("a", "1"), put("b", "1"))
	for _, c := range []struct {
		checks []Check
		key    string
	}{
		{[]Check{{"a", 0}}, "a"},
		{[]Check{{"a", rev + 1}}, "a"},
		{[]Check{{"a", rev}, {"b", 0}, {"c", 1}}, "b"},
		{[]Check{{"a", rev}, {"b", rev}, {"c", rev}}, "c"},
	} {
		_, err := s.Commit(ctx, c.checks, []Write{put("a", "2"), del("b"), put("d", "2")})
		var conflict *ConflictError
		if !errors.Is(err, ErrConflict) || !errors.As(err, &conflict) || conflict.Key != c.key {
			t.Fatalf("%v: %v, want a conflict of %q", c.checks, err, c.key)
		}
	}
	want(t, "items", text(listed(t, s, ""), rev), "a=1@0 b=1@0")
}

func testLimits(t *testing.T, s Store) {
	ctx := testContextFor(t)
	rev := commit(t, s, put("a", "1"))
	many := func(n, size int) (writes []Write) {
		for i := range n {
			writes = append(writes, put(fmt.Sprintf("k%d", i), strings.Repeat("v", size)))
		}
		return writes
	}
	checks := func(n int) (checks []Check) {
		for i := range n {
			checks = append(checks, Check{Key: fmt.Sprintf("k%d", i)})
		}
		return checks
	}
	for _, c := range []struct {
		name   string
		checks []Check
		writes []Write
		want   error // nil: another one
	}{
		{"writes", nil, many(MaxOps+1, 1), ErrTooLarge},
		{"checks", checks(MaxOps + 1), nil, ErrTooLarge},
		{"value", nil, many(1, MaxValue+1), ErrTooLarge},
		{"key", nil, []Write{put(strings.Repeat("k", MaxKey+1), "")}, ErrTooLarge},
		{"all values", nil, many(17, MaxValue), ErrTooLarge},
		{"empty key", nil, []Write{put("", "1")}, nil},
		{"empty key to check", []Check{{}}, nil, nil},
		{"twice", nil, []Write{put("b", "1"), del("b")}, nil},
	} {
		_, err := s.Commit(ctx, c.checks, c.writes)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", c.name, err)
		}
		if r := s.Bulk(ctx, []Txn{{Writes: []Write{put("a", "1")}}, {c.checks, c.writes}}); r[0].Err != nil || r[1].Err == nil {
			t.Errorf("%s: %v", c.name, r)
		}
	}
	// As much as is allowed is possible.
	if _, err := s.Commit(ctx, checks(MaxOps), many(MaxOps, 8000)); err != nil {
		t.Error(err)
	}
	if _, err := s.Commit(ctx, nil, append(many(15, MaxValue), put(strings.Repeat("k", MaxKey), "1"))); err != nil {
		t.Error(err)
	}
	if it, _, err := s.Get(ctx, "a"); err != nil || it.Rev <= rev {
		t.Error(it, err)
	}
}

func testBulk(t *testing.T, s Store) {
	ctx := testContextFor(t)
	base := commit(t, s, put("taken", "0"))
	if r := s.Bulk(ctx, nil); len(r) != 0 {
		t.Fatal(r)
	}
	results := s.Bulk(ctx, []Txn{
		{[]Check{{"a", 0}}, []Write{put("a", "1"), put("a'", "1")}},
		{[]Check{{"taken", 0}}, []Write{put("taken", "2"), put("x", "2")}},
		{[]Check{{"b", 0}}, []Write{put("b", "3")}},
		{[]Check{{"b", 0}}, []Write{put("b", "4")}}, // the one before was quicker
		{nil, []Write{put("b", "5")}},
		{nil, []Write{put("a", "6")}},
		{[]Check{{"c", 0}}, []Write{put("c", "7")}},
		{[]Check{{"c", 0}}, nil},
	})
	keys := make([]string, len(results))
	for i, r := range results {
		var conflict *ConflictError
		switch {
		case errors.As(r.Err, &conflict):
			keys[i] = conflict.Key
		case r.Err != nil:
			t.Fatal(r.Err)
		case r.Rev <= base:
			t.Errorf("result %d: revision %d", i, r.Rev)
		}
	}
	want(t, "conflicts", fmt.Sprint(keys), "[ taken  b    c]")
	var got []string
	for _, it := range listed(t, s, "") {
		got = append(got, it.Key+string(it.Value))
	}
	want(t, "items", fmt.Sprint(got), "[a6 a'1 b5 c7 taken0]")
	it, _, err := s.Get(ctx, "a'")
	if must(t, err); it.Rev != results[0].Rev {
		t.Errorf("revision %d, result %d", it.Rev, results[0].Rev)
	}
}

// Many at once, of which every tenth conflicts.
func testBulkMany(t *testing.T, s Store) {
	ctx := testContextFor(t)
	const n = 2000
	var txns, taken []Txn
	for i := range n {
		key := fmt.Sprintf("d/%05d", i)
		txns = append(txns, Txn{[]Check{{Key: key}}, []Write{put(key, "new"), put("i/"+key, "new")}})
		if i%10 == 3 {
			taken = append(taken, Txn{Writes: []Write{put(key, "old")}})
		}
	}
	for _, r := range s.Bulk(ctx, taken) {
		must(t, r.Err)
	}
	for i, r := range s.Bulk(ctx, txns) {
		if conflict := i%10 == 3; conflict != errors.Is(r.Err, ErrConflict) || !conflict && r.Err != nil {
			t.Fatalf("%d: %v", i, r.Err)
		}
	}
	old := 0
	rev, err := s.Scan(ctx, "d/", func(it Item) error {
		if string(it.Value) == "old" {
			old++
		}
		return nil
	})
	if err != nil || rev == 0 || old != n/10 {
		t.Fatal(rev, err, old)
	}
}

// Of many that consume the same thing, one does.
func testConsumeOnce(t *testing.T, s Store) {
	ctx := testContextFor(t)
	rev := commit(t, s, put("once", "armed"))
	var consumed, refused atomic.Int32
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			_, err := s.Commit(ctx, []Check{{"once", rev}}, []Write{put("once", "used"), put(fmt.Sprintf("by/%d", i), "")})
			switch {
			case err == nil:
				consumed.Add(1)
			case errors.Is(err, ErrConflict):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if consumed.Load() != 1 || refused.Load() != 15 || len(listed(t, s, "by/")) != 1 {
		t.Fatal(consumed.Load(), refused.Load(), listed(t, s, ""))
	}
}

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

func testContext(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, getErr := s.Get(ctx, "a")
	_, listErr := s.List(ctx, "", "", 0)
	_, scanErr := s.Scan(ctx, "", func(Item) error { return nil })
	_, commitErr := s.Commit(ctx, nil, []Write{put("a", "1")})
	bulk := s.Bulk(ctx, []Txn{{Writes: []Write{put("a", "1")}}})
	for i, err := range []error{getErr, listErr, scanErr, commitErr, bulk[0].Err} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if items := listed(t, s, ""); len(items) != 0 {
		t.Error(items)
	}
}

func testClosed(t *testing.T, s Store) {
	ctx := testContextFor(t)
	rev := commit(t, s, put("a", "1"))
	changes, err := s.Watch(ctx, "", rev)
	must(t, err)
	ended := make(chan error, 1)
	m := newMirror()
	go func() { ended <- Follow(ctx, s, "", m.reset, m.apply) }()
	m.wait(t, "reset", func() bool { return m.resets == 1 })
	must(t, s.Close())
	must(t, s.Close())
	closed(t, changes)
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	_, _, getErr := s.Get(ctx, "a")
	_, listErr := s.List(ctx, "", "", 0)
	_, commitErr := s.Commit(ctx, nil, []Write{put("a", "1")})
	_, watchErr := s.Watch(ctx, "", rev)
	for i, err := range []error{getErr, listErr, commitErr, s.Bulk(ctx, []Txn{{}})[0].Err, watchErr} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

// Neither side sees what the other does to its bytes later.
func testCopies(t *testing.T, s Store) {
	ctx := testContextFor(t)
	value := []byte("one")
	rev := commit(t, s, Write{Key: "a", Value: value})
	value[0] = 'X'
	changes, err := s.Watch(ctx, "", rev-1)
	must(t, err)
	want(t, "changes", changesText(receive(t, changes, 1), rev), "a=one@0")
	it, _, err := s.Get(ctx, "a")
	must(t, err)
	it.Value[0] = 'Y'
	want(t, "items", text(listed(t, s, ""), rev), "a=one@0")
}
