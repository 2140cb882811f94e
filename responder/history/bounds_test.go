package history

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// A flood of strangers, whether they are answered or not, drives nobody out who
// went on after an answer, fetches files or is deployed to.
func TestFlood(t *testing.T) {
	for _, c := range []struct {
		name   string
		reason packet.Reason
		once   bool // machines that were answered once stay as well
	}{{"silence", packet.DefaultIgnore, true}, {"answered", packet.Answered, false}} {
		for _, bytes := range []int64{0, 1000 * (machineSize + 2*recordSize)} { // by number, and by bytes
			t.Run(fmt.Sprint(c.name, bytes), func(t *testing.T) {
				cfg := Config{Machines: 2000, Bytes: bytes}
				if bytes > 0 {
					cfg.Machines = 1 << 20
				}
				h := New(cfg)
				const booting, deployed, once = 100, 100, 100
				n := 0
				for range booting {
					n++
					h.Observe(asked(n, 0, "socket", dhcp.StageDiscover, packet.Answered), nil)
					h.Observe(asked(n, 1, "socket", dhcp.StageOther, packet.LeaseRequest), nil)
				}
				for range deployed {
					n++
					h.Moved(deploy.Move{Run: deploy.RunID{ID: "d", Machine: identity(n)}, Now: deploy.Run{State: deploy.Waiting}}, at(1))
				}
				for range once {
					n++
					h.Observe(asked(n, 1, "socket", dhcp.StageDiscover, packet.Answered), nil)
				}
				for i := range 20_000 {
					h.Observe(asked(1_000_000+i, 2, "socket", dhcp.StageDiscover, c.reason), nil)
				}
				for i := 1; i <= n; i++ {
					if i > booting && !c.once {
						break
					}
					if len(h.Machine(identity(i))) == 0 {
						t.Fatalf("machine %d was pushed out", i)
					}
				}
				if len(h.Machine(identity(1_000_000+19_999))) == 0 {
					t.Error("the newest stranger is not there")
				}
				s := h.Stats()
				if s.Machines > cfg.Machines || bytes > 0 && s.Bytes > bytes || s.Forgotten == 0 {
					t.Errorf("%+v", s)
				}
			})
		}
	}
}

// However many machines are known well, strangers have room.
func TestStrangersHaveRoom(t *testing.T) {
	h := New(Config{Machines: 40})
	for n := range 100 {
		h.Transfer(&FileTransfer{Client: clientOf(n), File: "a", Outcome: "complete"}, at(n))
	}
	for n := range 10 {
		h.Observe(asked(1000+n, 200, "socket", dhcp.StageDiscover, packet.DefaultIgnore), nil)
	}
	for n := range 10 {
		if len(h.Machine(identity(1000+n))) == 0 {
			t.Errorf("stranger %d has no room", n)
		}
	}
	for n := 70; n < 100; n++ {
		if len(h.Machine(identity(n))) == 0 {
			t.Errorf("machine %d, of the last heard, is forgotten", n)
		}
	}
}

// The accounts are right whatever happens.
func TestAccounts(t *testing.T) {
	h := New(Config{Machines: 30, Entries: 7, Bytes: 30 * (machineSize + 3*recordSize)})
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 20_000 {
		n := r.IntN(60)
		switch r.IntN(4) {
		case 0:
			h.Observe(asked(n, i, "socket", dhcp.StageDiscover, packet.Answered), nil)
		case 1:
			h.Observe(asked(n, i, "socket", dhcp.StageOther, packet.LeaseRequest), nil)
		case 2:
			h.Note(&Remark{Client: clientOf(n), Text: "something"[:r.IntN(9)]}, at(i))
		case 3:
			h.Transfer(&FileTransfer{Client: clientOf(n), File: "some/file"[:r.IntN(9)], Outcome: []string{Running, "complete"}[r.IntN(2)]}, at(i))
		}
	}
	for i := range h.shards {
		checkShard(t, &h.shards[i])
	}
}

