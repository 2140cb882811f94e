package tftp

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// share is a worker without sockets, whose transfers always have something due.
type share struct {
	*worker
	t    *testing.T
	e    *endpoint
	sent map[slotID]int // bytes
	of   map[slotID]string
}

func newShare(t *testing.T, cfg Config) *share {
	t.Helper()
	cfg, err := cfg.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	cfg.NoPrefetch = true // the transfers have no files
	s := &Server{cfg: cfg, timing: testTiming, ledger: newLedger(&cfg), caps: newCaps(&cfg), sources: newSources(&cfg)}
	w := &worker{server: s, wake: -1, now: instant(time.Hour), counters: new(counters), table: newTable(), queue: map[slotID]queued{}}
	w.timers.slot = w.table.slot
	e := &endpoint{requests: -1, data: -1, flows: map[*account]*flow{}}
	w.endpoints = []*endpoint{e}
	return &share{w, t, e, map[slotID]int{}, map[slotID]string{}}
}

// add starts transfers of a client with windows of so many blocks.
func (s *share) add(client string, transfers, blksize, window int) {
	s.t.Helper()
	addr := netip.MustParseAddr(client)
	for range transfers {
		id, x := s.table.add(peer{addr: addr.As16(), port: uint16(len(s.of) + 1)})
		a, how, _ := s.server.ledger.enter(addr, s.worker, id, x.serial)
		if how != running {
			s.t.Fatal(how)
		}
		s.e.join(&s.table, id, a)
		x.start(s.now, 1<<40, grant{blksize: uint16(blksize), window: uint16(window)}, &testTiming)
		s.running++
		s.of[id] = client
		s.makeReady(s.e, id, x)
	}
}

// turn sends the next message, which is acknowledged at once.
func (s *share) turn() bool {
	id, x, ok := s.next(s.e)
	if !ok {
		return false
	}
	weight := s.e.weight(x, s.now)
	_, from, to := x.due(s.now)
	to = min(to, from+uint64(x.messageBlocks()))
	x.sentData(to, s.now, &testTiming)
	x.ack(uint16(to-1), s.now, &testTiming)
	s.sent[id] += weight
	s.makeReady(s.e, id, x)
	return true
}

// run lets time pass, sending what may be sent.
func (s *share) run(d time.Duration) {
	s.t.Helper()
	for end := s.now.add(d); ; {
		for s.turn() {
		}
		if len(s.e.parking) == 0 {
			s.t.Fatal("nothing holds it back")
		}
		if s.now = s.e.parking[0].until; s.now > end {
			s.now = end
			return
		}
		s.e.unpark(s.now)
	}
}

func (s *share) clients() map[string]int {
	sums := map[string]int{}
	for id, n := range s.sent {
		sums[s.of[id]] += n
	}
	return sums
}

func TestFairness(t *testing.T) {
	s := newShare(t, Config{})
	s.add("192.0.2.1", 50, 1468, 64) // asks fifty times
	s.add("192.0.2.2", 1, 1468, 64)
	s.add("192.0.2.3", 1, 512, 1) // in lock-step, and always there again
	s.add("192.0.2.4", 2, 65464, 4)
	for range 20_000 {
		s.turn()
	}
	sums := s.clients()
	for client, n := range sums {
		if most := sums["192.0.2.1"]; n < most-3*quantum || n > most+3*quantum {
			t.Errorf("%s was sent %d bytes, the one with fifty transfers %d", client, n, most)
		}
	}
	low, high := 1<<62, 0
	for id, n := range s.sent {
		if s.of[id] == "192.0.2.1" {
			low, high = min(low, n), max(high, n)
		}
	}
	if high-low > 66_000 { // one message
		t.Errorf("transfers of one client got %d to %d bytes", low, high)
	}
}

// TestFlowsEnd has transfers end in every state that a flow knows.
func TestFlowsEnd(t *testing.T) {
	s := newShare(t, Config{PerClient: Limits{Bandwidth: 1_000_000}})
	for i := range 100 {
		s.add(fmt.Sprintf("192.0.2.%d", i%7), 1, 1468, 64)
	}
	for range 30 {
		s.turn()
	}
	if len(s.e.parking) == 0 {
		t.Error("no flow was held back")
	}
	s.server.reports = newReporter(zapNop)
	for id := range s.of {
		x := s.table.slot(id)
		s.end(id, x, Aborted)
		s.forget(id, x)
		s.turn()
	}
	if n, waiting := s.server.ledger.counts(); n != 0 || waiting != 0 || len(s.e.flows) != 0 || len(s.e.parking) != 0 || s.turn() || s.running != 0 {
		t.Errorf("%d transfers, %d flows, %d parked, %d running", n, len(s.e.flows), len(s.e.parking), s.running)
	}
	if l := s.server.ledger; len(l.clients) != 0 || len(l.networks) != 0 {
		t.Errorf("accounts stay: %v, %v", l.clients, l.networks)
	}
}

func TestBandwidth(t *testing.T) {
	const rate, seconds = 10_000_000, 10
	for _, c := range []struct {
		what string
		cfg  Config
		want map[string]int // a second
	}{
		{"of all, shared by client", Config{Bandwidth: rate}, map[string]int{"192.0.2.1": rate / 3, "192.0.2.2": rate / 3, "198.51.100.1": rate / 3}},
		{"of each client", Config{PerClient: Limits{Bandwidth: rate}}, map[string]int{"192.0.2.1": rate, "192.0.2.2": rate, "198.51.100.1": rate}},
		{"of each network", Config{PerNetwork: Limits{Bandwidth: rate}}, map[string]int{"192.0.2.1": rate / 2, "192.0.2.2": rate / 2, "198.51.100.1": rate}},
		{"of networks of a given size", Config{PerNetwork: Limits{Bandwidth: rate}, NetworkBits: [2]int{32, 64}},
			map[string]int{"192.0.2.1": rate, "192.0.2.2": rate, "198.51.100.1": rate}},
		{"the tightest counts", Config{Bandwidth: 10 * rate, PerNetwork: Limits{Bandwidth: rate}, PerClient: Limits{Bandwidth: rate / 2}},
			map[string]int{"192.0.2.1": rate / 2, "192.0.2.2": rate / 2, "198.51.100.1": rate / 2}},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := newShare(t, c.cfg)
			s.add("192.0.2.1", 10, 1468, 16)
			s.add("192.0.2.2", 1, 1468, 16)
			s.add("198.51.100.1", 3, 1468, 16)
			s.run(seconds * time.Second)
			for client, n := range s.clients() {
				if want := c.want[client] * seconds; n < want*95/100 || n > want*105/100 {
					t.Errorf("%s was sent %d bytes, want %d", client, n, want)
				}
			}
			if s.counters.capped.Load() == 0 {
				t.Error("not counted")
			}
		})
	}
}
