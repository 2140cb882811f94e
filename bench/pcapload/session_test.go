package pcapload

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// mistake is how a scripted server goes wrong with a request: it changes the
// answer and where it comes from and goes to. Nil is silence.
type mistake func(reply *dhcptest.Message, m *packet.Meta) *dhcptest.Message

func fine(reply *dhcptest.Message, _ *packet.Meta) *dhcptest.Message { return reply }
func deaf(*dhcptest.Message, *packet.Meta) *dhcptest.Message         { return nil }

// answer is what the captured server answered to a frame, of the server under
// test and with a mistake.
func answer(t *testing.T, frame []byte, wrong mistake) []byte {
	t.Helper()
	var p packet.Packet
	if packet.Parse(frame, &p) != packet.Answered {
		t.Fatal("a frame that cannot be read")
	}
	request := parse(t, p.Payload)
	reply, m := proxyOffer(request, underTest), from("203.0.113.10:67", serverMAC, "255.255.255.255:68", broadcastMAC)
	if p.Dst.Port() == packet.PortBINL {
		reply = bootACK(request, underTest)
		m = packet.Meta{Src: p.Dst, Dst: p.Src, SrcMAC: serverMAC, DstMAC: p.SrcMAC}
	}
	if reply = wrong(reply, &m); reply == nil {
		return nil
	}
	c := capture{t: t}
	c.add(m, reply.Bytes())
	return c.frames[0].Data
}

// parse reads what a fake server needs of a request.
func parse(t *testing.T, b []byte) *dhcptest.Message {
	t.Helper()
	m := &dhcptest.Message{HLen: b[offHLen], XID: uint32(b[4])<<24 | uint32(b[5])<<16 | uint32(b[6])<<8 | uint32(b[7]), Flags: uint16(b[10]) << 8}
	copy(m.CHAddr[:], b[offCHAddr:])
	for at := 240; b[at] != 255; at += 2 + int(b[at+1]) {
		m.Add(b[at], b[at+2:at+2+int(b[at+1])]...)
	}
	return m
}

// play sends a whole session to a server that makes the mistake named for each
// request and copy, and answers a millisecond later.
func play(t *testing.T, s *Session, of func(e event) mistake) {
	t.Helper()
	for now := time.Duration(0); ; {
		wait, more := s.Until(now)
		if !more {
			return
		}
		now += max(wait, 0)
		n := s.Due(now)
		var replies [][]byte
		for i := range n {
			frame := s.Append(make([]byte, 0, 1600), i)
			if b := answer(t, frame, of(s.order[s.next+i])); b != nil {
				replies = append(replies, b)
			}
		}
		s.Sent(n, now)
		for _, b := range replies {
			s.Take(b, now+time.Millisecond)
		}
	}
}

func figures(row result.Row, names ...string) (got []string) {
	for _, name := range names {
		f, ok := row.Figure(name)
		if !ok {
			got = append(got, name+" is missing")
			continue
		}
		got = append(got, fmt.Sprintf("%s %g", name, f.Value))
	}
	return got
}

// recorded is a capture of three machines: one is answered at both steps, one at
// none, one asks for its lease only.
func recorded(t *testing.T) *capture {
	c := &capture{t: t}
	discover, ask := machine(1)
	c.broadcast(discover)
	c.offer(discover)
	c.ask4011(ask)
	c.ack4011(ask)
	silent, _ := machine(2)
	c.broadcast(silent)
	request, _ := machine(3)
	c.broadcast(request.Set(53, 3))
	return c
}

// What a server does like the captured one is alike, silence too.
func TestAlike(t *testing.T) {
	const copies = 50
	s := session(t, plan(t, recorded(t), target()), Pace{Copies: copies, Spread: time.Second})
	play(t, s, func(e event) mistake {
		if len(s.Requests[e.request].Want) == 0 {
			return deaf
		}
		return fine
	})
	row, notes := s.Result(port.Stats{})
	if got, want := figures(row, "sent", "alike", "answered", "silent alike", "different", "unanswered", "late", "p50"),
		[]string{"sent 200", "alike 1", "answered 100", "silent alike 100", "different 0", "unanswered 0", "late 0"}; !slices.Equal(got[:7], want) {
		t.Errorf("%v, want %v", got, want)
	}
	if p50, _ := row.Figure("p50"); p50.Value < 0.99e-3 || p50.Value > 1.01e-3 {
		t.Errorf("p50 %g s, want 1 ms", p50.Value)
	}
	if len(row.Failures) != 0 || len(notes) != 0 || row.Limit.By != result.ByRequest {
		t.Errorf("%v %v %+v", row.Failures, notes, row.Limit)
	}
}

