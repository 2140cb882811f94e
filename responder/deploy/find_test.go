package deploy

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/store"
)

// feed makes changes, each of the next revision.
type feed struct {
	rev     store.Rev
	changes []store.Change
}

func (f *feed) put(key string, record any) {
	f.rev++
	w := put(key, record)
	f.changes = append(f.changes, store.Change{Key: key, Value: w.Value, Rev: f.rev})
}

func (f *feed) remove(key string) {
	f.rev++
	f.changes = append(f.changes, store.Change{Key: key, Rev: f.rev, Deleted: true})
}

func (f *feed) deployment(d Deployment) {
	if d.Created.IsZero() {
		d.Created = t0.Add(time.Duration(f.rev) * time.Second)
	}
	if d.Once && d.Milestone.On == "" {
		d.Milestone.On = OnNBP
	}
	f.put(deploymentKey(d.ID), d)
}

func (f *feed) snapshot() *Snapshot {
	s := newSnapshot()
	s.loaded, s.available = true, true
	s, _ = s.with(f.changes)
	return s
}

func client(mac, uuid Identity) Client {
	return Client{MAC: mac.Bytes(), UUID: uuid.Bytes()}
}

func TestFind(t *testing.T) {
	a, u := id(t, macA), id(t, uuidA)
	toA, toU := Target{MAC: a}, Target{UUID: u}
	now := t0.Add(time.Hour)
	used := Run{State: Done, Since: t0, Consumed: t0}
	for name, tc := range map[string]struct {
		make    func(*feed)
		why     Why
		profile string
		by      string // deployment
	}{
		"a stranger":     {func(f *feed) {}, Unknown, "", ""},
		"by address":     {func(f *feed) { f.deployment(Deployment{ID: "d", Target: toA, Profile: "p"}) }, Deployed, "p", "d"},
		"by UUID":        {func(f *feed) { f.deployment(Deployment{ID: "d", Target: toU, Profile: "p"}) }, Deployed, "p", "d"},
		"by swapped one": {func(f *feed) { f.deployment(Deployment{ID: "d", Target: Target{UUID: id(t, swappedA)}, Profile: "p"}) }, Deployed, "p", "d"},
		"by group": {func(f *feed) {
			f.put(memberKey("g", u), struct{}{})
			f.deployment(Deployment{ID: "d", Target: Target{Group: "g"}, Profile: "p", Once: true})
		}, Deployed, "p", "d"},
		"group used up by it": {func(f *feed) {
			f.put(memberKey("g", a), struct{}{})
			f.deployment(Deployment{ID: "d", Target: Target{Group: "g"}, Profile: "p", Once: true})
			f.put(runKey(RunID{"d", a}), used)
		}, UsedUp, "", "d"},
		"group used up by another": {func(f *feed) {
			f.put(memberKey("g", a), struct{}{})
			f.put(memberKey("g", id(t, macB)), struct{}{})
			f.deployment(Deployment{ID: "d", Target: Target{Group: "g"}, Profile: "p", Once: true})
			f.put(runKey(RunID{"d", id(t, macB)}), used)
		}, Deployed, "p", "d"},
		"no member any more": {func(f *feed) {
			f.put(memberKey("g", a), struct{}{})
			f.deployment(Deployment{ID: "d", Target: Target{Group: "g"}, Profile: "p"})
			f.remove(memberKey("g", a))
		}, Unknown, "", ""},
		"once before standing, its group's before its own": {func(f *feed) {
			f.deployment(Deployment{ID: "d1", Target: toA, Profile: "local"})
			f.put(memberKey("g", a), struct{}{})
			f.deployment(Deployment{ID: "d2", Target: Target{Group: "g"}, Profile: "install", Once: true})
		}, Deployed, "install", "d2"},
		"used up, so the standing one": {func(f *feed) {
			f.deployment(Deployment{ID: "d1", Target: toA, Profile: "local"})
			f.deployment(Deployment{ID: "d2", Target: toA, Profile: "install", Once: true})
			f.put(runKey(RunID{"d2", a}), used)
		}, Deployed, "local", "d1"},
		"the last word counts": {func(f *feed) {
			f.deployment(Deployment{ID: "d1", Target: toA, Profile: "old"})
			f.deployment(Deployment{ID: "d0", Target: toA, Profile: "new"})
		}, Deployed, "new", "d0"},
		"address before UUID": {func(f *feed) {
			f.deployment(Deployment{ID: "d1", Target: toA, Profile: "mac"})
			f.deployment(Deployment{ID: "d2", Target: toU, Profile: "uuid"})
		}, Deployed, "mac", "d1"},
		"used up": {func(f *feed) {
			f.deployment(Deployment{ID: "d", Target: toA, Profile: "p", Once: true})
			f.put(runKey(RunID{"d", a}), used)
		}, UsedUp, "", "d"},
		"armed again": {func(f *feed) {
			f.deployment(Deployment{ID: "d", Target: toA, Profile: "p", Once: true})
			f.put(runKey(RunID{"d", a}), used)
			f.put(runKey(RunID{"d", a}), Run{State: Waiting, Since: t0})
		}, Deployed, "p", "d"},
		"failed": {func(f *feed) {
			f.deployment(Deployment{ID: "d", Target: toA, Profile: "p", Once: true})
			f.put(runKey(RunID{"d", a}), Run{State: Failed, Since: t0})
		}, HasFailed, "", "d"},
		"never confirmed": {func(f *feed) {
			f.deployment(Deployment{ID: "d", Target: toA, Profile: "p", Once: true})
			f.put(runKey(RunID{"d", a}), Run{State: Loading, Since: t0, Consumed: t0})
		}, HasFailed, "", "d"},
		"standing, and the installer failed": {func(f *feed) {
			f.deployment(Deployment{ID: "d", Target: toA, Profile: "p"})
			f.put(runKey(RunID{"d", a}), Run{State: Failed, Since: t0})
		}, Deployed, "p", "d"},
		"cancelled": {func(f *feed) {
			f.deployment(Deployment{ID: "d", Target: toA, Profile: "p", Cancelled: &Mark{Time: t0}})
		}, WasCancelled, "", "d"},
		"too early": {func(f *feed) {
			f.deployment(Deployment{ID: "d", Target: toA, Profile: "p", NotBefore: now.Add(1)})
		}, TooEarly, "", "d"},
		"too late": {func(f *feed) {
			f.deployment(Deployment{ID: "d", Target: toA, Profile: "p", NotAfter: now})
		}, TooLate, "", "d"},
		"another loads it": {func(f *feed) {
			f.deployment(Deployment{ID: "d", Target: toU, Profile: "p", Once: true})
			f.put(runKey(RunID{"d", u.key()}), Run{State: Loading, Address: id(t, macB), Since: now, Updated: now})
		}, OtherLoads, "", "d"},
		"deleted": {func(f *feed) {
			f.deployment(Deployment{ID: "d", Target: toA, Profile: "p"})
			f.remove(deploymentKey("d"))
		}, Unknown, "", ""},
		"held": {func(f *feed) { f.put(machineKey(a), Machine{ID: a, Held: true}) }, Held, "", ""},
		"held, and deployed all the same": {func(f *feed) {
			f.put(machineKey(a), Machine{ID: a, Held: true})
			f.deployment(Deployment{ID: "d", Target: toA, Profile: "p"})
		}, Deployed, "p", "d"},
		"seen":      {func(f *feed) { f.put(machineKey(a), Machine{ID: a}) }, Unknown, "", ""},
		"described": {func(f *feed) { f.put(machineKey(a), Machine{ID: a, Name: "db1"}) }, NothingDeployed, "", ""},
		"approved by UUID": {func(f *feed) {
			f.put(machineKey(a), Machine{ID: a, Held: true})
			f.put(machineKey(u), Machine{ID: u, Approved: &Approval{}})
		}, Approved, "", ""},
		"approved": {func(f *feed) {
			f.put(machineKey(a), Machine{ID: a, Approved: &Approval{Profile: "first"}})
		}, Approved, "first", ""},
		"ignored by address": {func(f *feed) {
			f.deployment(Deployment{ID: "d", Target: toA, Profile: "p"})
			f.put(ignoredKey(Pattern{Machine: a}), Ignored{Pattern: Pattern{Machine: a}})
		}, IsIgnored, "", ""},
		"ignored by UUID": {func(f *feed) {
			f.put(ignoredKey(Pattern{Machine: u}), Ignored{Pattern: Pattern{Machine: u}})
		}, IsIgnored, "", ""},
		"ignored by vendor": {func(f *feed) {
			f.put(ignoredKey(Pattern{OUI: [3]byte{0x52, 0x54}}), Ignored{Pattern: Pattern{OUI: [3]byte{0x52, 0x54}}})
		}, IsIgnored, "", ""},
		"ignored no more": {func(f *feed) {
			p := Pattern{OUI: [3]byte{0x52, 0x54}}
			f.put(ignoredKey(p), Ignored{Pattern: p})
			f.remove(ignoredKey(p))
		}, Unknown, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var f feed
			tc.make(&f)
			s := f.snapshot()
			for _, p := range s.Problems(10) {
				t.Errorf("problem %+v", p)
			}
			got := s.Find(client(a, u), now)
			by := ""
			if got.Deployment != nil {
				by = got.Deployment.ID
			}
			if got.Why != tc.why || got.Profile != tc.profile || by != tc.by {
				t.Errorf("%s, profile %q by %q; want %s, %q by %q\n%v", got.Why, got.Profile, by, tc.why, tc.profile, tc.by, s.Explain(client(a, u), now))
			}
			steps := s.Explain(client(a, u), now)
			if last := steps[len(steps)-1]; last.OK != (tc.why == Deployed || tc.why == Approved) || last.Detail == "" {
				t.Errorf("explained as %v", steps)
			}
		})
	}
}

