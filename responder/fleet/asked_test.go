package fleet

import (
	"testing"
	"time"
)

func TestAsked(t *testing.T) {
	const ms, s = time.Millisecond, time.Second
	start := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	type discover struct {
		at   time.Duration
		want int
	}
	for name, tries := range map[string][]discover{
		"firmware":         {{0, 1}, {4 * s, 2}, {12 * s, 3}, {28 * s, 4}, {60 * s, 5}},
		"iPXE":             {{0, 1}, {1 * s, 2}, {3 * s, 3}, {7 * s, 4}},
		"by two relays":    {{0, 1}, {3 * ms, 1}, {4 * s, 2}, {4*s + 9*ms, 2}},
		"many copies":      {{0, 1}, {200 * ms, 1}, {400 * ms, 1}, {600 * ms, 2}}, // not once for ever
		"another day":      {{0, 1}, {4 * s, 2}, {65 * s, 1}, {69 * s, 2}},
		"clock goes back":  {{10 * s, 1}, {0, 1}, {11 * s, 2}},
		"long, then often": {{0, 1}, {59 * s, 2}, {118 * s, 3}, {177 * s, 4}},
	} {
		a := NewAsked()
		for _, d := range tries {
			if got := a.Discover(start.Add(d.at), 1, false); got != d.want {
				t.Errorf("%s: %v: %d, want %d", name, d.at, got, d.want)
			}
			a.Discover(start.Add(d.at), 2, false) // others do not matter
		}
	}
}

func TestAskedStages(t *testing.T) {
	a, now := NewAsked(), time.Now()
	a.Discover(now, 1, false)
	if n := a.Discover(now.Add(5*time.Second), 1, true); n != 1 {
		t.Error("iPXE's first DISCOVER is number", n)
	}
	if n := a.Discover(now.Add(5*time.Second), 1, false); n != 2 {
		t.Error("the firmware's second DISCOVER is number", n)
	}
	a.Answered(1)
	for _, ipxe := range []bool{false, true} {
		if n := a.Discover(now.Add(10*time.Second), 1, ipxe); n != 1 {
			t.Error("after an answer the first DISCOVER is number", n)
		}
	}
}

// A flood of addresses takes a bounded memory, and a client still gets on.
func TestAskedBounded(t *testing.T) {
	a, now := NewAsked(), time.Now()
	for i := range 10 * maxClients {
		a.Discover(now, Key(i), false)
		if len(a.now) > maxClients || len(a.old) > maxClients {
			t.Fatal(len(a.now), len(a.old))
		}
	}
	// Half of the bound later it is still known; also over a turn of the halves.
	a = NewAsked()
	a.Discover(now, 1, false)
	for i := range maxClients {
		a.Discover(now, Key(1000+i), false)
	}
	if n := a.Discover(now.Add(4*time.Second), 1, false); n != 2 {
		t.Error(n)
	}
}