// Each mistake is found, named, and counted once.
func TestDifferences(t *testing.T) {
	for _, c := range []struct {
		name  string
		wrong mistake
		want  []string
	}{
		{"silence", deaf, []string{"no answer"}},
		{"NAK", func(r *dhcptest.Message, _ *packet.Meta) *dhcptest.Message { return r.Set(53, 6) }, []string{"type differs: OFFER != NAK"}},
		{"no option 60", func(r *dhcptest.Message, _ *packet.Meta) *dhcptest.Message { return r.Drop(60) },
			[]string{`vendor class differs: PXEClient != ""`, "missing option 60"}},
		{"more options", func(r *dhcptest.Message, _ *packet.Meta) *dhcptest.Message { return r.Add(43, 1, 1, 1).Add(200, 1) },
			[]string{"extra option 43", "extra option 200"}},
		{"another file", func(r *dhcptest.Message, _ *packet.Meta) *dhcptest.Message { r.File = "grub\x1b[2J.efi"; return r },
			[]string{`file differs: boot/x64.efi != "grub\x1b[2J.efi"`}},
		{"a long file", func(r *dhcptest.Message, _ *packet.Meta) *dhcptest.Message {
			r.File = strings.Repeat("x", 100)
			return r
		},
			[]string{"file differs: boot/x64.efi != " + strings.Repeat("x", longestText) + "…"}},
		{"no next server", func(r *dhcptest.Message, _ *packet.Meta) *dhcptest.Message { r.SIAddr = leased; return r },
			[]string{"siaddr differs: the server != another"}},
		{"an address", func(r *dhcptest.Message, _ *packet.Meta) *dhcptest.Message { r.YIAddr = leased; return r },
			[]string{"yiaddr differs: none != another"}},
		{"another id", func(r *dhcptest.Message, _ *packet.Meta) *dhcptest.Message { return r.Set(54, 1, 2, 3, 4) },
			[]string{"server identifier differs: the server != another"}},
		{"another port", func(r *dhcptest.Message, m *packet.Meta) *dhcptest.Message {
			*m = from("203.0.113.10:4011", serverMAC, "203.0.113.77:69", broadcastMAC)
			return r
		}, []string{"source port differs: 67 != 4011", "destination port differs: 68 != 69", "destination differs: everybody != another"}},
		{"no flag", func(r *dhcptest.Message, _ *packet.Meta) *dhcptest.Message { r.Flags = 0; return r }, []string{"broadcast flag differs: true != false"}},
		{"another client", func(r *dhcptest.Message, _ *packet.Meta) *dhcptest.Message {
			r.CHAddr[5]++
			r.GIAddr = relay
			return r.Set(optUUID, append([]byte{0}, dhcptest.GUID[:]...)...)
		}, []string{"chaddr is not the request's", "option 97 is not the request's", "giaddr is not the request's"}},
	} {
		cap := recorded(t)
		cap.frames = cap.frames[:2]
		const copies = 3
		s := session(t, plan(t, cap, target()), Pace{Copies: copies})
		play(t, s, func(e event) mistake {
			if e.copy == 1 {
				return fine
			}
			return c.wrong
		})
		row, notes := s.Result(port.Stats{})
		want := map[string]uint64{}
		for _, reason := range c.want {
			want[reason] = copies - 1
		}
		if !maps.Equal(row.Failures, want) {
			t.Errorf("%s: %v, want %v", c.name, row.Failures, want)
		}
		if got, want := figures(row, "sent", "different"), []string{"sent 3", "different 2"}; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", c.name, got, want)
		}
		if len(notes) != len(c.want) || notes[0] != c.want[0]+": frames 1 (DISCOVER to port 67)" {
			t.Errorf("%s: notes %q", c.name, notes)
		}
	}
}

