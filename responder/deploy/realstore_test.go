package deploy

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/store"
	"github.com/xdpxe/xdpxe/responder/store/etcdtest"
)

// run runs a catalogue on a store of its own until it is stopped; changed has
// a token whenever an answer may be another.
func run(t testing.TB, s store.Store) (c *Catalogue, changed <-chan struct{}, stop func()) {
	t.Helper()
	tell := make(chan struct{}, 1)
	c = New(Config{Store: s, Changed: func() {
		select {
		case tell <- struct{}{}:
		default:
		}
	}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	select {
	case <-c.Ready():
	case <-time.After(30 * time.Second):
		t.Fatal("the store is not read")
	}
	return c, tell, stop
}

// await waits until a client's answer is that.
func await(t *testing.T, c *Catalogue, changed <-chan struct{}, mac Identity, want Why) {
	t.Helper()
	patience := time.After(30 * time.Second)
	for {
		got := c.Snapshot().Find(Client{MAC: mac.Bytes()}, time.Now())
		if got.Why == want {
			return
		}
		select {
		case <-changed:
		case <-patience:
			t.Fatalf("%s, want %s", got.Why, want)
		}
	}
}

func openBolt(t testing.TB, file string) store.Store {
	t.Helper()
	s, err := store.OpenBolt(context.Background(), file)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// lab is n once-deployments.
func lab(n int) []Deployment {
	ds := make([]Deployment, n)
	for i := range ds {
		ds[i] = Deployment{ID: fmt.Sprintf("lab-%05d", i), Target: Target{MAC: HardwareIdentity([]byte{2, 0, 0, 0, byte(i >> 8), byte(i)})}, Profile: "winpe", Once: true}
	}
	return ds
}

// TestInAFile: what was acknowledged is there after the file is opened again.
func TestInAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.db")
	c, _, stop := run(t, openBolt(t, file))
	ds := lab(200)
	mustCreate(t, c, ds...)
	a := ds[7].Target.MAC
	if err := c.Act(t.Context(), RunID{ds[7].ID, a}, lastBlock(a, "1"), time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := c.Cancel(t.Context(), ds[8].ID, 0, "ann", "", time.Now()); err != nil {
		t.Fatal(err)
	}
	stop()
	c, _, _ = run(t, openBolt(t, file))
	for i, want := range map[int]Why{6: Deployed, 7: UsedUp, 8: WasCancelled} {
		if got := c.Snapshot().Find(Client{MAC: ds[i].Target.MAC.Bytes()}, time.Now()); got.Why != want {
			t.Errorf("%s: %s, want %s", ds[i].ID, got.Why, want)
		}
	}
	if n := c.Snapshot().Stats().Deployments; n != len(ds) {
		t.Errorf("%d deployments", n)
	}
}

// TestInEtcd: of servers that share an etcd one may send the last block; all
// see it. Without etcd once-deployments are held back and standing ones are not.
func TestInEtcd(t *testing.T) {
	etcd := etcdtest.Start(t)
	var servers [3]*Catalogue
	var changed [3]<-chan struct{}
	for i := range servers {
		s, err := store.OpenEtcd(store.EtcdConfig{Endpoints: []string{etcd.URL}, Timeout: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		servers[i], changed[i], _ = run(t, s)
	}
	a, b, late := id(t, macA), id(t, macB), id(t, "02:00:00:00:00:01")
	mustCreate(t, servers[0], onceFor(a), Deployment{ID: "stand", Target: Target{MAC: b}, Profile: "linux"},
		Deployment{ID: "late", Target: Target{MAC: late}, Profile: "winpe", Once: true})
	for i, s := range servers {
		await(t, s, changed[i], late, Deployed)
	}
	var wg sync.WaitGroup
	var won atomic.Int64
	for i, s := range servers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := s.Act(t.Context(), RunID{"once", a}, lastBlock(a, fmt.Sprint(i)), time.Now()); err == nil {
				won.Add(1)
			} else if !errors.As(err, new(*Refused)) {
				t.Errorf("server %d: %v", i, err)
			}
		}()
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d servers may send the last block", won.Load())
	}
	for i, s := range servers {
		await(t, s, changed[i], a, UsedUp)
	}
	etcd.Kill()
	await(t, servers[0], changed[0], late, StoreGone)
	await(t, servers[0], changed[0], b, Deployed)
	if err := servers[0].Cancel(t.Context(), "stand", 0, "", "", time.Now()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("cancelled without a store: %v", err)
	}
	etcd.Restart()
	await(t, servers[0], changed[0], late, Deployed)
}

// BenchmarkCreate10000 is a lab of 10,000 deployed to by one call, in a file.
func BenchmarkCreate10000(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		c, _, stop := run(b, openBolt(b, filepath.Join(b.TempDir(), "state.db")))
		ds := lab(10_000)
		b.StartTimer()
		if _, err := c.Create(b.Context(), ds, time.Now()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		stop()
		b.StartTimer()
	}
}
