package xdp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bench/lab/labtest"
	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// XDP actions.
const (
	drop = 1
	pass = 2
	tx   = 3
)

// loaded loads the programs of a gun without an interface.
func loaded(t *testing.T, l *load, o Options) *Gun {
	t.Helper()
	labtest.Need(t, false)
	tmpl, machines, err := l.template()
	if err != nil {
		t.Fatal(err)
	}
	o.Template, o.Identities, o.FirstXID = tmpl, machines, l.vars.XID
	if err := o.complete(); err != nil {
		t.Fatal(err)
	}
	g := &Gun{o: o}
	if err := g.load(); err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := g.read(); err != nil {
		t.Fatal(err)
	}
	return g
}

// sendOne runs the sender on one page of garbage.
func (g *Gun) sendOne(t *testing.T) []byte {
	t.Helper()
	out := make([]byte, g.o.Template.Len())
	in := bytes.Repeat([]byte{0xee}, len(out))
	action, out, err := g.objects.Send.Test(in)
	if err != nil || action != tx {
		t.Fatalf("action %d, %v", action, err)
	}
	return out
}

func TestSender(t *testing.T) {
	l := discover(t)
	g := loaded(t, l, Options{Slots: 128})
	for n := range 200 {
		if got, want := g.sendOne(t), l.frame(t, n); !bytes.Equal(got, want) {
			t.Fatalf("request %d\n got %x\nwant %x", n, got, want)
		}
	}
	c, err := g.Counts()
	if err != nil || c != (Counts{counterSent: 200}) {
		t.Errorf("counts %v, %v", c, err)
	}
	var s slot
	if err := g.objects.SlotsMap.Lookup(uint32(199%128), &s); err != nil || s.XID != l.vars.XID+199 || s.Sent == 0 {
		t.Errorf("slot %+v, %v", s, err)
	}
}

// reply makes a boot server's reply of a request.
func reply(t *testing.T, request []byte, change func(m *packet.Meta, msg []byte)) []byte {
	t.Helper()
	var p packet.Packet
	if packet.Parse(request, &p) != packet.Answered {
		t.Fatalf("no request: %x", request)
	}
	m := p.Meta
	m.DstMAC, m.SrcMAC = m.SrcMAC, [6]byte{2, 0, 0, 0, 0, 2}
	m.Src, m.Dst = packetAddr("192.0.2.10", 67), packetAddr("255.255.255.255", 68)
	msg := bytes.Clone(p.Payload)
	msg[0] = 2 // BOOTREPLY
	if change != nil {
		change(&m, msg)
	}
	frame := make([]byte, MaxFrame)
	copy(frame[packet.HeaderLen(&m):], msg)
	return frame[:packet.Build(frame, &m, len(msg))]
}

