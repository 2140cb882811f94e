package deploy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdpxe/xdpxe/responder/store"
)

// server is a catalogue that runs.
type server struct {
	*Catalogue
	changes atomic.Int64 // calls of Changed
	stop    func()
}

// start runs a catalogue in a synctest bubble until the test ends, or it is stopped.
func start(t *testing.T, s Store, change ...func(*Config)) *server {
	t.Helper()
	srv := &server{}
	cfg := Config{Store: s, Changed: func() { srv.changes.Add(1) }}
	for _, f := range change {
		f(&cfg)
	}
	srv.Catalogue = New(cfg)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	srv.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(srv.stop)
	return srv
}

// ready waits until the store has been read.
func (s *server) ready() *server {
	<-s.Ready()
	return s
}

func mustCreate(t *testing.T, c *Catalogue, ds ...Deployment) {
	t.Helper()
	created, err := c.Create(t.Context(), ds, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range created {
		if one.Err != nil {
			t.Fatal(one.Err)
		}
	}
}

func onceFor(mac Identity) Deployment {
	return Deployment{ID: "once", Target: Target{MAC: mac}, Profile: "winpe", Once: true}
}

// lastBlock is that of the boot program, by a transfer of a server.
func lastBlock(mac Identity, claim string) Event {
	return Event{Kind: LastBlock, Address: mac, Server: claim, File: "boot.efi", NBP: true, Claim: claim, Size: 1000, Sent: 999}
}

func (s *server) state(t *testing.T, id string) State {
	t.Helper()
	st, ok := s.Snapshot().Deployment(id, time.Now())
	if !ok {
		t.Fatalf("deployment %s is gone", id)
	}
	return st.Run.State
}

// TestOnceByOneServer: of many servers that are about to send the last block
// to one machine, one may, however they come together.
func TestOnceByOneServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a := newMemStore(), id(t, macA)
		var servers []*server
		for range 4 {
			servers = append(servers, start(t, m).ready())
		}
		mustCreate(t, servers[0].Catalogue, onceFor(a))
		run := RunID{"once", a}
		for round := range 20 {
			synctest.Wait()
			var wg sync.WaitGroup
			var won atomic.Int64
			for i, s := range servers {
				wg.Add(1)
				go func() {
					defer wg.Done()
					err := s.Act(t.Context(), run, lastBlock(a, fmt.Sprintf("%d.%d", round, i)), time.Now())
					if err == nil {
						won.Add(1)
					} else if refused := (*Refused)(nil); !errors.As(err, &refused) {
						t.Errorf("server %d: %v", i, err)
					}
				}()
			}
			wg.Wait()
			if won.Load() != 1 {
				t.Fatalf("round %d: %d servers may send the last block", round, won.Load())
			}
			synctest.Wait()
			for i, s := range servers {
				if got := s.Snapshot().Find(Client{MAC: a.Bytes()}, time.Now()); got.Why != UsedUp {
					t.Fatalf("server %d then: %s", i, got.Why)
				}
			}
			if err := servers[round%4].Arm(t.Context(), "once", Identity{}, 0, "ann", time.Now()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestCancelOrBlock: of a cancellation and a last block one happens.
func TestCancelOrBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a := newMemStore(), id(t, macA)
		one, other := start(t, m).ready(), start(t, m).ready()
		for round := range 20 {
			d := onceFor(a)
			d.ID = fmt.Sprintf("once-%d", round)
			mustCreate(t, one.Catalogue, d)
			synctest.Wait()
			var wg sync.WaitGroup
			var block, cancel error
			wg.Add(2)
			go func() {
				defer wg.Done()
				block = one.Act(t.Context(), RunID{d.ID, a}, lastBlock(a, "x"), time.Now())
			}()
			go func() {
				defer wg.Done()
				cancel = other.Cancel(t.Context(), d.ID, 0, "ann", "", time.Now())
			}()
			wg.Wait()
			if (block == nil) == (cancel == nil) {
				t.Fatalf("last block: %v, cancellation: %v", block, cancel)
			}
			want := Cancelled
			if block == nil {
				want = Loading
			}
			synctest.Wait()
			if got := one.state(t, d.ID); got != want {
				t.Fatalf("%s, want %s", got, want)
			}
		}
	})
}