// TestUntil: an answer says when the clock alone makes it another.
func TestUntil(t *testing.T) {
	a := id(t, macA)
	var f feed
	f.deployment(Deployment{ID: "d1", Target: Target{MAC: a}, Profile: "standing"})
	f.deployment(Deployment{ID: "d2", Target: Target{MAC: a}, Profile: "window", Once: true, NotBefore: t0.Add(time.Hour), NotAfter: t0.Add(2 * time.Hour)})
	s := f.snapshot()
	now := t0
	for _, want := range []struct {
		profile string
		until   time.Time
	}{{"standing", t0.Add(time.Hour)}, {"window", t0.Add(2 * time.Hour)}, {"standing", time.Time{}}} {
		got := s.Find(Client{MAC: a.Bytes()}, now)
		if got.Profile != want.profile || !got.Until.Equal(want.until) {
			t.Fatalf("at %v: %s until %v, want %s until %v", now, got.Profile, got.Until, want.profile, want.until)
		}
		now = got.Until
	}
}

// TestStoreGone: standing decisions go on, once-deployments are not given.
func TestStoreGone(t *testing.T) {
	a, b := id(t, macA), id(t, macB)
	var f feed
	f.deployment(Deployment{ID: "d1", Target: Target{MAC: a}, Profile: "standing"})
	f.deployment(Deployment{ID: "d2", Target: Target{MAC: a}, Profile: "once", Once: true})
	f.deployment(Deployment{ID: "d3", Target: Target{MAC: b}, Profile: "once", Once: true})
	s := f.snapshot()
	s.available = false
	if got := s.Find(Client{MAC: a.Bytes()}, t0); got.Profile != "standing" {
		t.Errorf("%+v", got)
	}
	if got := s.Find(Client{MAC: b.Bytes()}, t0); got.Why != StoreGone || got.Deployment.ID != "d3" {
		t.Errorf("%+v", got)
	}
	if got := newSnapshot().Find(Client{MAC: b.Bytes()}, t0); got.Why != NotLoaded {
		t.Errorf("before the store is read: %+v", got)
	}
}

