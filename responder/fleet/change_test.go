package fleet

import (
	"testing"
	"time"
)

// spread lets member i see a change i times 300 ms late, which is worse than a second.
func spread(i int) time.Duration { return time.Duration(i) * 300 * time.Millisecond }

// answered plays a machine's DISCOVERs from a moment on, with what each member
// knows at that time, and returns the number of the first that is answered.
func answered(t *testing.T, start time.Duration, k Key, views func(at time.Duration) []*View) int {
	t.Helper()
	at := start
	for n, wait := 1, 4*time.Second; n <= 5; n, wait = n+1, 2*wait { // as PXE's firmware does
		for _, v := range views(at) {
			if v != nil && v.Answers(k, n) {
				return n
			}
		}
		at += wait
	}
	t.Fatalf("a machine that starts at %v is never answered", start)
	return 0
}

// everyMoment calls test with machines and moments around a change at 0.
func everyMoment(test func(at time.Duration, k Key)) {
	for i := range 200 {
		for at := -8 * time.Second; at < 12*time.Second; at += 370 * time.Millisecond {
			test(at, KeyOf(fleets["random"](i)))
		}
	}
}

// A member dies at 0, and the others see its lease gone 5 seconds and more later:
// none of its machines misses more than one DISCOVER, and no other one misses any.
func TestDeath(t *testing.T) {
	all := members(4)
	before := view(all, 0)
	const ttl = 5 * time.Second
	missed := 0
	everyMoment(func(at time.Duration, k Key) {
		n := answered(t, at, k, func(at time.Duration) (views []*View) {
			for i := range all {
				switch {
				case i == 3 && at >= 0: // dead
				case at >= ttl+spread(i):
					views = append(views, NewView(all[i], all[:3]))
				default:
					views = append(views, view(all, i))
				}
			}
			return views
		})
		owned := before.Owner(k).Name == "boot4"
		if n > 2 || n > 1 && !owned {
			t.Fatalf("a machine that starts at %v is answered at DISCOVER %d; it is the dead one's: %v", at, n, owned)
		}
		if n > 1 {
			missed++
		}
	})
	if missed == 0 {
		t.Error("nobody noticed")
	}
}

// Two die at once: two DISCOVERs.
func TestTwoDeaths(t *testing.T) {
	all := members(4)
	everyMoment(func(at time.Duration, k Key) {
		if n := answered(t, at, k, func(at time.Duration) []*View {
			if at >= 0 {
				return []*View{view(all, 0), view(all, 1)}
			}
			return []*View{view(all, 0), view(all, 1), view(all, 2), view(all, 3)}
		}); n > 3 {
			t.Fatal(n)
		}
	})
}

// A member says at 0 that it drains: no machine misses any DISCOVER.
func TestDrain(t *testing.T) {
	all := members(4)
	drained := append(members(3), Member{Name: "boot4", Draining: true})
	everyMoment(func(at time.Duration, k Key) {
		if n := answered(t, at, k, func(at time.Duration) (views []*View) {
			for i := range all {
				if i == 3 && at >= Grace || i != 3 && at >= spread(i) {
					views = append(views, NewView(drained[i], drained))
				} else {
					views = append(views, view(all, i))
				}
			}
			return views
		}); n != 1 {
			t.Fatalf("a machine that starts at %v is answered at DISCOVER %d", at, n)
		}
	})
	// Without the grace some would be missed: the test can fail.
	worst := 0
	everyMoment(func(at time.Duration, k Key) {
		worst = max(worst, answered(t, at, k, func(at time.Duration) (views []*View) {
			for i := range all {
				if at >= 0 && (i == 3 || at >= spread(i)) {
					views = append(views, NewView(drained[i], drained))
				} else {
					views = append(views, view(all, i))
				}
			}
			return views
		}))
	})
	if worst != 2 {
		t.Errorf("without grace the worst is DISCOVER %d", worst)
	}
}

// A member joins: it counts itself in before the others can hear of it.
func TestJoin(t *testing.T) {
	all := members(4)
	everyMoment(func(at time.Duration, k Key) {
		if n := answered(t, at, k, func(at time.Duration) (views []*View) {
			for i := range all {
				switch {
				case i == 3 && at >= 0, i != 3 && at >= spread(i):
					views = append(views, view(all, i))
				case i != 3:
					views = append(views, NewView(all[i], all[:3]))
				}
			}
			return views
		}); n != 1 {
			t.Fatalf("a machine that starts at %v is answered at DISCOVER %d", at, n)
		}
	})
}
