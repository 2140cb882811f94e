package pcapload

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// What bounds a session.
const (
	// MaxRequests is how many requests a session may have, copies included.
	MaxRequests = 1 << 22
	// maxReasons bounds what hostile answers can make of the list of differences.
	maxReasons = 1000
)

// Session is one replay. It has no I/O and no clock: times count from its
// start. It has one owner.
type Session struct {
	*Plan
	Pace
	First    dhcpc.Identity // of the machines
	FirstXID uint32
	Hop, Own [macLen]byte // MAC of the server or the router before it, and of the port

	order  []event // what is sent, in time
	next   int
	states []state // by request and copy
	last   time.Duration

	view    dhcp.View
	packet  packet.Packet
	latency *result.Histogram
	count   counts
	reasons map[string]uint64
	notes   []note
}

// event is one copy of one request.
type event struct {
	at      time.Duration
	request int32
	copy    int32
}

// state is what became of one.
type state struct {
	sent    time.Duration // 0: not yet; else one more than it was
	answers uint16
	differs bool
}

// counts are of copies of requests, but for the last two, of frames.
type counts struct {
	sent, answered, late uint64
	behind               time.Duration // at most, of what should have been sent
	others, strays       uint64
}

// note says which requests of the capture a difference was found at, the first of them.
type note struct {
	reason   string
	requests []int
	more     bool
}

// NewSession lays out what is sent when.
func NewSession(p *Plan, pace Pace) (*Session, error) {
	if pace.Speed == 0 {
		pace.Speed = 1
	}
	if err := pace.check(p); err != nil {
		return nil, err
	}
	s := &Session{Plan: p, Pace: pace, latency: result.NewHistogram(), reasons: map[string]uint64{}}
	s.states = make([]state, len(p.Requests)*pace.Copies)
	s.order = make([]event, 0, len(s.states))
	for i, r := range p.Requests {
		for k := range pace.Copies {
			offset := time.Duration(float64(pace.Spread) * float64(k) / float64(pace.Copies))
			s.order = append(s.order, event{time.Duration(float64(r.At)/pace.Speed) + offset, int32(i), int32(k)})
		}
	}
	slices.SortStableFunc(s.order, func(a, b event) int { return int(a.at - b.at) })
	s.even()
	return s, nil
}

// Total is how many requests the session sends.
func (s *Session) Total() int { return len(s.order) }

// Length is when the last of them is due.
func (s *Session) Length() time.Duration { return s.order[len(s.order)-1].at }

// Due is how many requests are to be sent by now.
func (s *Session) Due(now time.Duration) (n int) {
	for s.next+n < len(s.order) && s.order[s.next+n].at <= now && n < burst {
		n++
	}
	return n
}

// Until is how long from now the next thing is to do: a request to send, or the
// last answer to give up. ok is false when nothing is left.
func (s *Session) Until(now time.Duration) (wait time.Duration, ok bool) {
	at := s.last + s.Late + grace
	if s.next < len(s.order) {
		at = s.order[s.next].at
	}
	return at - now, s.next < len(s.order) || now < at
}

// grace is how much longer than Late answers are received, to be called late.
const grace = 200 * time.Millisecond

// Append appends the frame of the request that is i places after the next, as
// Request.appendFrame does.
func (s *Session) Append(dst []byte, i int) []byte {
	e := s.order[s.next+i]
	r := s.Requests[e.request]
	id := s.identify(r, int(e.copy))
	return r.appendFrame(dst, &id, s.Hop, s.Own)
}

// Sent says that the next n requests have left.
func (s *Session) Sent(n int, now time.Duration) {
	for _, e := range s.order[s.next : s.next+n] {
		s.states[s.state(int(e.request), int(e.copy))].sent = now + 1
		s.count.behind = max(s.count.behind, now-e.at)
	}
	s.next += n
	s.count.sent += uint64(n)
	if n > 0 {
		s.last = now
	}
}

func (s *Session) state(request, k int) int { return request*s.Copies + k }

// Take looks at a received frame.
func (s *Session) Take(frame []byte, now time.Duration) {
	p, v := &s.packet, &s.view
	if packet.Parse(frame, p) != packet.Answered || len(p.Payload) <= offXID+4 || p.Payload[0] != opReply {
		return
	}
	xid := binary.BigEndian.Uint32(p.Payload[offXID:])
	n := int(xid - s.FirstXID)
	exchange, k := n/s.Copies, n%s.Copies
	if exchange >= len(s.exchanges) {
		return // another client's
	}
	if p.Src.Addr() != s.Server && !s.names(p.Payload) {
		s.count.others++
		return
	}
	requests := s.exchanges[exchange]
	sent := func(r *Request) bool { return s.states[s.state(r.index, k)].sent != 0 }
	readable := v.Parse(p.Payload) == packet.Answered
	var kind dhcp.MessageType
	if readable {
		kind, _ = v.Type()
	}
	i := choose(requests, sent, kind, p.Src.Port())
	if i < 0 {
		s.count.strays++
		return
	}
	r := requests[i]
	st := &s.states[s.state(r.index, k)]
	say := func(reason string) { s.differ(r, st, reason) }
	turn := int(st.answers)
	if st.answers < 1<<15 {
		st.answers++
	}
	if turn == 0 {
		took := now - (st.sent - 1)
		s.count.answered++
		s.latency.Record(took)
		if took > s.Late {
			s.count.late++
			say("late")
		}
	}
	switch {
	case !readable:
		say("malformed answer")
	case len(r.Want) == 0:
		say("answered where the capture has silence")
	case turn >= len(r.Want):
		say("answered more often than in the capture")
	default:
		id := s.identify(r, k)
		got := shapeOf(&p.Meta, v, s.Server)
		r.Want[turn].differ(&got, say)
		r.echoes(v, &id, say)
	}
}

// names says whether a reply calls itself the server's, behind whatever relay.
func (s *Session) names(payload []byte) bool {
	if s.view.Parse(payload) != packet.Answered {
		return false
	}
	id := s.view.Option(optServerID)
	return len(id) == 4 && s.Server.Is4() && [4]byte(id) == s.Server.As4()
}

// differ counts a difference.
func (s *Session) differ(r *Request, st *state, reason string) {
	if _, known := s.reasons[reason]; !known && len(s.reasons) >= maxReasons {
		reason = "other differences"
	}
	s.reasons[reason]++
	st.differs = true
	s.place(r, reason)
}

// place notes where a difference was found.
func (s *Session) place(r *Request, reason string) {
	i := slices.IndexFunc(s.notes, func(n note) bool { return n.reason == reason })
	if i < 0 && len(s.notes) == maxNotes {
		return
	}
	if i < 0 {
		i = len(s.notes)
		s.notes = append(s.notes, note{reason: reason})
	}
	n := &s.notes[i]
	switch {
	case slices.Contains(n.requests, r.index):
	case len(n.requests) < maxPlaces:
		n.requests = append(n.requests, r.index)
	default:
		n.more = true
	}
}