// TestUnreadable: a record that cannot be read is reported and not there, and
// the runs of its deployment are not forgotten: repaired, it is not run twice.
func TestUnreadable(t *testing.T) {
	a := id(t, macA)
	var f feed
	d := Deployment{ID: "d", Target: Target{MAC: a}, Profile: "p", Once: true}
	f.deployment(d)
	f.put(runKey(RunID{"d", a}), Run{State: Done, Since: t0, Consumed: t0})
	for _, bad := range []string{"{", `{"id":"other"}`, `{"id":"d","target":{"mac":"zz"}}`, `[]`} {
		f.rev++
		f.changes = append(f.changes, store.Change{Key: deploymentKey("d"), Value: []byte(bad), Rev: f.rev})
		s := f.snapshot()
		if p := s.Problems(9); len(p) != 1 || p[0].Key != deploymentKey("d") {
			t.Errorf("%s: problems %v", bad, p)
		}
		if got := s.Find(Client{MAC: a.Bytes()}, t0); got.Why != Unknown {
			t.Errorf("%s: %+v", bad, got)
		}
	}
	f.deployment(d)
	s := f.snapshot()
	if got := s.Find(Client{MAC: a.Bytes()}, t0); got.Why != UsedUp || s.problems.n != 0 {
		t.Errorf("repaired: %+v, problems %v", got, s.Problems(9))
	}
	for _, key := range []string{"deploy/dream/x", "deploy/run/d", "deploy/machine/zz", "deploy/group/UPPER/", "deploy/x"} {
		f.rev++
		f.changes = append(f.changes, store.Change{Key: key, Value: []byte("{}"), Rev: f.rev})
	}
	if s := f.snapshot(); s.problems.n != 5 {
		t.Errorf("problems %v", s.Problems(9))
	}
}

