package gun

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/bench/result"
)

func TestAllAnswered(t *testing.T) {
	g, w := fakeGun(t, Load{}, nil)
	o := mustRun(t, g, Fixed(10_000, time.Second))
	if o.Sent != 10_000 || o.Answered != 10_000 || o.Late+o.Wrong+o.Lost+o.Duplicates+o.Stale != 0 {
		t.Error(o)
	}
	if p50, most := o.Latency.Quantile(0.5), o.Latency.Quantile(1); p50 < 50e-6 || most > (quick+look).Seconds()*1.001 {
		t.Errorf("latency p50 %g, max %g: each reply took 50 µs, and a look takes %v", p50, most, look)
	}
	if l := o.Limit(); l.By != result.ByRequest {
		t.Errorf("limit %+v", l)
	}
	if w.taken != 0 {
		t.Errorf("%d frames are not given back", w.taken)
	}
	for k, at := range w.took {
		if due := time.Duration(k) * 100 * time.Microsecond; at < due || at > due+3*look {
			t.Fatalf("request %d was sent at %v, and due at %v", k, at, due)
		}
	}
}

// Known faults of a server are found exactly.
func TestKnownFaults(t *testing.T) {
	const n = 10_000
	late := delivery{after: 1100 * time.Millisecond}
	for _, c := range []struct {
		name   string
		change func(n int, good delivery, p *reply) []delivery
		want   Outcome
	}{
		{"drops every 10th", func(n int, good delivery, _ *reply) []delivery {
			if n%10 == 9 {
				return nil
			}
			return []delivery{good}
		}, Outcome{Answered: n * 9 / 10, Lost: n / 10}},
		{"answers every 4th with another xid", func(n int, good delivery, p *reply) []delivery {
			if n%4 == 0 {
				p.payload[4] ^= 0x80
				return []delivery{{quick, p.frame()}}
			}
			return []delivery{good}
		}, Outcome{Answered: n * 3 / 4, Lost: n / 4, Reasons: [dhcpc.Reasons]uint64{dhcpc.WrongXID: n / 4}}},
		{"sends every 5th no server identifier", func(n int, good delivery, p *reply) []delivery {
			if n%5 == 0 {
				p.set(54, 0, 0, 0, 0)
			}
			return []delivery{{quick, p.frame()}}
		}, Outcome{Answered: n * 4 / 5, Wrong: n / 5, Reasons: [dhcpc.Reasons]uint64{dhcpc.NoServerID: n / 5}}},
		{"answers every other twice", func(n int, good delivery, p *reply) []delivery {
			if n%2 == 0 {
				return []delivery{good, {2 * quick, good.frame}}
			}
			return []delivery{good}
		}, Outcome{Answered: n, Duplicates: n / 2}},
		{"answers every 100th late", func(n int, good delivery, _ *reply) []delivery {
			if n%100 == 0 {
				return []delivery{{late.after, good.frame}}
			}
			return []delivery{good}
		}, Outcome{Answered: n * 99 / 100, Late: n / 100}},
		{"answers every 10th wrongly before rightly", func(n int, good delivery, p *reply) []delivery {
			if n%10 == 0 {
				p.meta.Src = netip.AddrPortFrom(server, 1067)
				return []delivery{{quick, p.frame()}, {2 * quick, good.frame}}
			}
			return []delivery{good}
		}, Outcome{Answered: n, Reasons: [dhcpc.Reasons]uint64{dhcpc.WrongSource: n / 10}}},
		{"answers every 10th rightly before wrongly, and too late after wrongly", func(n int, good delivery, p *reply) []delivery {
			p.set(60, 'X')
			switch n % 20 {
			case 0:
				return []delivery{good, {2 * quick, p.frame()}}
			case 10:
				return []delivery{{quick, p.frame()}, {late.after, good.frame}}
			}
			return []delivery{good}
		}, Outcome{Answered: n * 19 / 20, Late: n / 20, Reasons: [dhcpc.Reasons]uint64{dhcpc.NotPXE: n / 10}}},
		{"another machine answers every 8th first", func(n int, good delivery, p *reply) []delivery {
			if n%8 == 0 {
				p.meta.Src = netip.AddrPortFrom(netip.MustParseAddr("192.0.2.99"), 67)
				return []delivery{{quick / 2, p.frame()}, good}
			}
			return []delivery{good}
		}, Outcome{Answered: n, Others: n / 8}},
		{"is silent", func(int, delivery, *reply) []delivery { return nil }, Outcome{Lost: n}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, w := fakeGun(t, Load{Server: server}, c.change)
			o := mustRun(t, g, Fixed(n, time.Second))
			if o.Sent != n || o.Answered != c.want.Answered || o.Late != c.want.Late || o.Wrong != c.want.Wrong || o.Lost != c.want.Lost {
				t.Errorf("sent %d, answered %d, late %d, wrong %d, lost %d; want %d, %d, %d, %d, %d", o.Sent, o.Answered, o.Late, o.Wrong, o.Lost,
					n, c.want.Answered, c.want.Late, c.want.Wrong, c.want.Lost)
			}
			if o.Duplicates != c.want.Duplicates || o.Reasons != c.want.Reasons || o.Others != c.want.Others || o.Stale != 0 {
				t.Errorf("duplicates %d, wrong replies %v, others %d, stale %d; want %d, %v, %d, 0", o.Duplicates, o.Reasons, o.Others, o.Stale,
					c.want.Duplicates, c.want.Reasons, c.want.Others)
			}
			if uint64(o.Latency.Count()) != o.Answered {
				t.Errorf("%d latencies of %d answers", o.Latency.Count(), o.Answered)
			}
			if w.taken != 0 {
				t.Errorf("%d frames are not given back", w.taken)
			}
		})
	}
}