// What comes is one of: an answer, too late, too often, unasked for, not for us.
func TestAccounts(t *testing.T) {
	s := session(t, plan(t, recorded(t), target()), Pace{Copies: 1})
	frames := make([][]byte, len(s.Requests))
	for i := range frames {
		frames[i] = s.Append(make([]byte, 0, 1600), i)
	}
	s.Take(answer(t, frames[0], fine), 0) // nothing was sent
	s.Sent(len(frames), 10*time.Millisecond)
	s.Take(answer(t, frames[0], fine), 20*time.Millisecond)
	s.Take(answer(t, frames[0], fine), 30*time.Millisecond)   // once more
	s.Take(answer(t, frames[1], fine), 1100*time.Millisecond) // late
	s.Take(answer(t, frames[2], fine), 40*time.Millisecond)   // where there was silence
	others := answer(t, frames[3], func(r *dhcptest.Message, m *packet.Meta) *dhcptest.Message {
		*m = from("203.0.113.11:67", serverMAC, "255.255.255.255:68", broadcastMAC)
		return r.Set(54, 203, 0, 113, 11)
	})
	s.Take(others, 50*time.Millisecond)
	s.Take(answer(t, frames[3], func(r *dhcptest.Message, _ *packet.Meta) *dhcptest.Message { r.XID += 5; return r }), 0) // nobody's
	s.Take(frames[0], 0)
	s.Take([]byte("garbage"), 0)
	row, notes := s.Result(port.Stats{Dropped: 7})
	want := map[string]uint64{"answered more often than in the capture": 1, "late": 1, "answered where the capture has silence": 1}
	if !maps.Equal(row.Failures, want) {
		t.Errorf("%v, want %v", row.Failures, want)
	}
	if got, want := figures(row, "sent", "alike", "answered", "silent alike", "different", "unanswered", "late"),
		[]string{"sent 4", "alike 0.25", "answered 3", "silent alike 1", "different 3", "unanswered 0", "late 1"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if row.Limit.By != result.ByGenerator || row.Limit.Why != "it lost 7 received frames" {
		t.Errorf("%+v", row.Limit)
	}
	for _, want := range []string{"1 answers of other servers were not looked at", "1 answers came before their request"} {
		if !slices.Contains(notes, want) {
			t.Errorf("no %q in %q", want, notes)
		}
	}
}

func TestTiming(t *testing.T) {
	c := recorded(t) // requests 0, 2, 4 and 5 ms after the first
	ms := time.Millisecond
	for _, tc := range []struct {
		name string
		pace Pace
		want []time.Duration
	}{
		{"as captured", Pace{Copies: 1}, []time.Duration{0, 2 * ms, 4 * ms, 5 * ms}},
		{"half as fast", Pace{Copies: 1, Speed: 0.5}, []time.Duration{0, 4 * ms, 8 * ms, 10 * ms}},
		{"rate", Pace{Copies: 1, Rate: 100}, []time.Duration{0, 10 * ms, 20 * ms, 30 * ms}},
		{"held to the most", Pace{Copies: 1, Speed: 1e6, Most: 10_000}, []time.Duration{0, ms / 10, 2 * ms / 10, 3 * ms / 10}},
		{"rate held to the most", Pace{Copies: 1, Rate: 1e6, Most: 10_000}, []time.Duration{0, ms / 10, 2 * ms / 10, 3 * ms / 10}},
		{"spread", Pace{Copies: 2, Spread: 6 * ms}, []time.Duration{0, 2 * ms, 3 * ms, 4 * ms, 5 * ms, 5 * ms, 7 * ms, 8 * ms}},
	} {
		s := session(t, plan(t, c, target()), tc.pace)
		var got []time.Duration
		for _, e := range s.order {
			got = append(got, e.at)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
		if s.Due(tc.want[1]-1) != 1 {
			t.Errorf("%s: %d due before the second", tc.name, s.Due(tc.want[1]-1))
		}
	}
	p := plan(t, c, target())
	for _, bad := range []Pace{{}, {Copies: 1}, {Copies: 1, Late: 1, Rate: -1}, {Copies: MaxRequests, Late: 1}, {Copies: 1, Late: 1, Speed: math.NaN()},
		{Copies: 1, Late: 1, Most: math.Inf(1)}, {Copies: 1, Late: 1, Speed: 1e-300}, {Copies: 1, Late: 1, Rate: 1e-300}, {Copies: 2, Late: 1, Spread: -1}} {
		if _, err := NewSession(p, bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

// Answers of a hostile server are bounded in what they leave behind.
func TestReasonsAreBounded(t *testing.T) {
	c := recorded(t)
	c.frames = c.frames[:2]
	s := session(t, plan(t, c, target()), Pace{Copies: 2 * maxReasons})
	play(t, s, func(e event) mistake {
		return func(r *dhcptest.Message, _ *packet.Meta) *dhcptest.Message {
			r.File = fmt.Sprint(e.copy)
			return r
		}
	})
	row, notes := s.Result(port.Stats{})
	if len(row.Failures) != maxReasons+1 || row.Failures["other differences"] != maxReasons || len(notes) != maxNotes {
		t.Errorf("%d reasons, %d others, %d notes", len(row.Failures), row.Failures["other differences"], len(notes))
	}
}