func TestReplies(t *testing.T) {
	xid := func(n uint32) func(*packet.Meta, []byte) {
		return func(_ *packet.Meta, msg []byte) { binary.BigEndian.PutUint32(msg[4:], discover(t).vars.XID+n) }
	}
	chaddr := func(_ *packet.Meta, msg []byte) { msg[28+5]++ }
	// Requests 0 to 9 are under way; each row's frames are replies to request 9 unless changed.
	for _, c := range []struct {
		name    string
		changes []func(*packet.Meta, []byte)
		want    map[Verdict]uint64
		passed  int // frames left to the kernel
	}{
		{name: "an answer", changes: []func(*packet.Meta, []byte){nil}, want: map[Verdict]uint64{Answered: 1}},
		{name: "two", changes: []func(*packet.Meta, []byte){nil, nil}, want: map[Verdict]uint64{Answered: 1, Duplicate: 1}},
		{name: "to two requests", changes: []func(*packet.Meta, []byte){nil, xid(1)}, want: map[Verdict]uint64{Answered: 2}},
		{name: "from 4011", changes: []func(*packet.Meta, []byte){func(m *packet.Meta, _ []byte) {
			m.Src, m.Dst = packetAddr("192.0.2.10", 4011), packetAddr("192.0.2.33", 4011)
		}}, want: map[Verdict]uint64{Answered: 1}},
		{name: "to a relay", changes: []func(*packet.Meta, []byte){func(m *packet.Meta, _ []byte) { m.Dst = packetAddr("198.51.100.1", 67) }},
			want: map[Verdict]uint64{Answered: 1}},
		{name: "in two VLANs", changes: []func(*packet.Meta, []byte){func(m *packet.Meta, _ []byte) {
			m.VLANs, m.NumVLANs = [2]packet.VLAN{{TPID: 0x88a8, TCI: 5}, {TPID: 0x8100, TCI: 6}}, 2
		}}, want: map[Verdict]uint64{Answered: 1}},
		{name: "never asked", changes: []func(*packet.Meta, []byte){xid(10), xid(200), xid(1 << 31)}, want: map[Verdict]uint64{Unknown: 3}},
		{name: "before the first", changes: []func(*packet.Meta, []byte){func(_ *packet.Meta, msg []byte) {
			binary.BigEndian.PutUint32(msg[4:], discover(t).vars.XID-1)
		}}, want: map[Verdict]uint64{Unknown: 1}},
		{name: "not the machine", changes: []func(*packet.Meta, []byte){chaddr}, want: map[Verdict]uint64{WrongCHAddr: 1, counterWrong: 1}},
		{name: "hardware type", changes: []func(*packet.Meta, []byte){func(_ *packet.Meta, msg []byte) { msg[1] = 6 }},
			want: map[Verdict]uint64{WrongCHAddr: 1, counterWrong: 1}},
		{name: "an address", changes: []func(*packet.Meta, []byte){func(_ *packet.Meta, msg []byte) { msg[16] = 192 }},
			want: map[Verdict]uint64{WrongYIAddr: 1, counterWrong: 1}},
		{name: "wrong, wrong, right", changes: []func(*packet.Meta, []byte){chaddr, chaddr, nil}, want: map[Verdict]uint64{WrongCHAddr: 2, Answered: 1}},
		{name: "right, wrong", changes: []func(*packet.Meta, []byte){nil, chaddr}, want: map[Verdict]uint64{Answered: 1, WrongCHAddr: 1}},
		{name: "a request to the client's port", changes: []func(*packet.Meta, []byte){func(_ *packet.Meta, msg []byte) { msg[0] = 1 }},
			want: map[Verdict]uint64{WrongOp: 1}},
		{name: "no magic", changes: []func(*packet.Meta, []byte){func(_ *packet.Meta, msg []byte) { msg[239] = 0 }}, want: map[Verdict]uint64{Malformed: 1}},
		{name: "somebody's relay", passed: 1, changes: []func(*packet.Meta, []byte){func(m *packet.Meta, msg []byte) {
			m.Dst, msg[0] = packetAddr("192.0.2.1", 67), 1
		}}},
		{name: "somebody's DISCOVER", passed: 1, changes: []func(*packet.Meta, []byte){func(m *packet.Meta, msg []byte) {
			m.Src, m.Dst, msg[0] = packetAddr("0.0.0.0", 68), packetAddr("255.255.255.255", 67), 1
		}}},
		{name: "another port", passed: 2, changes: []func(*packet.Meta, []byte){
			func(m *packet.Meta, _ []byte) { m.Dst = packetAddr("192.0.2.1", 69) },
			func(m *packet.Meta, _ []byte) { m.Src = packetAddr("192.0.2.10", 53) },
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := loaded(t, discover(t), Options{Slots: 128, Sample: 1, Patience: time.Hour})
			var last []byte
			for range 10 {
				last = g.sendOne(t)
			}
			passed := 0
			for _, change := range c.changes {
				frame := reply(t, last, change)
				if c.want[WrongCHAddr] == 0 {
					fixMachine(t, g, frame)
				}
				action, _, err := g.objects.Count.Test(frame)
				switch {
				case err != nil:
					t.Fatal(err)
				case action == pass:
					passed++
				case action != drop:
					t.Errorf("action %d", action)
				}
			}
			want := Counts{counterSent: 10}
			replies := uint64(0)
			for v, n := range c.want {
				want[v] = n
				if v < counterWrong {
					replies += n
				}
			}
			if got, err := g.Counts(); err != nil || got != want || passed != c.passed {
				t.Errorf("counts %v, passed %d, %v; want %v, %d", got, passed, err, want, c.passed)
			}
			if got := g.drain(t); got != replies {
				t.Errorf("%d samples of %d replies", got, replies)
			}
		})
	}
}

// fixMachine makes chaddr the one of the machine that has the xid.
func fixMachine(t *testing.T, g *Gun, frame []byte) {
	t.Helper()
	var p packet.Packet
	if packet.Parse(frame, &p) != packet.Answered {
		t.Fatalf("no reply: %x", frame)
	}
	serial := binary.BigEndian.Uint32(p.Payload[4:]) - g.o.FirstXID
	copy(p.Payload[28:], g.o.Identities[serial%uint32(len(g.o.Identities))].MAC[:])
}

