package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/xdpxe/xdpxe/responder/store/etcdtest"
)

// eventually waits for what another goroutine brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// commitSoon commits once the store is back.
func commitSoon(t *testing.T, s Store, writes ...Write) (rev Rev) {
	t.Helper()
	eventually(t, "commit", func() (ok bool) {
		var err error
		rev, err = s.Commit(testContextFor(t), nil, writes)
		if err != nil && !errors.Is(err, ErrUnavailable) {
			t.Fatal(err)
		}
		return err == nil
	})
	return rev
}

// While the etcd is gone all is refused clearly; when it is back, what watches
// sees what it has missed, in order.
func TestEtcdGone(t *testing.T) {
	server := etcdtest.Start(t)
	e := openEtcd(t, EtcdConfig{Endpoints: []string{server.URL}})
	other := openEtcd(t, EtcdConfig{Endpoints: []string{server.URL}})
	base := commit(t, e, put("a", "0"))
	changes, err := e.Watch(testContextFor(t), "", base)
	must(t, err)
	m := newMirror()
	following, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { Follow(following, e, "", m.reset, m.apply) })
	defer all.Wait()
	defer stop()
	for round := range 2 {
		server.Kill()
		_, err := e.Commit(testContextFor(t), nil, []Write{put("lost", "1")})
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), server.URL) {
			t.Fatal(err)
		}
		if _, _, err := e.Get(testContextFor(t), "a"); !errors.Is(err, ErrUnavailable) {
			t.Fatal(err)
		}
		var txns []Txn
		for i := range 1000 {
			txns = append(txns, Txn{Writes: []Write{put(fmt.Sprint(i), "")}})
		}
		for _, r := range e.Bulk(testContextFor(t), txns) { // not one wait for each
			if !errors.Is(r.Err, ErrUnavailable) {
				t.Fatal(r.Err)
			}
		}
		if h := e.Health(); !errors.Is(h.Err, ErrUnavailable) || h.Since.IsZero() {
			t.Error(h)
		}
		server.Restart()
		commitSoon(t, other, put("a", fmt.Sprint(2*round+1)))
		commitSoon(t, other, put("a", fmt.Sprint(2*round+2)))
		want(t, "changes", changesText(receive(t, changes, 2), base), fmt.Sprintf("a=%d@%[1]d a=%d@%[2]d", 2*round+1, 2*round+2))
		m.wait(t, "follow", func() bool { return m.items["a"] == fmt.Sprint(2*round+2) })
		if _, _, err := e.Get(testContextFor(t), "a"); err != nil {
			t.Fatal(err)
		}
		if h := e.Health(); h.Err != nil {
			t.Error(h)
		}
	}
	m.wait(t, "no reset", func() bool { return m.resets == 1 && !m.back })
}

// A server that is there but does not answer costs no more than the time of a request.
func TestEtcdHangs(t *testing.T) {
	server := etcdtest.Start(t)
	e := openEtcd(t, EtcdConfig{Endpoints: []string{server.URL}, Timeout: 300 * time.Millisecond})
	base := commitSoon(t, e, put("a", "0"))
	changes, err := e.Watch(testContextFor(t), "", base)
	must(t, err)
	server.Pause()
	_, err = e.Commit(testContextFor(t), []Check{{"a", base}}, []Write{put("a", "1")})
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "300ms") {
		t.Fatal(err)
	}
	// The caller's own time is the caller's error.
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, _, err := e.Get(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	server.Resume()
	// Whether the commit was done, the check finds out.
	eventually(t, "the same commit again", func() bool {
		_, err := e.Commit(testContextFor(t), []Check{{"a", base}}, []Write{put("a", "1")})
		if err != nil && !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrConflict) {
			t.Fatal(err)
		}
		return !errors.Is(err, ErrUnavailable)
	})
	want(t, "changes", changesText(receive(t, changes, 1), base), "a=1@1")
}

// A store can be opened, with and without a password, before there is an etcd.
func TestEtcdOpenedBefore(t *testing.T) {
	server := etcdtest.Start(t)
	server.Kill()
	for _, c := range []EtcdConfig{
		{Endpoints: []string{server.URL}, Prefix: "/a/"},
		{Endpoints: []string{server.URL}, Prefix: "/b/", User: "nobody", Password: "knows", Timeout: time.Second},
	} {
		e := openEtcd(t, c)
		if _, _, err := e.Get(testContextFor(t), "a"); !errors.Is(err, ErrUnavailable) {
			t.Fatal(err)
		}
		m := newMirror()
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { Follow(ctx, e, "", m.reset, m.apply) })
		server.Restart()
		commitSoon(t, e, put("a", "1")) // without auth enabled, a password is of no matter
		m.wait(t, "follow", func() bool { return m.items["a"] == "1" })
		cancel()
		all.Wait()
		server.Kill()
	}
}