// What comes after its run belongs to none, and spoils no later one.
func TestRepliesOfAnEarlierRun(t *testing.T) {
	g, w := fakeGun(t, Load{}, func(n int, good delivery, _ *reply) []delivery {
		if n < 100 {
			return []delivery{{5 * time.Second, good.frame}}
		}
		return []delivery{good}
	})
	if o := mustRun(t, g, Fixed(100, time.Second)); o.Lost != 100 {
		t.Errorf("lost %d", o.Lost)
	}
	w.clock.t = 4500 * time.Millisecond // the replies of the first come during the second
	if o := mustRun(t, g, Fixed(100, 2*time.Second)); o.Answered != 200 || o.Stale != 100 || o.Reasons != [dhcpc.Reasons]uint64{} {
		t.Errorf("answered %d, stale %d, wrong replies %v", o.Answered, o.Stale, o.Reasons)
	}
}

// Each request of each sort is one that its judge takes the answer to.
func TestKinds(t *testing.T) {
	clients := netip.MustParsePrefix("198.51.100.0/24")
	relay := netip.MustParseAddr("198.51.100.1")
	info, err := dhcpc.RelayInfo("eth0/7", "rack 3")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		load Load
	}{
		{"relayed", Load{Server: server, ServerMAC: serverMAC, Relay: relay, RelayInfo: info}},
		{"tagged", Load{VLAN: 42}},
		{"bootserver", Load{What: BootServer, Server: server, ServerMAC: serverMAC, Clients: clients}},
		{"both, relayed and tagged", Load{What: Both, Server: server, ServerMAC: serverMAC, Clients: clients, Relay: relay, VLAN: 7}},
		{"architectures", Load{Archs: []Share{{7, 3}, {0, 1}, {11, 1}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.load.Machines = 777
			g, _ := fakeGun(t, c.load, nil)
			if o := mustRun(t, g, Fixed(5000, time.Second)); o.Answered != 5000 {
				t.Errorf("answered %d of 5000: %v", o.Answered, o.Reasons)
			}
		})
	}
}

