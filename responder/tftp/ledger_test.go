package tftp

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/zap"
)

var zapNop = zap.NewNop()

func TestLedger(t *testing.T) {
	cfg, err := Config{MaxTransfers: 4, Queue: 8, PerClient: Limits{Transfers: 2}, PerNetwork: Limits{Transfers: 3}}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	l := newLedger(&cfg)
	w := &worker{wake: -1}
	accounts := map[int]*account{}
	n := 0
	enter := func(addr string) (int, string) {
		n++
		a, how, waits := l.enter(netip.MustParseAddr(addr), w, slotID(n), 1)
		if a != nil {
			accounts[n] = a
		}
		return n, fmt.Sprint(how, " ", waits)
	}
	promoted := func() (ids []int) {
		for _, p := range w.mail.places {
			ids = append(ids, int(p.id))
		}
		w.mail.places = nil
		return ids
	}
	for _, step := range []struct {
		addr, want string
	}{
		{"192.0.2.1", "running false"},     // 1
		{"192.0.2.1", "running false"},     // 2
		{"192.0.2.1", "client_full true"},  // 3 waits
		{"192.0.2.2", "running false"},     // 4
		{"192.0.2.2", "network_full true"}, // 5 waits
		{"198.51.100.1", "running false"},  // 6
		{"198.51.100.2", "full true"},      // 7 waits
		{"192.0.2.1", "full true"},         // 8 waits: the same client's second
		{"192.0.2.1", "full true"},         // 9
		{"192.0.2.1", "full false"},        // 10: it has its share of the queue
		{"198.51.100.3", "full true"},      // 11
		{"198.51.100.4", "full true"},      // 12
		{"2001:db8::1", "full true"},       // 13
		{"2001:db8::2", "full false"},      // 14: the queue is full
	} {
		if id, got := enter(step.addr); got != step.want {
			t.Errorf("%d, %s: %s, want %s", id, step.addr, got, step.want)
		}
	}
	if active, waiting := l.counts(); active != 4 || waiting != 8 {
		t.Errorf("%d run, %d wait", active, waiting)
	}
	l.leave(accounts[6]) // the others' networks are full: 3 and 5 go on waiting
	if got := promoted(); fmt.Sprint(got) != "[7]" {
		t.Errorf("after 6, %v got a place", got)
	}
	if !l.quit(accounts[3], w, 3, 1) || l.quit(accounts[3], w, 3, 1) || l.quit(accounts[7], w, 7, 1) {
		t.Error("who waits is mistaken")
	}
	l.leave(accounts[1])
	if got := promoted(); fmt.Sprint(got) != "[5]" {
		t.Errorf("after 1, %v got a place: the oldest is not the first", got)
	}
	for _, id := range []int{2, 4, 5, 7} {
		l.leave(accounts[id])
	}
	if got := promoted(); fmt.Sprint(got) != "[8 9 11 12]" {
		t.Errorf("at the end, %v got a place", got)
	}
	for _, id := range []int{8, 9, 11, 12} {
		l.leave(accounts[id])
	}
	l.leave(accounts[13])
	if active, waiting := l.counts(); active != 0 || waiting != 0 || len(l.clients) != 0 || len(l.networks) != 0 {
		t.Errorf("%d run, %d wait, %v, %v", active, waiting, l.clients, l.networks)
	}
}

// TestServeWaiting has a request wait for the place of another.
func TestServeWaiting(t *testing.T) {
	b := serve(t, Config{MaxTransfers: 1, Queue: 4}, map[string][]byte{"f": []byte("data")})
	ask := rrq("f", "octet", "tsize", "0")
	first, second, third := newWire(t, "127.0.0.1:0"), newWire(t, "127.0.0.2:0"), newWire(t, "127.0.0.3:0")
	first.send(b.addr, ask)
	tid := first.expect(oackPacket("tsize", "4"))
	second.send(b.addr, ask)
	b.turnUntil("the second waits", func(st Stats) bool { return st.Queued == 1 })
	third.send(b.addr, ask)
	b.turnUntil("the third waits", func(st Stats) bool { return st.Queued == 2 })
	second.send(b.addr, ask)
	b.turnUntil("the second asks again", func(st Stats) bool { return st.Repeated == 1 })
	if st := b.Stats(); st.Queued != 2 || st.Active != 1 || st.Waited != 2 || !second.empty() || len(b.Transfers()) != 1 {
		t.Errorf("%+v", st)
	}
	first.send(tid, appendError(nil, 0, "enough"))
	tid = second.expect(oackPacket("tsize", "4"))
	if !third.empty() {
		t.Error("the third overtakes")
	}
	second.send(tid, appendError(nil, 0, "enough"))
	third.expect(oackPacket("tsize", "4"))
	if st := b.Stats(); st.Queued != 0 || st.Active != 1 || st.Requests != 4 || st.Outcomes[Full] != 0 {
		t.Errorf("%+v", st)
	}
}