// TestDurableFirst: when Act returns, what allows the last block is in the store.
func TestDurableFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a := newMemStore(), id(t, macA)
		s := start(t, m).ready()
		mustCreate(t, s.Catalogue, onceFor(a))
		changes := s.changes.Load()
		if err := s.Act(t.Context(), RunID{"once", a}, lastBlock(a, "1"), time.Now()); err != nil {
			t.Fatal(err)
		}
		if s.changes.Load() == changes {
			t.Error("nobody was told that the answer is another")
		}
		// The server dies here. Another one finds it used up, then failed.
		s.stop()
		next := start(t, m).ready()
		if got := next.Snapshot().Find(Client{MAC: a.Bytes()}, time.Now()); got.Why != UsedUp {
			t.Errorf("after a crash: %s", got.Why)
		}
		time.Sleep(ConfirmWithin)
		if got := next.state(t, "once"); got != Failed {
			t.Errorf("after a crash and some time: %s", got)
		}
		if err := next.Arm(t.Context(), "once", Identity{}, 0, "ann", time.Now()); err != nil {
			t.Fatal(err)
		}
		if got := next.Snapshot().Find(Client{MAC: a.Bytes()}, time.Now()); got.Why != Deployed {
			t.Errorf("armed again: %s", got.Why)
		}
	})
}

// TestDoubt: the store did it and could not say so. The transfer is refused,
// and may try again; another may not.
func TestDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a := newMemStore(), id(t, macA)
		s := start(t, m).ready()
		mustCreate(t, s.Catalogue, onceFor(a))
		synctest.Wait()
		m.doubt = true
		run := RunID{"once", a}
		if err := s.Act(t.Context(), run, lastBlock(a, "1"), time.Now()); !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("in doubt: %v", err)
		}
		if err := s.Act(t.Context(), run, lastBlock(a, "2"), time.Now()); err == nil {
			t.Error("another transfer may send its last block")
		}
		if err := s.Act(t.Context(), run, lastBlock(a, "1"), time.Now()); err != nil {
			t.Errorf("the same transfer once more: %v", err)
		}
	})
}

// TestStoreComesAndGoes: without the store changes are refused, once-deployments
// not given and standing ones are; then it is caught up.
func TestStoreComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a, b := newMemStore(), id(t, macA), id(t, macB)
		s := start(t, m).ready()
		other := start(t, m).ready()
		mustCreate(t, s.Catalogue, onceFor(a), Deployment{ID: "stand", Target: Target{MAC: b}, Profile: "linux"})
		find := func(mac Identity) Why { return s.Snapshot().Find(Client{MAC: mac.Bytes()}, time.Now()).Why }

		m.setDown(true)
		time.Sleep(2 * probeEvery)
		if s.Snapshot().Available() || find(a) != StoreGone || find(b) != Deployed {
			t.Errorf("available %v, once %s, standing %s", s.Snapshot().Available(), find(a), find(b))
		}
		for what, err := range map[string]error{
			"last block": s.Act(t.Context(), RunID{"once", a}, lastBlock(a, "1"), time.Now()),
			"cancel":     s.Cancel(t.Context(), "stand", 0, "", "", time.Now()),
			"approve":    s.Approve(t.Context(), a, 0, "", "", "", time.Now()),
			"ignore":     s.Ignore(t.Context(), Pattern{Machine: a}, "", "", time.Now()),
		} {
			if !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if created, err := s.Create(t.Context(), []Deployment{{Target: Target{MAC: a}, Profile: "p"}}, time.Now()); err != nil || !errors.Is(created[0].Err, store.ErrUnavailable) {
			t.Errorf("create: %v, %+v", err, created)
		}
		// What happens to a standing deployment meanwhile is written later.
		s.Note(RunID{"stand", b}, Event{Kind: Asked, Address: b, Server: "s"}, time.Now())
		time.Sleep(time.Second)
		m.forget()
		m.setDown(false)
		if err := other.Act(t.Context(), RunID{"once", a}, lastBlock(a, "2"), time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * probeEvery)
		if !s.Snapshot().Available() || find(a) != UsedUp || find(b) != Deployed {
			t.Errorf("back: available %v, once %s, standing %s", s.Snapshot().Available(), find(a), find(b))
		}
		if got := other.state(t, "stand"); got != Offered {
			t.Errorf("the standing one is %s", got)
		}
	})
}

// TestNotLoaded: a server that starts without its store knows nothing and says so.
func TestNotLoaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a := newMemStore(), id(t, macA)
		m.setDown(true)
		s := start(t, m)
		time.Sleep(time.Minute)
		if got := s.Snapshot().Find(Client{MAC: a.Bytes()}, time.Now()); got.Why != NotLoaded {
			t.Errorf("%s", got.Why)
		}
		if _, err := s.Create(t.Context(), []Deployment{onceFor(a)}, time.Now()); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("create: %v", err)
		}
		m.setDown(false)
		s.ready()
		mustCreate(t, s.Catalogue, onceFor(a))
	})
}