func checkShard(t *testing.T, s *shard) {
	t.Helper()
	var all, kept account
	for c := range s.rings {
		end := &s.rings[c]
		for m := end.behind; m != end; m = m.behind {
			var text int64
			for i := range m.ring {
				text += m.ring[i].text()
			}
			if s.machines[m.id] != m || m.class != class(c) || m.text != text || len(m.ring) == 0 || m.behind.before != m {
				t.Fatalf("class %d: %+v, text of %d", c, m, text)
			}
			all.add(1, m.size())
			if m.class != stranger {
				kept.add(1, m.size())
			}
		}
	}
	if all.n != s.all.n || all.bytes != s.all.bytes || kept.n != s.kept.n || kept.bytes != s.kept.bytes || all.n != len(s.machines) {
		t.Fatalf("counted %+v and %+v, accounted %+v and %+v, %d in the map", all, kept, s.all, s.kept, len(s.machines))
	}
	if s.all.over() || s.kept.over() {
		t.Fatalf("over the bounds: %+v, kept %+v", s.all, s.kept)
	}
}

// Many writers, readers, and a subscriber that never looks.
func TestConcurrent(t *testing.T) {
	h := New(Config{Machines: 128, Entries: 8})
	deaf, cancel := h.Subscribe(deploy.Identity{})
	defer cancel()
	listener, cancelListener := h.Subscribe(identity(1))
	done := make(chan int)
	go func() {
		heard := 0
		for told := range listener.C() {
			if told.Machine != identity(1) {
				t.Errorf("told of %s", told.Machine)
			}
			heard++
			if told.Outcome == "last" {
				break
			}
		}
		done <- heard
	}()
	var all sync.WaitGroup
	const writers, each = 4, 3000
	for w := range writers {
		all.Go(func() {
			for i := range each {
				n := 10 + (w*each+i)%200
				h.Observe(asked(n, i, "socket", dhcp.StageDiscover, packet.Reason(i%3)), nil)
				if i%100 == 0 {
					h.Observe(asked(1, i, "socket", dhcp.StageDiscover, packet.Answered), nil)
					h.Machine(identity(n))
					h.Machine(deploy.UUIDIdentity(theUUID[:]))
					h.Stats()
					_, cancel := h.Subscribe(identity(n))
					cancel()
				}
			}
		})
	}
	all.Wait()
	h.Transfer(&FileTransfer{Client: clientOf(1), File: "a", Outcome: "last"}, time.Now())
	if heard := <-done; heard != writers*each/100+1 {
		t.Errorf("heard of %d, want %d", heard, writers*each/100+1)
	}
	cancelListener()
	if got, want := deaf.Dropped(), uint64(writers*each+writers*each/100+1-backlog); got != want {
		t.Errorf("%d dropped, want %d", got, want)
	}
	if s := h.Stats(); s.Dropped != deaf.Dropped()+listener.Dropped() || s.Subscribers != 1 {
		t.Errorf("%+v", s)
	}
	for i := range h.shards {
		checkShard(t, &h.shards[i])
	}
}

func TestSubscribe(t *testing.T) {
	h := New(Config{})
	all, cancel := h.Subscribe(deploy.Identity{})
	one, _ := h.Subscribe(deploy.UUIDIdentity(theUUID[:]))
	e := asked(1, 0, "socket", dhcp.StageDiscover, packet.Answered)
	e.UUID, e.HasUUID = theUUID, true
	h.Observe(e, nil)
	h.Observe(e, nil)
	h.Observe(asked(2, 1, "socket", dhcp.StageDiscover, packet.Answered), nil)
	// A group's deployment is heard of, and nobody's entry.
	h.Moved(deploy.Move{Run: deploy.RunID{ID: "d-g"}, Profile: "linux", Now: deploy.Run{State: deploy.Waiting}}, at(2))
	h.Moved(deploy.Move{Run: deploy.RunID{ID: "d-1", Machine: identity(9)}, Now: deploy.Run{State: deploy.Done}, Deleted: true}, at(3))
	cancel()
	h.Observe(asked(3, 4, "socket", dhcp.StageDiscover, packet.Answered), nil)
	var got []string
	for len(all.C()) > 0 {
		told := <-all.C()
		got = append(got, told.Machine.String()+" "+line(told.Entry))
	}
	wanted := []string{
		"02:00:00:00:00:01 0-0 x1 request discover socket answered",
		"02:00:00:00:00:01 0-0 x2 request discover socket answered",
		"02:00:00:00:00:02 1-1 x1 request discover socket answered",
		" 2-2 x1 deployment linux d-g waiting",
		"02:00:00:00:00:09 3-3 x1 deployment d-1 deleted",
	}
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		t.Errorf("got  %q\nwant %q", got, wanted)
	}
	if n := len(one.C()); n != 2 {
		t.Errorf("told %d of one machine, want 2", n)
	}
	want(t, h, identity(9))
}