// drain counts the samples that are there.
func (g *Gun) drain(t *testing.T) (n uint64) {
	t.Helper()
	if err := g.EndSamples(); err != nil {
		t.Fatal(err)
	}
	if err := g.Samples(func(*Sample) { n++ }); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestHead(t *testing.T) {
	l := discover(t)
	g := loaded(t, l, Options{Slots: 128, Sample: 1})
	request := g.sendOne(t)
	frame := reply(t, request, nil)
	for n := 14; n < len(frame); n++ {
		cut := frame[:n]
		action, _, err := g.objects.Count.Test(cut)
		// From the first byte of the message on it is a reply, if a bad one, up to the end of the magic.
		want := uint32(pass)
		if n >= 14+20+8 {
			want = drop
		}
		if err != nil || action != want {
			t.Fatalf("%d bytes: action %d, %v; want %d", n, action, err, want)
		}
	}
}

// age makes the request of slot 0 so much older, and returns when it was sent then.
func (g *Gun) age(t *testing.T, age time.Duration) (sent uint64) {
	t.Helper()
	var s slot
	if err := g.objects.SlotsMap.Lookup(uint32(0), &s); err != nil {
		t.Fatal(err)
	}
	s.Sent -= min(uint64(age), s.Sent-1) // the machine may be younger than that
	if err := g.objects.SlotsMap.Put(uint32(0), s); err != nil {
		t.Fatal(err)
	}
	return s.Sent
}

// The kernel's buckets are Go's: a reply's age is between two readings of the clock.
func TestAges(t *testing.T) {
	for _, age := range []time.Duration{0, time.Microsecond, 50 * time.Microsecond, time.Millisecond, 700 * time.Millisecond, 5 * time.Second, 3 * time.Minute} {
		g := loaded(t, discover(t), Options{Slots: 128, Patience: time.Hour})
		frame := reply(t, g.sendOne(t), nil)
		sent := g.age(t, age)
		least := monotonic(t) - sent
		if action, _, err := g.objects.Count.Test(frame); err != nil || action != drop {
			t.Fatalf("action %d, %v", action, err)
		}
		most := monotonic(t) - sent
		found := map[int]uint64{}
		var perCPU []uint64
		for i := range numBuckets {
			if err := g.objects.LatencyMap.Lookup(uint32(i), &perCPU); err != nil {
				t.Fatal(err)
			}
			for _, n := range perCPU {
				if n > 0 {
					found[i] += n
				}
			}
		}
		first, last := bucketOf(time.Duration(least)), bucketOf(time.Duration(most))
		for i, n := range found {
			if n != 1 || i < first || i > last {
				t.Errorf("age %v: buckets %v, want one of %d to %d", age, found, first, last)
			}
		}
		if len(found) != 1 {
			t.Errorf("age %v: buckets %v", age, found)
		}
	}
}

func TestLate(t *testing.T) {
	g := loaded(t, discover(t), Options{Slots: 128, Patience: time.Second})
	frame := reply(t, g.sendOne(t), nil)
	g.age(t, time.Second+time.Nanosecond)
	for range 2 {
		if action, _, err := g.objects.Count.Test(frame); err != nil || action != drop {
			t.Fatalf("action %d, %v", action, err)
		}
	}
	if c, err := g.Counts(); err != nil || c != (Counts{counterSent: 1, Late: 1, Duplicate: 1}) {
		t.Errorf("counts %v, %v", c, err)
	}
	h := result.NewHistogram()
	if err := g.Latencies(h); err != nil || h.Count() != 0 {
		t.Errorf("%d latencies of late answers, %v", h.Count(), err)
	}
}

// A request whose slot was given away is not found any more.
func TestStale(t *testing.T) {
	g := loaded(t, discover(t), Options{Slots: 64, Sample: 1})
	first := g.sendOne(t)
	for range 64 {
		g.sendOne(t)
	}
	if action, _, err := g.objects.Count.Test(reply(t, first, nil)); err != nil || action != drop {
		t.Fatalf("action %d, %v", action, err)
	}
	if c, err := g.Counts(); err != nil || c != (Counts{counterSent: 65, Stale: 1}) {
		t.Errorf("counts %v, %v", c, err)
	}
}

// A sender that keeps a rate sends what is due, and nothing once it is through.
func TestDue(t *testing.T) {
	g := loaded(t, discover(t), Options{Slots: 128})
	const most = 1 << 40
	for name, c := range map[string]struct {
		ago   time.Duration // since the first frame; 0: this is it
		sent  uint64
		total uint64
		until time.Duration
		want  uint32
	}{
		"the first":          {total: most, until: time.Hour, want: tx},
		"due":                {ago: 10 * time.Second, sent: 10, total: most, until: time.Hour, want: tx},
		"behind":             {ago: 10 * time.Second, sent: 3, total: most, until: time.Hour, want: tx},
		"not due":            {ago: 10 * time.Second, sent: 1000, total: most, until: time.Hour, want: drop},
		"all sent":           {ago: 10 * time.Second, sent: 5, total: 5, until: time.Hour, want: drop},
		"the time is over":   {ago: 10 * time.Second, sent: 5, total: most, until: 9 * time.Second, want: drop},
		"nothing to send":    {until: time.Hour, want: drop},
		"no time to send it": {total: most, want: drop},
	} {
		p := pace{Sent: c.sent, Frames: 1}
		if c.ago != 0 {
			p.Begun = monotonic(t) - uint64(c.ago)
		}
		if err := g.objects.PaceMap.Put(uint32(0), p); err != nil {
			t.Fatal(err)
		}
		if err := g.set(settings{Rate: 1, Total: c.total, Until: uint64(c.until)}); err != nil {
			t.Fatal(err)
		}
		before := monotonic(t)
		action, _, err := g.objects.Send.Test(make([]byte, g.o.Template.Len()))
		if err != nil || action != c.want {
			t.Errorf("%s: action %d, %v, want %d", name, action, err, c.want)
		}
		was := p
		if err := g.objects.PaceMap.Lookup(uint32(0), &p); err != nil {
			t.Fatal(err)
		}
		sent := p.Sent - was.Sent
		if sent == 1 != (c.want == tx) || sent == 1 && p.Ended != p.Last || p.Frames != 2 || p.Last < before || was.Begun != 0 && p.Begun != was.Begun || p.Begun == 0 {
			t.Errorf("%s: %+v, was %+v", name, p, was)
		}
	}
	if c, err := g.Counts(); err != nil || c.Sent() != 3 {
		t.Errorf("counts %v, %v", c, err)
	}
}

// A request that comes back is the answer, if that is what is awaited.
func TestBounced(t *testing.T) {
	g := loaded(t, discover(t), Options{Slots: 128, Bounced: true, Patience: time.Hour})
	request := g.sendOne(t)
	other := bytes.Clone(request)
	other[14+28+28+5]++ // chaddr
	for _, c := range []struct {
		frame []byte
		want  uint32
	}{{request, drop}, {request, drop}, {other, drop}, {reply(t, request, nil), pass}} {
		if action, _, err := g.objects.Count.Test(c.frame); err != nil || action != c.want {
			t.Errorf("action %d, %v, want %d", action, err, c.want)
		}
	}
	if c, err := g.Counts(); err != nil || c != (Counts{counterSent: 1, Answered: 1, Duplicate: 1, WrongCHAddr: 1}) {
		t.Errorf("counts %v, %v", c, err)
	}
}

// What finds no room for a sample is counted, and the reply all the same.
func TestSamplesFull(t *testing.T) {
	g := loaded(t, discover(t), Options{Slots: 128, Sample: 1})
	frame := reply(t, g.sendOne(t), nil)
	n := uint64(0)
	for c := (Counts{}); c.Unsampled() == 0; n++ {
		if _, _, err := g.objects.Count.Test(frame); err != nil {
			t.Fatal(err)
		}
		var err error
		if c, err = g.Counts(); err != nil {
			t.Fatal(err)
		}
		if c[Answered]+c[Duplicate] != n+1 || n > 1<<16 {
			t.Fatalf("%d replies, counts %v", n+1, c)
		}
	}
	if got := g.drain(t); got != n-1 {
		t.Errorf("%d samples of %d", got, n-1)
	}
}

func TestOpenRefuses(t *testing.T) {
	labtest.Need(t, false)
	l := discover(t)
	tmpl, machines, err := l.template()
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"no template":   {Interface: "lo", Identities: machines},
		"no identities": {Interface: "lo", Template: tmpl},
		"no interface":  {Interface: "xdpxe-none", Template: tmpl, Identities: machines},
		"slots":         {Interface: "lo", Template: tmpl, Identities: machines, Slots: 1 << 30},
		// Loopback has no native XDP.
		"loopback": {Interface: "lo", Template: tmpl, Identities: machines, Slots: 64},
	} {
		if g, err := Open(o); err == nil {
			t.Errorf("%s: taken", name)
			if err := g.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := Open(Options{Interface: "lo", Template: tmpl, Identities: machines, Slots: 64}); !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("loopback: %v", err)
	}
}

func monotonic(t *testing.T) uint64 {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return uint64(now.Nano())
}

func packetAddr(ip string, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(ip), port)
}