// TestWaitingEnds has requests wait in vain: of a client that went away, and of
// one that asks for something else.
func TestWaitingEnds(t *testing.T) {
	w, client := byHand(t, Config{MaxTransfers: 1, Queue: 4}, []byte("data"))
	e := w.endpoints[0]
	w.open(t, client, "tsize", "0")
	ask := func(port uint16, name string) {
		w.onRequest(e, &datagram{payload: rrq(name, "octet"), local: mapped([4]byte{127, 0, 0, 1}), ifindex: 1, unicast: true,
			from: peer{addr: mapped([4]byte{127, 0, 0, 9}), port: port}})
	}
	ask(1, "f")
	ask(2, "f")
	ask(2, "g")
	st := w.server.Stats()
	if st.Queued != 2 || st.Outcomes[Superseded] != 1 {
		t.Fatalf("%+v", st)
	}
	w.now = w.now.add(waitPatience - 1)
	ask(2, "g") // as clients do
	w.now = w.now.add(1)
	w.expire()
	if st := w.server.Stats(); st.Queued != 1 || st.Outcomes[Full] != 1 || len(w.queue) != 1 {
		t.Errorf("%+v", st)
	}
	w.beginStop(time.Minute)
	if st := w.server.Stats(); st.Queued != 0 || st.Active != 1 || st.Outcomes[Stopped] != 1 || w.running != 1 {
		t.Errorf("%+v", st)
	}
}

// TestPlaceOfWhoLeft has a request end in the moment that it gets its place.
func TestPlaceOfWhoLeft(t *testing.T) {
	w, client := byHand(t, Config{MaxTransfers: 1, Queue: 4}, []byte("data"))
	d := w.open(t, client, "tsize", "0")
	e := w.endpoints[0]
	from := peer{addr: mapped([4]byte{127, 0, 0, 9}), port: 1}
	w.onRequest(e, &datagram{payload: rrq("f", "octet"), local: d.local, ifindex: 1, unicast: true, from: from})
	d.payload = appendError(nil, 0, "enough")
	w.onPacket(e, d)
	id, s, ok := w.table.find(from)
	if !ok || s.phase != waiting || len(w.mail.places) != 1 {
		t.Fatal("no place was given")
	}
	w.end(id, s, Superseded)
	w.forget(id, s)
	w.readMail()
	if st := w.server.Stats(); st.Active != 0 || st.Queued != 0 || w.running != 0 || len(w.server.opener.lookups) != 0 {
		t.Errorf("%+v, %d running", st, w.running)
	}
}

func TestServeLimits(t *testing.T) {
	ask := rrq("f", "octet", "tsize", "0")
	for _, c := range []struct {
		cfg   Config
		hosts [3]string
		how   Outcome
	}{
		{Config{PerClient: Limits{Transfers: 2}}, [3]string{"127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"}, ClientFull},
		{Config{PerNetwork: Limits{Transfers: 2}}, [3]string{"127.0.0.1:0", "127.0.0.2:0", "127.0.0.3:0"}, NetworkFull},
	} {
		b := serve(t, c.cfg, map[string][]byte{"f": []byte("data")})
		for _, host := range c.hosts[:2] {
			w := newWire(t, host)
			w.send(b.addr, ask)
			w.expect(oackPacket("tsize", "4"))
		}
		third := newWire(t, c.hosts[2])
		third.send(b.addr, ask)
		b.turnUntil("a request met the limit", func(st Stats) bool { return st.Outcomes[c.how] == 1 })
		if !third.empty() {
			t.Error("answered beyond the limit")
		}
		other := newWire(t, "127.1.0.1:0")
		other.send(b.addr, ask)
		other.expect(oackPacket("tsize", "4"))
		b.stop()
	}
}

// TestPlaceAfterAll has a request get its place, and the loop sleep until its file is found.
func TestPlaceAfterAll(t *testing.T) {
	w, client := byHand(t, Config{MaxTransfers: 1, Queue: 4, NoPrefetch: true}, []byte("data"))
	d := w.open(t, client, "tsize", "0")
	e := w.endpoints[0]
	second := newWire(t, "127.0.0.1:0")
	w.onRequest(e, &datagram{payload: rrq("f", "octet"), local: d.local, ifindex: 1, unicast: true,
		from: peer{addr: d.from.addr, port: second.addr().Port()}})
	d.payload = appendError(nil, 0, "enough")
	w.onPacket(e, d)
	w.readMail()
	w.sendRound(e)
	w.server.epoch = w.server.epoch.Add(-waitPatience) // the time to give up would be over
	w.now = w.server.clock()
	w.expire()
	if wait := w.wait(); wait <= 0 {
		t.Errorf("the loop would sleep for %v", wait)
	}
	answer := w.server.opener.open(<-w.server.opener.lookups)
	w.onFound(&answer)
	w.sendRound(e)
	second.expect(dataPacket([]byte("data"), 512, 1))
}
