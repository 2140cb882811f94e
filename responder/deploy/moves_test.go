package deploy

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// moved is what a server was told of.
type moved struct {
	mu  sync.Mutex
	all []string
}

func (m *moved) take(c *Config) {
	c.Moved = func(mv Move) {
		m.mu.Lock()
		defer m.mu.Unlock()
		s := fmt.Sprint(mv.Run.ID, " ", mv.Run.Machine, " ", mv.Profile, " ", mv.Now.State, " ", mv.Now.Reason)
		if mv.Deleted {
			s += "deleted"
		}
		m.all = append(m.all, s)
	}
}

func (m *moved) want(t *testing.T, who string, want ...string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Equal(m.all, want) {
		t.Errorf("%s was told\n%q\nwant\n%q", who, m.all, want)
	}
	m.all = nil
}

// TestMoved: every step of a deployment is told, on all servers, once and in
// order, and nothing of what is found at the start.
func TestMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a, b := newMemStore(), id(t, macA), id(t, macB)
		var here, there, late moved
		one, other := start(t, m, here.take).ready(), start(t, m, there.take).ready()
		both := func(want ...string) {
			t.Helper()
			time.Sleep(2 * flushEvery)
			here.want(t, "who did it", want...)
			there.want(t, "the other", want...)
		}
		mustCreate(t, one.Catalogue, onceFor(a))
		both("once " + macA + " winpe waiting ")
		run, e := RunID{"once", a}, lastBlock(a, "1")
		for _, k := range []EventKind{Asked, Began} {
			e.Kind = k
			one.Note(run, e, time.Now())
			time.Sleep(2 * flushEvery)
		}
		both("once "+macA+" winpe offered ", "once "+macA+" winpe loading ")
		if err := one.Act(t.Context(), run, lastBlock(a, "1"), time.Now()); err != nil {
			t.Fatal(err)
		}
		both("once " + macA + " winpe loading the last block of boot.efi goes out")
		e.Kind = Fetched
		one.Note(run, e, time.Now())
		both("once " + macA + " winpe done boot.efi fetched")

		start(t, m, late.take).ready()
		mustCreate(t, other.Catalogue, Deployment{ID: "stand", Target: Target{MAC: b}, Profile: "linux"})
		if err := other.Cancel(t.Context(), "stand", 0, "ann", "", time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := other.Delete(t.Context(), "stand", 0, time.Now()); err != nil {
			t.Fatal(err)
		}
		both("stand "+macB+" linux waiting ", "stand "+macB+" linux cancelled by ann", "stand "+macB+" linux cancelled by anndeleted")
		late.want(t, "who came late", "stand "+macB+" linux waiting ", "stand "+macB+" linux cancelled by ann", "stand "+macB+" linux cancelled by anndeleted")

		if err := one.PutGroup(t.Context(), "lab", 0, "", "ann", time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := one.AddMembers(t.Context(), "lab", []Identity{a, b}); err != nil {
			t.Fatal(err)
		}
		mustCreate(t, one.Catalogue, Deployment{ID: "all", Target: Target{Group: "lab"}, Profile: "p"})
		both("all  p waiting ") // of all of the group
		one.Note(RunID{"all", b}, Event{Kind: Asked, Address: b}, time.Now())
		both("all " + macB + " p offered ")
	})
}

// TestMovedMeanwhile: what was missed is told once everything is read anew, and
// nothing that was known.
func TestMovedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a, b := newMemStore(), id(t, macA), id(t, macB)
		var there moved
		one := start(t, m).ready()
		start(t, m, there.take).ready()
		mustCreate(t, one.Catalogue, onceFor(a))
		synctest.Wait()
		there.want(t, "the other", "once "+macA+" winpe waiting ")
		m.forget() // the watch is lost, and everything read again after a moment
		mustCreate(t, one.Catalogue, Deployment{ID: "stand", Target: Target{MAC: b}, Profile: "linux"})
		if err := one.Act(t.Context(), RunID{"once", a}, lastBlock(a, "1"), time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		there.want(t, "the other", "stand "+macB+" linux waiting ", "once "+macA+" winpe loading the last block of boot.efi goes out")
	})
}
