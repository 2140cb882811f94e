package deploy

import (
	"errors"
	"maps"
	"testing"
	"testing/synctest"
	"time"
)

// A group's deployment counts as the machine that needs most attention, and what
// the clock decides counts as well. Bounds can be other ones later.
func TestStatesAndBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, newMemStore()).ready()
		a, b := id(t, macA), id(t, "52:54:00:00:00:0b")
		if err := s.PutGroup(t.Context(), "rack", 0, "", "", time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := s.AddMembers(t.Context(), "rack", []Identity{a, b}); err != nil {
			t.Fatal(err)
		}
		mustCreate(t, s.Catalogue,
			Deployment{ID: "waits", Target: Target{MAC: a}, Profile: "p"},
			Deployment{ID: "ends", Target: Target{MAC: a}, Profile: "p", NotAfter: time.Now().Add(time.Hour)},
			Deployment{ID: "all", Target: Target{Group: "rack"}, Profile: "p", Once: true})
		if err := s.Act(t.Context(), RunID{"all", b}, lastBlock(b, "x"), time.Now()); err != nil {
			t.Fatal(err)
		}
		want := map[State]int{Waiting: 2, s.Snapshot().Run(RunID{"all", b}, time.Now()).State: 1}
		if got := s.Snapshot().States(time.Now()); !maps.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		want = map[State]int{Waiting: 1, Expired: 1, Failed: 1} // nobody confirmed the last block
		if got := s.Snapshot().States(time.Now().Add(2 * time.Hour)); !maps.Equal(got, want) {
			t.Errorf("later %v, want %v", got, want)
		}

		s.SetBounds(0, Limits{Deployments: 3})
		if _, err := s.Create(t.Context(), []Deployment{{Target: Target{MAC: a}, Profile: "p"}}, time.Now()); !errors.Is(err, ErrLimit) {
			t.Errorf("a fourth: %v", err)
		}
		s.SetBounds(0, Limits{})
		mustCreate(t, s.Catalogue, Deployment{Target: Target{MAC: a}, Profile: "p"})
	})
}