func TestRamp(t *testing.T) {
	g, w := fakeGun(t, Load{}, nil)
	o := mustRun(t, g, Schedule{From: 1000, To: 3000, For: 2 * time.Second})
	if o.Sent != 4000 || o.Answered != 4000 {
		t.Errorf("sent %d, answered %d", o.Sent, o.Answered)
	}
	first := 0
	for _, at := range w.took {
		if at < time.Second {
			first++
		}
	}
	if first < 1499 || first > 1501 { // 1000 + 2000/2 in the middle, 1500 a second until there
		t.Errorf("%d requests in the first second", first)
	}
	sum := 0.0
	for _, p := range o.Row("x").Series[0].Points {
		sum += p.V * slice.Seconds()
	}
	if sum < 3999.9 || sum > 4000.1 {
		t.Errorf("the series adds up to %g", sum)
	}
}

// A gun that cannot send says that it was the limit; one that lost replies, too.
func TestLimit(t *testing.T) {
	g, w := fakeGun(t, Load{}, nil)
	g.load.Late = 100 * time.Millisecond
	g.workers[0].port = &slowSender{w}
	o := mustRun(t, g, Fixed(100_000, time.Second))
	if l := o.Limit(); l.By != result.ByGenerator || !o.Behind() || !strings.Contains(l.Why, "due") {
		t.Errorf("sent %d of 100000: %+v", o.Sent, l)
	}

	o = mustRun(t, g, Schedule{For: time.Second, Saturate: true})
	if l := o.Limit(); l.By != result.ByGenerator || !strings.Contains(l.Why, "no more than 8") || o.Answered != o.Sent || o.Sent < 7000 {
		t.Errorf("%v: %+v", o, l)
	}

	dropping := Outcome{Schedule: Fixed(1000, time.Second), Sent: 1000, Answered: 900, Lost: 100, Dropped: 90, Sending: time.Second}
	if l := dropping.Limit(); l.By != result.ByGenerator || !strings.Contains(l.Why, "lost 90") {
		t.Errorf("%+v", l)
	}
	dropping.Dropped = 10
	if l := dropping.Limit(); l.By != result.ByServer {
		t.Errorf("%+v", l)
	}
}

// slowSender takes a millisecond for each burst and has room for ten frames.
type slowSender struct{ *wire }

func (s *slowSender) Alloc(dst []port.Frame) int { return s.wire.Alloc(dst[:min(len(dst), 10)]) }

func (s *slowSender) Send(f []port.Frame) (int, error) {
	s.clock.t += time.Millisecond
	return s.wire.Send(f[:min(len(f), 8)])
}