func TestDuplicates(t *testing.T) {
	a, b, u := id(t, macA), id(t, macB), id(t, uuidA)
	var f feed
	f.put(machineKey(a), Machine{ID: a, UUID: u})
	f.put(machineKey(b), Machine{ID: b, UUID: id(t, swappedA)})
	s := f.snapshot()
	if got := s.Duplicates(); len(got) != 1 || !slices.Equal(got[0].Machines, []Identity{a, b}) {
		t.Errorf("%v", got)
	}
	if m, _ := s.Machine(a); !slices.Equal(m.Shared, []Identity{b}) {
		t.Errorf("%+v", m)
	}
	if steps := s.Explain(client(a, u), t0); len(steps) < 2 || steps[0].Subject != "uuid "+uuidA {
		t.Errorf("not told: %v", steps)
	}
	f.put(machineKey(b), Machine{ID: b})
	if got := f.snapshot().Duplicates(); got != nil {
		t.Errorf("%v", got)
	}
}

// TestIncremental: any order of changes, in any portions, ends in what the
// last of each key say; and Explain ends as Find does.
func TestIncremental(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	machines := []Identity{id(t, macA), id(t, macB), id(t, uuidA), id(t, "00:25:90:00:00:01")}
	pick := func() Identity { return machines[r.IntN(len(machines))] }
	target := func() Target {
		switch m := pick(); {
		case r.IntN(3) == 0:
			return Target{Group: fmt.Sprintf("g%d", r.IntN(2))}
		case m.IsUUID():
			return Target{UUID: m}
		default:
			return Target{MAC: m}
		}
	}
	for range 60 {
		var f feed
		now := f.snapshot()
		for range 60 {
			before := len(f.changes)
			d := fmt.Sprintf("d%d", r.IntN(4))
			gone := r.IntN(4) == 0
			change := func(key string, record any) {
				if gone {
					f.remove(key)
				} else {
					f.put(key, record)
				}
			}
			switch r.IntN(6) {
			case 0, 1:
				dep := Deployment{ID: d, Target: target(), Profile: "p", Once: r.IntN(2) == 0, Milestone: Milestone{On: OnNBP}, Created: t0.Add(time.Duration(r.IntN(100)))}
				if r.IntN(4) == 0 {
					dep.Cancelled = &Mark{Time: t0}
				}
				change(deploymentKey(d), dep)
			case 2:
				change(runKey(RunID{d, pick().key()}), Run{State: []State{Offered, Loading, Done, Failed}[r.IntN(4)], Since: t0, Address: pick()})
			case 3:
				m := pick()
				change(machineKey(m), Machine{ID: m, UUID: machines[2], Held: r.IntN(2) == 0})
			case 4:
				change(memberKey(fmt.Sprintf("g%d", r.IntN(2)), pick()), struct{}{})
			case 5:
				p := Pattern{Machine: pick()}
				if r.IntN(2) == 0 {
					p = Pattern{OUI: [3]byte{0x52, 0x54, 0}}
				}
				change(ignoredKey(p), Ignored{Pattern: p})
			}
			now, _ = now.with(f.changes[before:])
		}
		// The last change of each key alone, in another order: as a scan has them.
		last := map[string]store.Change{}
		for _, c := range f.changes {
			last[c.Key] = c
		}
		scan := feed{}
		for _, c := range last {
			if !c.Deleted {
				scan.changes = append(scan.changes, c)
			}
		}
		fresh := scan.snapshot()
		if now.Stats() != fresh.Stats() {
			t.Fatalf("%+v, afresh %+v", now.Stats(), fresh.Stats())
		}
		for _, m := range machines {
			for _, c := range []Client{{MAC: m.Bytes()}, client(m, machines[2]), {UUID: m.Bytes()}} {
				a, b := now.Find(c, t0), fresh.Find(c, t0)
				if !reflect.DeepEqual(a, b) {
					t.Fatalf("%+v\nafresh %+v", a, b)
				}
				steps := now.Explain(c, t0)
				if last := steps[len(steps)-1]; last.OK != (a.Why == Deployed || a.Why == Approved) {
					t.Fatalf("%+v is explained as %v", a, steps)
				}
			}
		}
		one, _ := now.Deployments(Filter{}, "", 0, t0)
		other, _ := fresh.Deployments(Filter{}, "", 0, t0)
		if !reflect.DeepEqual(one, other) {
			t.Fatalf("%+v\nafresh %+v", one, other)
		}
	}
}