// TestLostChanges: a watch that has lost changes is no harm.
func TestLostChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a, b := newMemStore(), id(t, macA), id(t, macB)
		one, other := start(t, m).ready(), start(t, m).ready()
		mustCreate(t, one.Catalogue, onceFor(a))
		synctest.Wait()
		m.forget() // both read everything again, after a moment
		mustCreate(t, one.Catalogue, Deployment{ID: "stand", Target: Target{MAC: b}, Profile: "linux"})
		if err := one.Cancel(t.Context(), "once", 0, "", "", time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := one.Delete(t.Context(), "once", 0, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		for i, s := range []*server{one, other} {
			if _, ok := s.Snapshot().Deployment("once", time.Now()); ok {
				t.Errorf("server %d: the deleted one is there", i)
			}
			if got := s.Snapshot().Find(Client{MAC: b.Bytes()}, time.Now()); got.Why != Deployed {
				t.Errorf("server %d: %s", i, got.Why)
			}
			s.mu.Lock()
			if len(s.own) != 0 {
				t.Errorf("server %d keeps %d changes of its own", i, len(s.own))
			}
			s.mu.Unlock()
		}
	})
}

// TestNoted: a boot as its events tell it, seen by another server; and events
// that change nothing are not written.
func TestNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a := newMemStore(), id(t, macA)
		s, other := start(t, m).ready(), start(t, m).ready()
		mustCreate(t, s.Catalogue, onceFor(a))
		run := RunID{"once", a}
		e := lastBlock(a, "1")
		e.Sent = 0
		note := func(k EventKind) {
			e.Kind = k
			s.Note(run, e, time.Now())
		}
		expect := func(want State) {
			t.Helper()
			time.Sleep(2 * flushEvery)
			if got := other.state(t, "once"); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		note(Asked)
		expect(Offered)
		writes := m.written()
		for range 100 {
			note(Asked)
		}
		expect(Offered)
		if n := m.written(); n != writes {
			t.Errorf("%d writes for a client that asks again", n-writes)
		}
		note(Began)
		expect(Loading)
		if d, _ := other.Snapshot().Loaded(Client{MAC: a.Bytes()}); d == nil || d.ID != "once" {
			t.Errorf("loaded: %v", d)
		}
		writes = m.written()
		for i := range 100 {
			e.Sent = int64(i)
			note(Moved)
			time.Sleep(100 * time.Millisecond)
		}
		if n := m.written() - writes; n < 1 || n > 2 {
			t.Errorf("%d writes of progress in 10 s", n)
		}
		if st, _ := other.Snapshot().Deployment("once", time.Now()); st.Run.Sent == 0 || st.Run.Size != 1000 {
			t.Errorf("progress is %+v", st.Run)
		}
		if err := s.Act(t.Context(), run, lastBlock(a, "1"), time.Now()); err != nil {
			t.Fatal(err)
		}
		note(Fetched)
		s.stop() // what was noted last is written as it ends
		synctest.Wait()
		if got := other.state(t, "once"); got != Done {
			t.Errorf("at the end: %s", got)
		}
		if d, _ := other.Snapshot().Loaded(Client{MAC: a.Bytes()}); d == nil {
			t.Error("what it was booted with is forgotten once it is used up")
		}
	})
}

// TestStormOfMilestones: many machines reach theirs at once, and share writes.
func TestStormOfMilestones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemStore()
		s := start(t, m).ready()
		const n = 1000
		ds := make([]Deployment, n)
		for i := range ds {
			ds[i] = Deployment{ID: fmt.Sprintf("d%d", i), Target: Target{MAC: HardwareIdentity([]byte{2, 0, 0, 0, byte(i >> 8), byte(i)})}, Profile: "p", Once: true}
		}
		mustCreate(t, s.Catalogue, ds...)
		if m.bulks > 1 {
			t.Errorf("%d writes for one call", m.bulks)
		}
		m.before = func([]store.Txn) { time.Sleep(10 * time.Millisecond) } // a disk
		start, began := m.bulks, time.Now()
		var wg sync.WaitGroup
		for i := range ds {
			wg.Add(1)
			go func() {
				defer wg.Done()
				mac := ds[i].Target.MAC
				if err := s.Act(t.Context(), RunID{ds[i].ID, mac}, lastBlock(mac, "1"), time.Now()); err != nil {
					t.Error(err)
				}
			}()
		}
		wg.Wait()
		if n := m.bulks - start; n > 5 || time.Since(began) > 100*time.Millisecond {
			t.Errorf("%d writes, %v", n, time.Since(began))
		}
	})
}