func TestCancelled(t *testing.T) {
	g, w := fakeGun(t, Load{}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	stopped := false
	serve := w.server
	w.server = func(request []byte) []delivery {
		if !stopped {
			stopped = true
			cancel()
			<-ctx.Done()
		}
		return serve(request)
	}
	o, err := g.Run(ctx, Fixed(10, 50*time.Second))
	if !errors.Is(err, context.Canceled) || o == nil || o.Sent == 0 || o.Answered != o.Sent {
		t.Errorf("%+v, %v", o, err)
	}
}

// The gun answers ARP for its relay and its clients, and finds its server by it.
func TestARP(t *testing.T) {
	c := &clock{}
	clients := netip.MustParsePrefix("198.51.100.0/24")
	w := &wire{clock: c}
	w.server = func(request []byte) []delivery {
		a, ok := parseARP(request)
		if !ok || a.op != arpRequest || a.target != server {
			t.Errorf("not the request that was expected: %x", request)
			return nil
		}
		other := arp{op: arpReply, senderMAC: [6]byte{2}, sender: server.Next(), target: a.sender}
		mine := arp{op: arpReply, senderMAC: serverMAC, sender: server, target: a.sender, targetMAC: a.senderMAC, etherTo: a.senderMAC}
		return []delivery{{quick, other.append(nil)}, {2 * quick, mine.append(nil)}}
	}
	g, err := newGun(t.Context(), Load{What: BootServer, Server: server, Clients: clients}, []port.Port{w}, c.now)
	if err != nil {
		t.Fatal(err)
	}
	if g.load.ServerMAC != serverMAC || w.taken != 0 {
		t.Errorf("server at %x, %d frames not given back", g.load.ServerMAC, w.taken)
	}

	var replies []arp
	w.server = func(frame []byte) []delivery {
		if a, ok := parseARP(frame); ok {
			replies = append(replies, a)
		}
		return nil
	}
	for _, target := range []string{"198.51.100.77", "203.0.113.1"} {
		who := arp{op: arpRequest, senderMAC: serverMAC, sender: server, target: netip.MustParseAddr(target)}
		w.queue = append(w.queue, delivery{0, who.append(nil)})
	}
	mustRun(t, g, Fixed(1, time.Second))
	if len(replies) != 1 || replies[0].sender != netip.MustParseAddr("198.51.100.77") || replies[0].target != server ||
		replies[0].op != arpReply || replies[0].senderMAC != [6]byte(w.MAC()) {
		t.Errorf("%+v", replies)
	}
}

func TestNoServerAnswersARP(t *testing.T) {
	c := &clock{}
	w := &wire{clock: c, server: func([]byte) []delivery { return nil }}
	_, err := newGun(t.Context(), Load{Server: server, Relay: netip.MustParseAddr("198.51.100.1")}, []port.Port{w}, c.now)
	if err == nil || !strings.Contains(err.Error(), "192.0.2.10 does not answer ARP") {
		t.Error(err)
	}
}

// Nothing is allocated for a packet.
func TestNoAllocation(t *testing.T) {
	info, _ := dhcpc.RelayInfo("eth0/7", "")
	g, w := fakeGun(t, Load{Server: server, ServerMAC: serverMAC, Relay: netip.MustParseAddr("198.51.100.1"), RelayInfo: info}, nil)
	mustRun(t, g, Fixed(1, time.Second))
	worker := g.workers[0]
	r := &run{schedule: Fixed(1, time.Second), start: w.clock.t}
	worker.reset(100)
	buf := make([]byte, 0, port.FrameRoom)
	var answer []byte
	w.server = func(request []byte) []delivery { answer = request; return nil }
	serve := (&answerer{t: t}).serve
	if err := worker.fire(r, 1); err != nil {
		t.Fatal(err)
	}
	answer = serve(answer)[0].frame
	if n := testing.AllocsPerRun(100, func() {
		worker.plan.make(&worker.req, 5, 5)
		if worker.req.sort.template.Frame(buf, &worker.req.meta, &worker.req.vars) == nil {
			t.Fatal("no frame")
		}
		g.table.put(5, 0)
		worker.judgeFrame(r, answer, w.clock.t)
	}); n != 0 {
		t.Errorf("%g allocations a packet", n)
	}
	if worker.tally.answered != 1 || worker.tally.duplicates != 100 {
		t.Errorf("%+v", worker.tally)
	}
}

func TestLoadMistakes(t *testing.T) {
	for _, c := range []struct {
		load Load
		want string
	}{
		{Load{What: BootServer, Clients: netip.MustParsePrefix("192.0.2.0/24")}, "address is needed"},
		{Load{What: BootServer, Server: server}, "network for them is needed"},
		{Load{What: Both, Server: server, Clients: netip.MustParsePrefix("192.0.2.0/30")}, "/29"},
		{Load{VLAN: 4095}, "VLAN"},
		{Load{Archs: []Share{{7, 0}}}, "weight"},
		{Load{What: BootServer, Server: server, Clients: netip.MustParsePrefix("192.0.2.0/24"), Archs: []Share{{16, 1}}}, "HTTP"},
		{Load{Server: netip.MustParseAddr("2001:db8::1")}, "IPv4"},
		{Load{Machines: -1}, "machines"},
	} {
		if err := c.load.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.load, err, c.want)
		}
	}
}