// manyDeployed has n machines with a standing deployment each.
func manyDeployed(n int) (*Snapshot, []Identity) {
	var f feed
	machines := make([]Identity, n)
	for i := range machines {
		machines[i] = HardwareIdentity([]byte{0x52, 0x54, 1, byte(i >> 16), byte(i >> 8), byte(i)})
		f.deployment(Deployment{ID: fmt.Sprintf("d%06d", i), Target: Target{MAC: machines[i]}, Profile: "p", Once: i%2 == 0})
	}
	return f.snapshot(), machines
}

func TestFindDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector's own allocations are not counted")
		return
	}
	s, machines := manyDeployed(1000)
	u := id(t, uuidA)
	var f feed
	f.put(memberKey("g", u), struct{}{})
	f.deployment(Deployment{ID: "g", Target: Target{Group: "g"}, Profile: "p", Once: true})
	f.put(runKey(RunID{"g", u.key()}), Run{State: Loading, Since: t0, Consumed: t0})
	s, _ = s.with(f.changes)
	clients := []Client{{MAC: machines[7].Bytes()}, {MAC: machines[8].Bytes(), UUID: u.Bytes()}, {MAC: id(t, macA).Bytes(), UUID: u.Bytes()}, {MAC: id(t, macA).Bytes()}}
	for i, want := range []Why{Deployed, Deployed, HasFailed, Unknown} {
		if got := s.Find(clients[i], t0.Add(time.Hour)); got.Why != want {
			t.Fatalf("client %d: %s", i, got.Why)
		}
		if n := testing.AllocsPerRun(100, func() { s.Find(clients[i], t0.Add(time.Hour)) }); n != 0 {
			t.Errorf("client %d: %v allocations", i, n)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	s, machines := manyDeployed(10_000)
	clients := make([]Client, len(machines))
	for i, m := range machines {
		clients[i] = Client{MAC: m.Bytes(), UUID: id(b, uuidA).Bytes()}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if s.Find(clients[i], t0).Why != Deployed {
			b.Fatal("not deployed")
		}
		if i++; i == len(clients) {
			i = 0
		}
	}
}
