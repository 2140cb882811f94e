package loader

import (
	"math/bits"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bpf"
)

func TestBudgetLimits(t *testing.T) {
	for _, c := range []struct {
		budget     Budget
		all, known bpf.Limit
	}{
		{Budget{}, bpf.Limit{}, bpf.Limit{}},
		{Budget{Rate{0, 10}, 50}, bpf.Limit{}, bpf.Limit{}},
		{Budget{Rate{1000, 2000}, 0}, bpf.Limit{Cost: 1e6, Depth: 2e9}, bpf.NoTokens},
		{Budget{Rate{1000, 2000}, 50}, bpf.Limit{Cost: 2e6, Depth: 2e9}, bpf.Limit{Cost: 2e6, Depth: 2e9}},
		{Budget{Rate{1000, 1000}, 75}, bpf.Limit{Cost: 4e6, Depth: 1e9}, bpf.Limit{Cost: 1333333, Depth: 999999750}},
		{Budget{Rate{10, 1}, 50}, bpf.Limit{Cost: 2e8, Depth: 2e8}, bpf.Limit{Cost: 2e8, Depth: 2e8}}, // a bucket for half a token would never have one
		{Budget{Rate{10, 0}, 50}, bpf.NoTokens, bpf.NoTokens},
		{Budget{Rate{2e9, 4e9}, 0}, bpf.Limit{Cost: 1, Depth: 4e9}, bpf.NoTokens},
	} {
		if all, known := c.budget.limits(); all != c.all || known != c.known {
			t.Errorf("%+v: %+v, %+v, want %+v, %+v", c.budget, all, known, c.all, c.known)
		}
	}
}

func TestGuardOptions(t *testing.T) {
	for _, n := range []int{-1, 512, 1 << 31, 3000} {
		if _, err := (Options{Iface: "x", GuardFilter: n}).withDefaults(); err == nil {
			t.Errorf("a filter of %d bytes", n)
		}
	}
	o, err := Options{Iface: "x"}.withDefaults()
	if err != nil || o.GuardFilter != 8<<20 || o.GuardSources != 1<<16 || bits.OnesCount(uint(o.GuardFilter)) != 1 {
		t.Errorf("%+v, %v", o, err)
	}
}

// Options make the tables, settings come and go while the program runs, and
// what is refused can be told from samples.
func TestGuardOnTheWire(t *testing.T) {
	r := newRig(t, 1)
	d := r.open(t, Options{Datapath: Ringbuf, GuardFilter: 4096, GuardSources: 100})
	if n := d.coll.Maps[bpf.FilterMap].MaxEntries(); n != 256 {
		t.Errorf("filter of %d entries, want 256", n)
	}
	if n := d.coll.Maps[bpf.SourcesMap].MaxEntries(); n != 100 {
		t.Errorf("%d sources, want 100", n)
	}
	r.recorded(t, d, discover(1)) // no guard so far

	nothing := Budget{Rate{1, 0}, 0}
	g := Guard{On: true, Requests: nothing}
	if err := d.SetGuard(g); err != nil {
		t.Fatal(err)
	}
	r.client.Send(t, discover(2).frame())
	g.Requests = Budget{}
	for end := time.Now().Add(patience); counts(t, d)["guard_requests"] == 0; {
		if time.Now().After(end) {
			t.Fatalf("not refused; counters %v", counts(t, d))
		}
	}
	r.hidden(t, 2)
	var got []Refusal
	if err := d.Refused(func(r Refusal) { got = append(got, r) }); err != nil {
		t.Fatal(err)
	}
	want := []Refusal{{Reason: "guard_requests", MAC: clientMAC, Src: netip.IPv4Unspecified(), Client: [16]byte(append(clientMAC[:], make([]byte, 10)...))}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("refused %+v\nwant %+v", got, want)
	}
	if err := d.SetGuard(g); err != nil {
		t.Fatal(err)
	}
	r.recorded(t, d, discover(3))
	if err := d.SetGuard(Guard{Requests: nothing}); err != nil {
		t.Fatal(err)
	}
	r.recorded(t, d, discover(4))
	for _, reason := range []string{"guard_requests", "withheld_source", "guard_tftp"} {
		if !Refused(reason) {
			t.Errorf("%s is the guard's", reason)
		}
	}
	if Refused("redirected") || Refused("") {
		t.Error("not the guard's")
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Refused(func(Refusal) { t.Error("after close") }); err != nil {
		t.Error(err)
	}
	if err := d.SetGuard(g); err != nil {
		t.Error(err)
	}
}

// Who asked a daemon that has ended is known to its successor, and its guard
// holds until the successor says otherwise.
func TestGuardTakenOver(t *testing.T) {
	r := newRig(t, 1)
	o := Options{Datapath: Ringbuf, PinDir: bpffs(t)}
	first := r.open(t, o)
	share := Guard{On: true, Requests: Budget{Rate{1, 0}, 0}}
	if err := first.SetGuard(share); err != nil {
		t.Fatal(err)
	}
	seed := first.guardSeed
	if err := first.HandOver(); err != nil {
		t.Fatal(err)
	}
	second := r.open(t, o)
	if !second.Info().TookOver || second.guardSeed != seed {
		t.Errorf("took over: %v; seed %#x, was %#x", second.Info().TookOver, second.guardSeed, seed)
	}
	var g bpf.Guard
	if err := second.coll.Maps[bpf.GuardMap].Lookup(uint32(0), &g); err != nil || g.On != 1 || g.Seed != seed {
		t.Errorf("%+v, %v", g, err)
	}
	if err := second.HandOver(); err != nil {
		t.Fatal(err)
	}
	// Tables of another size are others, with a seed of their own.
	o.GuardFilter = 1 << 20
	third := r.open(t, o)
	if third.guardSeed == seed || third.guardSeed == 0 {
		t.Errorf("seed %#x", third.guardSeed)
	}
}