func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	h := New(Config{Machines: 256})
	e := asked(1, 0, "socket", dhcp.StageDiscover, packet.Answered)
	h.Observe(e, nil)
	if got := testing.AllocsPerRun(1000, func() {
		e.Time = e.Time.Add(time.Second)
		h.Observe(e, nil)
	}); got != 0 {
		t.Errorf("the same again: %v allocations", got)
	}
	for i := range 1000 { // until all room is taken
		h.Observe(asked(1000+i, 0, "socket", dhcp.StageDiscover, packet.DefaultIgnore), nil)
	}
	n := 0
	if got := testing.AllocsPerRun(1000, func() {
		n++
		e.MAC, e.Reason = mac(10_000+n), packet.DefaultIgnore
		h.Observe(e, nil)
	}); got != 0 {
		t.Errorf("strangers: %v allocations", got)
	}
}

func BenchmarkObserve(b *testing.B) {
	for _, c := range []struct {
		name     string
		machines int
		alike    bool
	}{{"again", 10_000, true}, {"alternating", 1_000, false}, {"strangers", 1 << 24, true}} {
		b.Run(c.name, func(b *testing.B) {
			h := New(Config{})
			e := asked(0, 0, "socket", dhcp.StageDiscover, packet.DefaultIgnore)
			e.UUID, e.HasUUID, e.Rule, e.Profile = theUUID, true, "racks", "linux"
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				e.MAC = mac(i % c.machines)
				e.Reason = packet.Answered
				if !c.alike && i/c.machines%2 == 0 {
					e.Reason = packet.LeaseRequest
				}
				h.Observe(e, nil)
			}
		})
	}
}

func BenchmarkObserveParallel(b *testing.B) {
	h := New(Config{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		e := asked(0, 0, "socket", dhcp.StageDiscover, packet.Answered)
		for i := 0; pb.Next(); i++ {
			e.MAC = mac(i % 10_000)
			h.Observe(e, nil)
		}
	})
}

// Who is known, by what the rules say, stays ahead of strangers.
func TestClasses(t *testing.T) {
	tracked := func(reason packet.Reason, why deploy.Why) responder.Event {
		return responder.Event{Reason: reason, Track: true, Detail: why.String()}
	}
	for _, c := range []struct {
		e    responder.Event
		want class
	}{
		{responder.Event{Reason: packet.Answered}, answered},
		{responder.Event{Reason: packet.OtherOwner}, answered},
		{responder.Event{Reason: packet.Delayed}, answered},
		{responder.Event{Reason: packet.RuleIgnore}, stranger},
		{responder.Event{Reason: packet.NotPXE}, stranger},
		{responder.Event{Reason: packet.WebhookWaits}, stranger},
		{responder.Event{Reason: packet.MachineIgnored}, stranger},
		{tracked(packet.NothingDeployed, deploy.NothingDeployed), answered},
		{tracked(packet.LocalBoot, deploy.UsedUp), answered},
		{tracked(packet.NoFileForArch, deploy.Deployed), answered},
		{tracked(packet.MachineHeld, deploy.Held), stranger},
		{tracked(packet.MachineHeld, deploy.Unknown), stranger},
		{tracked(packet.RuleIgnore, deploy.Unknown), stranger},
		{tracked(packet.LocalBoot, deploy.Unknown), stranger},
		{tracked(packet.LocalBoot, deploy.Held), stranger},
		{tracked(packet.NothingDeployed, deploy.NotLoaded), stranger},
	} {
		if got := classOf(&c.e); got != c.want {
			t.Errorf("%s, %q: class %d, want %d", c.e.Reason, c.e.Detail, got, c.want)
		}
	}
}