// What the etcd has compacted away cannot be watched: all is read again.
func TestEtcdCompacted(t *testing.T) {
	server := etcdtest.Start(t)
	e := openEtcd(t, EtcdConfig{Endpoints: []string{server.URL}})
	base := commit(t, e, put("a", "0"), put("b", "0"))
	var last Rev
	for i := range 20 {
		last = commit(t, e, put("a", fmt.Sprint(i)))
	}
	compact := func(rev Rev) {
		must(t, e.do(testContextFor(t), func(ctx context.Context, c *clientv3.Client) (*etcdserverpb.ResponseHeader, error) {
			r, err := c.Compact(ctx, int64(rev))
			if err != nil {
				return nil, err
			}
			return r.Header, nil
		}))
	}
	compact(last - 5)
	changes, err := e.Watch(testContextFor(t), "", base)
	must(t, err)
	if got := closed(t, changes); len(got) != 0 {
		t.Error(got)
	}
	changes, err = e.Watch(testContextFor(t), "", last-5)
	must(t, err)
	receive(t, changes, 5)

	// The same while the etcd was away: the watcher is told, and Follow recovers.
	m := newMirror()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { Follow(ctx, e, "", m.reset, m.apply) })
	defer all.Wait()
	defer cancel()
	m.wait(t, "follow", func() bool { return m.items["a"] == "19" })
	server.Pause() // the watchers' streams break while it cannot say why
	other := openEtcd(t, EtcdConfig{Endpoints: []string{server.URL}})
	server.Resume()
	commitSoon(t, other, del("b"))
	compact(commitSoon(t, other, put("a", "new")))
	m.wait(t, "follow", func() bool { return m.items["a"] == "new" && len(m.items) == 1 })
}

// An etcd that lost its data, or was restored from a backup, is another one.
func TestEtcdReplaced(t *testing.T) {
	server := etcdtest.Start(t)
	e := openEtcd(t, EtcdConfig{Endpoints: []string{server.URL}})
	var rev Rev
	for i := range 30 { // so that the new one's revisions are below
		rev = commit(t, e, put("a", fmt.Sprint(i)))
	}
	changes, err := e.Watch(testContextFor(t), "", rev)
	must(t, err)
	m := newMirror()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { Follow(ctx, e, "", m.reset, m.apply) })
	defer all.Wait()
	defer cancel()
	m.wait(t, "follow", func() bool { return m.items["a"] == "29" })
	server.Wipe()
	closed(t, changes)
	m.wait(t, "empty", func() bool { return len(m.items) == 0 && m.resets > 1 })
	commitSoon(t, e, put("b", "1"))
	m.wait(t, "follow", func() bool { return len(m.items) == 1 && m.items["b"] == "1" })
}

// A receiver that does not keep up is not waited for without bound.
func TestEtcdSlowReceiver(t *testing.T) {
	event := func(rev int64, size int) []*clientv3.Event {
		return []*clientv3.Event{{Kv: &mvccpb.KeyValue{Key: []byte("/xdpxe/items/a"), Value: make([]byte, size), ModRevision: rev}}}
	}
	for _, c := range []struct{ size, most int }{{0, maxWaiting}, {MaxValue, maxWaitingBytes / MaxValue}} {
		w := &etcdWatch{e: &Etcd{prefix: "/xdpxe/items/"}}
		n := 0
		for w.add(event(int64(n+1), c.size)) {
			n++
		}
		if n > c.most || n < c.most*9/10 {
			t.Errorf("%d changes of %d bytes waited", n, c.size)
		}
	}
	w := &etcdWatch{e: &Etcd{prefix: "/xdpxe/items/"}}
	for i := range int64(2 * maxWaiting) {
		if !w.add(event(i+1, 10)) || w.ready() != nil && w.first()[0].Key != "a" {
			t.Fatal("one that keeps up")
		}
		w.taken()
	}
	if w.changes != 0 || w.bytes != 0 || len(w.waiting) != 0 {
		t.Error(w.changes, w.bytes)
	}
}
