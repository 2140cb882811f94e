package deploy

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xdpxe/xdpxe/responder/store"
)

func TestCreate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a := newMemStore(), id(t, macA)
		s, other := start(t, m).ready(), start(t, m).ready()
		d := Deployment{ID: "d1", Target: Target{MAC: a}, Profile: "p", Once: true, Variables: map[string]string{"disk": "sda"}}
		mustCreate(t, s.Catalogue, d)
		if st, _ := s.Snapshot().Deployment("d1", time.Now()); st.Run.State != Waiting || st.Milestone.On != OnNBP || st.Revision == 0 || !st.Run.Since.Equal(st.Created) {
			t.Errorf("%+v", st)
		}
		// Once more, on another server that may not have seen it.
		created, err := other.Create(t.Context(), []Deployment{d}, time.Now())
		if err != nil || created[0].Err != nil || !created[0].Existed {
			t.Errorf("repeated: %+v, %v", created, err)
		}
		d.Variables = map[string]string{"disk": "sdb"}
		if created, err = s.Create(t.Context(), []Deployment{d, {Target: Target{MAC: a}, Profile: "q"}}, time.Now()); err != nil ||
			!errors.Is(created[0].Err, ErrExists) || created[1].Err != nil || !isName(created[1].ID, false) {
			t.Errorf("another of that name: %+v, %v", created, err)
		}
		for field, bad := range map[string]Deployment{
			"target":         {Profile: "p"},
			"target.mac":     {Target: Target{MAC: id(t, "52:54:00")}, Profile: "p"},
			"profile":        {Target: Target{MAC: a}},
			"id":             {ID: "A b", Target: Target{MAC: a}, Profile: "p"},
			"target.group":   {Target: Target{Group: "none"}, Profile: "p"},
			"milestone.on":   {Target: Target{MAC: a}, Profile: "p", Milestone: Milestone{On: "dawn"}},
			"milestone.file": {Target: Target{MAC: a}, Profile: "p", Milestone: Milestone{On: OnFile, File: `\`}},
			"not_after":      {Target: Target{MAC: a}, Profile: "p", NotAfter: time.Now()},
			"variables":      {Target: Target{MAC: a}, Profile: "p", Variables: map[string]string{"a-b": ""}},
			"variables.v":    {Target: Target{MAC: a}, Profile: "p", Variables: map[string]string{"v": strings.Repeat("x", maxVariable+1)}},
			"note":           {Target: Target{MAC: a}, Profile: "p", Note: strings.Repeat("x", maxText+1)},
		} {
			n := m.written()
			_, err := s.Create(t.Context(), []Deployment{bad}, time.Now())
			if got := (*Invalid)(nil); !errors.As(err, &got) || got.Field != field {
				t.Errorf("%s: %v", field, err)
			}
			// One bad of two, and neither is written.
			_, err = s.Create(t.Context(), []Deployment{{Target: Target{MAC: a}, Profile: "p"}, bad}, time.Now())
			if got := (*Invalid)(nil); !errors.As(err, &got) || got.Field != "[1]."+field || m.written() != n {
				t.Errorf("%s: %v, %d writes", field, err, m.written()-n)
			}
		}
	})
}

// TestCreateTogether: two servers create one deployment at once; it is there
// once, and both are told.
func TestCreateTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a := newMemStore(), id(t, macA)
		s := start(t, m).ready()
		d := Deployment{ID: "d", Target: Target{MAC: a}, Profile: "p", Created: time.Now().UTC(), Once: true, Milestone: Milestone{On: OnNBP}}
		for i, rival := range []Deployment{d, func(d Deployment) Deployment { d.Profile = "q"; return d }(d)} {
			key := deploymentKey(d.ID)
			m.before = func([]store.Txn) {
				m.before = nil
				m.mu.Lock()
				defer m.mu.Unlock()
				m.commit(store.Txn{Writes: []store.Write{put(key, rival)}})
			}
			created, err := s.Create(t.Context(), []Deployment{d}, time.Now())
			if err != nil || created[0].Existed != (i == 0) || errors.Is(created[0].Err, ErrExists) != (i == 1) {
				t.Errorf("%d: %+v, %v", i, created, err)
			}
			if err := s.Cancel(t.Context(), "d", 0, "", "", time.Now()); err != nil {
				t.Fatal(err)
			}
			if err := s.Delete(t.Context(), "d", 0, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestManyInOneCall: 10,000 at once, listed in pages, each once.
func TestManyInOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, newMemStore()).ready()
		ds := make([]Deployment, 10_000)
		for i := range ds {
			ds[i] = Deployment{Target: Target{MAC: HardwareIdentity([]byte{2, 0, 0, 0, byte(i >> 8), byte(i)})}, Profile: fmt.Sprintf("p%d", i%2), Once: true}
		}
		mustCreate(t, s.Catalogue, ds...)
		seen := map[string]bool{}
		pages, after := 0, ""
		for more := true; more; pages++ {
			var page []Status
			page, more = s.Snapshot().Deployments(Filter{Profile: "p1"}, after, 999, time.Now())
			for _, st := range page {
				if st.ID <= after || seen[st.ID] || st.Profile != "p1" {
					t.Fatalf("%s after %s", st.ID, after)
				}
				seen[st.ID], after = true, st.ID
			}
		}
		if len(seen) != 5000 || pages != 6 {
			t.Errorf("%d deployments in %d pages", len(seen), pages)
		}
		if page, more := s.Snapshot().Deployments(Filter{Machine: ds[77].Target.MAC}, "", 10, time.Now()); len(page) != 1 || more {
			t.Errorf("of one machine: %d", len(page))
		}
		if page, _ := s.Snapshot().Deployments(Filter{State: Booted}, "", 10, time.Now()); len(page) != 0 {
			t.Errorf("booted: %d", len(page))
		}
		if _, err := s.Create(t.Context(), make([]Deployment, MaxCreate+1), time.Now()); !errors.Is(err, ErrLimit) {
			t.Errorf("too many: %v", err)
		}
	})
}

func TestRevisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := id(t, macA)
		s := start(t, newMemStore()).ready()
		mustCreate(t, s.Catalogue, onceFor(a))
		rev := func() store.Rev {
			st, _ := s.Snapshot().Deployment("once", time.Now())
			return st.Revision
		}
		old := rev()
		if err := s.Act(t.Context(), RunID{"once", a}, lastBlock(a, "1"), time.Now()); err != nil {
			t.Fatal(err)
		}
		if rev() == old {
			t.Error("its state changed and its revision did not")
		}
		if err := s.Arm(t.Context(), "once", Identity{}, old, "", time.Now()); !errors.Is(err, ErrChanged) {
			t.Errorf("armed at an old revision: %v", err)
		}
		if err := s.Arm(t.Context(), "once", Identity{}, rev(), "", time.Now()); err != nil {
			t.Errorf("armed: %v", err)
		}
		if err := s.Cancel(t.Context(), "once", old, "", "", time.Now()); !errors.Is(err, ErrChanged) {
			t.Errorf("cancelled at an old revision: %v", err)
		}
		if err := s.Delete(t.Context(), "once", rev(), time.Now()); !errors.As(err, new(*Refused)) {
			t.Errorf("deleted before it is over: %v", err)
		}
		if err := s.Cancel(t.Context(), "once", rev(), "ann", "moved", time.Now()); err != nil {
			t.Errorf("cancelled: %v", err)
		}
		if st, _ := s.Snapshot().Deployment("once", time.Now()); st.Run.State != Cancelled || st.Run.Reason != "moved" {
			t.Errorf("%+v", st.Run)
		}
		if err := s.Cancel(t.Context(), "once", 0, "", "", time.Now()); err != nil {
			t.Errorf("cancelled again: %v", err)
		}
		if err := s.Delete(t.Context(), "once", old, time.Now()); !errors.Is(err, ErrChanged) {
			t.Errorf("deleted at an old revision: %v", err)
		}
		if err := s.Delete(t.Context(), "once", rev(), time.Now()); err != nil {
			t.Errorf("deleted: %v", err)
		}
		for what, err := range map[string]error{
			"cancel": s.Cancel(t.Context(), "once", 0, "", "", time.Now()), "delete": s.Delete(t.Context(), "once", 0, time.Now()),
			"arm": s.Arm(t.Context(), "once", Identity{}, 0, "", time.Now()), "act": s.Act(t.Context(), RunID{"once", a}, lastBlock(a, "1"), time.Now()),
			"forget": s.Forget(t.Context(), a, 0), "unignore": s.Unignore(t.Context(), Pattern{Machine: a}),
		} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%s what is not there: %v", what, err)
			}
		}
	})
}

func TestGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a, b := newMemStore(), id(t, macA), id(t, macB)
		s := start(t, m).ready()
		if err := s.PutGroup(t.Context(), "lab", 0, "room 7", "ann", time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := s.AddMembers(t.Context(), "lab", []Identity{a, b, a}); err != nil {
			t.Fatal(err)
		}
		mustCreate(t, s.Catalogue, Deployment{ID: "all", Target: Target{Group: "lab"}, Profile: "p", Once: true})
		if err := s.Act(t.Context(), RunID{"all", a}, lastBlock(a, "1"), time.Now()); err != nil {
			t.Fatal(err)
		}
		st, _ := s.Snapshot().Deployment("all", time.Now())
		if st.Run.State != Loading || st.Machines[Loading] != 1 || st.Machines[Waiting] != 1 {
			t.Errorf("%+v", st)
		}
		if runs, more := s.Snapshot().GroupRuns("all", Identity{}, 1, time.Now()); len(runs) != 1 || !more || runs[0].Machine != a {
			t.Errorf("%+v, %v", runs, more)
		}
		// Each machine once, and only members.
		if got := s.Snapshot().Find(Client{MAC: b.Bytes()}, time.Now()); got.Why != Deployed {
			t.Errorf("the other: %s", got.Why)
		}
		if err := s.Act(t.Context(), RunID{"all", id(t, uuidA).key()}, lastBlock(a, "1"), time.Now()); !errors.Is(err, ErrNotFound) {
			t.Errorf("a stranger: %v", err)
		}
		if err := s.DeleteGroup(t.Context(), "lab", 0, time.Now()); !errors.As(err, new(*Refused)) {
			t.Errorf("deleted with a deployment: %v", err)
		}
		if err := s.Cancel(t.Context(), "all", 0, "", "", time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteGroup(t.Context(), "lab", 0, time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), "all", 0, time.Now()); err != nil {
			t.Fatal(err)
		}
		if len(m.items) != 0 {
			t.Errorf("left in the store: %v", m.items)
		}
		if err := s.AddMembers(t.Context(), "lab", []Identity{a}); !errors.Is(err, ErrNotFound) {
			t.Errorf("members of no group: %v", err)
		}
	})
}

func TestApproveAndIgnore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := id(t, macA)
		s := start(t, newMemStore()).ready()
		find := func() Why { return s.Snapshot().Find(Client{MAC: a.Bytes()}, time.Now()).Why }
		see := func() {
			s.See(Sighting{Client: Client{MAC: a.Bytes()}, Arch: "x64-uefi", VendorClass: []byte("PXEClient:Arch:00007"), CircuitID: []byte{0, 1, 2}, Hold: true}, time.Now())
			time.Sleep(2 * seeEvery)
		}
		see()
		held, _ := s.Snapshot().Machines(MachineFilter{Held: true}, Identity{}, 0)
		if find() != Held || len(held) != 1 || held[0].CircuitID != "0x000102" || held[0].VendorClass != "PXEClient:Arch:00007" || held[0].Arch != "x64-uefi" || held[0].Tries != 1 || held[0].FirstSeen.IsZero() {
			t.Fatalf("%s, %+v", find(), held)
		}
		changes := s.changes.Load()
		if err := s.Approve(t.Context(), a, held[0].Revision, "linux", "ann", "", time.Now()); err != nil {
			t.Fatal(err)
		}
		if got := s.Snapshot().Find(Client{MAC: a.Bytes()}, time.Now()); got.Why != Approved || got.Profile != "linux" || s.changes.Load() == changes {
			t.Errorf("%+v, %d changes", got, s.changes.Load()-changes)
		}
		if err := s.Approve(t.Context(), a, held[0].Revision, "other", "", "", time.Now()); !errors.Is(err, ErrChanged) {
			t.Errorf("approved at an old revision: %v", err)
		}
		time.Sleep(noteEvery)
		see() // it stays approved
		if m, _ := s.Snapshot().Machine(a); m.Held || m.Approved == nil || m.Tries != 2 {
			t.Errorf("%+v", m)
		}
		if err := s.Forget(t.Context(), a, 0); err != nil || find() != Unknown {
			t.Errorf("forgotten: %v, %s", err, find())
		}
		see()
		if err := s.Ignore(t.Context(), Pattern{Machine: a}, "ann", "a printer", time.Now()); err != nil || find() != IsIgnored {
			t.Errorf("ignored: %v, %s", err, find())
		}
		if st := s.Snapshot().Stats(); st.Held != 0 || st.Ignored != 1 {
			t.Errorf("%+v", st)
		}
		oui, _ := ParsePattern("52-54-00")
		if err := s.Ignore(t.Context(), oui, "", "", time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := s.Unignore(t.Context(), Pattern{Machine: a}); err != nil || find() != IsIgnored {
			t.Errorf("still its vendor: %v, %s", err, find())
		}
		if l := s.Snapshot().IgnoreList(); len(l) != 1 || l[0].Pattern != oui {
			t.Errorf("%+v", l)
		}
		if err := s.Describe(t.Context(), a, 0, new("Bad Name"), nil); !errors.As(err, new(*Invalid)) {
			t.Errorf("%v", err)
		}
		if err := s.Describe(t.Context(), a, 0, new("printer"), new("3rd floor")); err != nil {
			t.Error(err)
		}
		if m, _ := s.Snapshot().Machine(a); m.Name != "printer" || m.Ignored == nil {
			t.Errorf("%+v", m)
		}
	})
}

// TestSweep: what has been over for long goes; the rest stays. And a machine
// that is deployed to all the time keeps its newest.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, a, b := newMemStore(), id(t, macA), id(t, macB)
		s := start(t, m, func(c *Config) { c.Keep = time.Hour }).ready()
		mustCreate(t, s.Catalogue, onceFor(a), Deployment{ID: "stand", Target: Target{MAC: b}, Profile: "p"},
			Deployment{ID: "window", Target: Target{MAC: b}, Profile: "p", NotAfter: time.Now().Add(time.Minute)})
		e := lastBlock(a, "1")
		if err := s.Act(t.Context(), RunID{"once", a}, e, time.Now()); err != nil {
			t.Fatal(err)
		}
		e.Kind = Fetched
		s.Note(RunID{"once", a}, e, time.Now())
		time.Sleep(30 * time.Minute)
		if n := s.Snapshot().Stats().Deployments; n != 3 {
			t.Errorf("%d after half an hour", n)
		}
		time.Sleep(time.Hour)
		if page, _ := s.Snapshot().Deployments(Filter{}, "", 0, time.Now()); len(page) != 1 || page[0].ID != "stand" || len(m.items) != 1 {
			t.Errorf("%+v, %d items", page, len(m.items))
		}
		for i := range 3 * maxPerTarget {
			d := Deployment{ID: fmt.Sprintf("d%03d", i), Target: Target{MAC: a}, Profile: "p", Once: true}
			mustCreate(t, s.Catalogue, d)
			if err := s.Cancel(t.Context(), d.ID, 0, "", "", time.Now()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		page, _ := s.Snapshot().Deployments(Filter{Machine: a}, "", 0, time.Now())
		if len(page) != maxPerTarget || page[0].ID != fmt.Sprintf("d%03d", 2*maxPerTarget) {
			t.Errorf("%d kept, the first is %s", len(page), page[0].ID)
		}
		var ds []Deployment
		for range maxPerTarget + 1 {
			ds = append(ds, Deployment{Target: Target{MAC: id(t, "02:00:00:00:00:01")}, Profile: "p"})
		}
		created, err := s.Create(t.Context(), ds, time.Now())
		if err != nil || !errors.Is(created[maxPerTarget].Err, ErrLimit) || created[maxPerTarget-1].Err != nil {
			t.Errorf("%v, the last: %+v", err, created[maxPerTarget])
		}
	})
}

// FuzzDeployment: what an API is given in JSON is refused, or kept as it is.
func FuzzDeployment(f *testing.F) {
	f.Add([]byte(`{"id":"d","target":{"mac":"52:54:00:00:00:0a"},"profile":"p","once":true,"milestone":{"on":"file","file":"\\Linux\\vmlinuz"},"not_after":"2030-01-01T00:00:00Z","variables":{"a":"b"}}`))
	f.Add([]byte(`{"target":{"uuid":"4c4c4544-0044-4810-8031-b4c04f4a4e31"},"profile":"p"}`))
	f.Add([]byte(`{"target":{"group":"g","mac":""},"profile":"p","milestone":{"on":"nbp"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var d Deployment
		if json.Unmarshal(text, &d) != nil {
			return
		}
		if d.ID == "" {
			d.ID = "d"
		}
		if d.settle(t0) != nil {
			return
		}
		w := put(deploymentKey(d.ID), d)
		if len(w.Key) > store.MaxKey || len(w.Value) > store.MaxValue {
			t.Fatalf("%d bytes under a key of %d", len(w.Value), len(w.Key))
		}
		s, _ := newSnapshot().with([]store.Change{{Key: w.Key, Value: w.Value, Rev: 1}})
		if p := s.Problems(9); len(p) > 0 {
			t.Fatalf("%v", p)
		}
		st, ok := s.Deployment(d.ID, t0)
		if !ok || !st.sameAs(&d) {
			t.Fatalf("%+v became %+v", d, st)
		}
	})
}

func TestPatterns(t *testing.T) {
	for text, want := range map[string]string{"52-54-00": "52:54:00", "525400": "52:54:00", macA: macA, uuidA: uuidA} {
		if p, err := ParsePattern(text); err != nil || p.String() != want {
			t.Errorf("%s: %v, %v", text, p, err)
		}
	}
	for _, bad := range []string{"", "52:54", "zz:54:00", "00000000-0000-0000-0000-000000000000"} {
		if p, err := ParsePattern(bad); err == nil && bad != "52:54" {
			t.Errorf("%q is %v", bad, p)
		}
	}
	if !slices.Equal(HardwareIdentity([]byte{1, 2, 3}).Bytes(), []byte{1, 2, 3}) {
		t.Error("an identity lost its bytes")
	}
}
