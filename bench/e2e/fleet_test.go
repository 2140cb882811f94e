package e2e

import (
	"context"
	"net/netip"
	"testing"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
)

// count adds up the requests of a stage that daemons have had, and those that they
// answered.
func count(ctx context.Context, t *testing.T, daemons []*lab.Daemon, stage string) (seen, answered uint64) {
	t.Helper()
	for _, d := range daemons {
		st, err := d.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range st.Requests {
			if r.Stage != stage {
				continue
			}
			seen += r.Count
			if r.Reason == "answered" {
				answered += r.Count
			}
		}
	}
	return seen, answered
}

// A fleet of four divides a thousand machines: each has its answer at its first
// DISCOVER, from one server. When one is killed, its machines have theirs by the
// second, and the others notice nothing. When one drains, nobody notices.
func TestFleet(t *testing.T) {
	labtest.Need(t, false)
	t.Parallel()
	ctx := labtest.Context(t, patience)
	l := labtest.New(t)
	r, err := l.NewRack(ctx, lab.Flat)
	if err != nil {
		t.Fatal(err)
	}
	root, err := l.MakeRoot()
	if err != nil {
		t.Fatal(err)
	}
	daemons := fleet(ctx, t, r, root, 4, lab.ServeEveryone)
	h := newHerd(t, r, 1000)
	var all []int
	for i := range h.asked {
		all = append(all, i)
	}
	answered := func(machines []int) func() bool {
		return func() bool { return len(h.without(machines)) == 0 }
	}

	h.ask(ctx, all, func() bool {
		seen, _ := count(ctx, t, daemons, "discover")
		return seen >= uint64(len(daemons)*len(all)) && answered(all)()
	})
	owner := make([]netip.Addr, len(all))
	owned := map[netip.Addr]int{}
	for i, offers := range h.offers {
		if len(offers) != 1 {
			t.Fatalf("machine %d has offers from %v at its first DISCOVER", i, offers)
		}
		owner[i] = offers[0]
		owned[owner[i]]++
	}
	if _, n := count(ctx, t, daemons, "discover"); n != uint64(len(all)) || len(owned) != len(daemons) {
		t.Errorf("%d answers for %d machines, by %v", n, len(all), owned)
	}
	t.Log(owned)
	choosing(ctx, t, h, all, daemons)

	victim, daemons := daemons[3], daemons[:3]
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	var its, others []int
	for i := range all {
		if owner[i] == victim.Node.Addr {
			its = append(its, i)
		} else {
			others = append(others, i)
		}
	}
	h.forget()
	h.dead = victim.Node.Addr
	h.ask(ctx, all, answered(others))
	for _, i := range others {
		if len(h.offers[i]) != 1 || h.offers[i][0] != owner[i] {
			t.Fatalf("machine %d is %v's, which lives, and has offers from %v", i, owner[i], h.offers[i])
		}
	}
	again := h.without(its)
	h.ask(ctx, again, answered(again))
	if left := h.without(all); len(left) > 0 {
		t.Errorf("%d machines of %d need a third DISCOVER", len(left), len(its))
	}
	// Those that do not came after the dead one's lease had ended.
	t.Logf("%d of %d machines of the dead needed a second DISCOVER", len(again), len(its))
	choosing(ctx, t, h, all, daemons)

	for _, d := range daemons {
		awaitMembers(ctx, t, d, len(daemons))
	}
	drained := daemons[0]
	done := make(chan error, 1)
	go func() {
		_, err := drained.Tell(ctx, "members", "drain")
		done <- err
	}()
	rounds := 0
	for ; len(done) == 0; rounds++ {
		some := all[rounds%5*200:][:200]
		h.forget()
		h.ask(ctx, some, answered(some))
		if left := h.without(some); len(left) > 0 {
			t.Fatalf("round %d: %d machines are not answered at their first DISCOVER while a server drains", rounds, len(left))
		}
		choosing(ctx, t, h, some, daemons)
	}
	if err := <-done; err != nil || rounds == 0 {
		t.Fatalf("drained in %d rounds: %v", rounds, err)
	}
	h.forget()
	h.ask(ctx, all, answered(all))
	for i, offers := range h.offers {
		if len(offers) != 1 || offers[0] == drained.Node.Addr {
			t.Fatalf("machine %d has offers from %v", i, offers)
		}
	}
}

// choosing has machines choose, and waits until all daemons have heard it.
func choosing(ctx context.Context, t *testing.T, h *herd, machines []int, daemons []*lab.Daemon) {
	t.Helper()
	before, _ := count(ctx, t, daemons, "other")
	h.choose(machines)
	for {
		seen, _ := count(ctx, t, daemons, "other")
		if seen >= before+uint64(len(daemons)*len(machines)) {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%d DHCPREQUESTs of %d came to the servers", seen-before, len(daemons)*len(machines))
		}
		h.hear(askEvery)
	}
}
