package xdp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// Load is a load of DHCP requests as fast as they can be sent.
type Load struct {
	Interface string // in the calling thread's network namespace
	Request   *dhcpc.Template
	Kind      dhcpc.Kind  // what answers it
	Meta      packet.Meta // where it is sent from and to; a zero SrcMAC: each machine's own
	Vars      dhcpc.Vars  // what all requests have in common; ID is the first machine's
	Machines  int         // different ones, in turn
	For       time.Duration
	Patience  time.Duration // 0: 1 s
	Senders   int           // CPUs that send
}

// Saturation is what became of a Load. Sent = Answered + Late + Wrong + Lost.
type Saturation struct {
	Shot
	Answered, Late uint64
	Wrong          uint64 // requests whose replies were all wrong
	Lost           uint64
	Odd            map[Verdict]uint64 // replies that were no answer
	// Overrun is how many frames the generator's interface had no room for:
	// where there are any, the counter was too slow and not the server.
	Overrun uint64
	Latency *result.Histogram
	Judged  uint64                  // answers whose options were looked at, and
	Invalid map[dhcpc.Reason]uint64 // what was wrong with those of them that firmware would not take
}

// Saturate sends the load and waits for the last answers.
func Saturate(ctx context.Context, l Load) (s *Saturation, err error) {
	t, machines, err := l.template()
	if err != nil {
		return nil, err
	}
	g, err := Open(Options{Interface: l.Interface, Template: t, Identities: machines, FirstXID: l.Vars.XID, Patience: l.Patience})
	if err != nil {
		return nil, err
	}
	s = &Saturation{Odd: map[Verdict]uint64{}, Latency: result.NewHistogram(), Invalid: map[dhcpc.Reason]uint64{}}
	judged := make(chan error, 1)
	go func() { judged <- s.judge(g, &l) }()
	err = s.fire(ctx, g, &l)
	err = errors.Join(err, g.EndSamples(), <-judged, g.Close())
	if err != nil {
		return nil, err
	}
	return s, nil
}

// template finds where requests differ, and makes the machines.
func (l *Load) template() (*Template, []Identity, error) {
	if l.Machines < 1 {
		return nil, nil, fmt.Errorf("live sender: %d machines", l.Machines)
	}
	machines := make([]Identity, l.Machines)
	for i := range machines {
		id := l.Vars.ID + dhcpc.Identity(i)
		machines[i] = Identity{MAC: id.MAC(), UUID: id.UUID()}
	}
	var examples [2]Example
	for i, xid := range [...]uint32{0x5ea1ab1e, 0xc0ffee11} {
		v, m := l.Vars, l.Meta
		v.XID = xid
		v.ID += dhcpc.Identity(i)
		e := &examples[i]
		*e = Example{XID: xid, Identity: Identity{MAC: v.ID.MAC(), UUID: v.ID.UUID()}}
		if m.SrcMAC == ([6]byte{}) {
			m.SrcMAC = e.MAC
		}
		if e.Frame = l.Request.Frame(make([]byte, MaxFrame), &m, &v); e.Frame == nil {
			return nil, nil, errors.New("live sender: the request does not fit a frame")
		}
	}
	t, err := NewTemplate(examples[0], examples[1])
	return t, machines, err
}

func (s *Saturation) fire(ctx context.Context, g *Gun, l *Load) (err error) {
	_, lostBefore, err := g.Drops()
	if err != nil {
		return err
	}
	if s.Shot, err = g.Fire(ctx, l.For, max(l.Senders, 1)); err != nil {
		return err
	}
	// An answer that comes later than that is late in any case.
	c, err := g.Settle(ctx, g.o.Patience)
	if err != nil {
		return err
	}
	_, lost, err := g.Drops()
	if err != nil {
		return err
	}
	s.Overrun = lost - lostBefore
	s.Answered, s.Late, s.Wrong = c[Answered], c[Late], c[counterWrong]
	done := s.Answered + s.Late + s.Wrong
	if done > s.Sent {
		return fmt.Errorf("live sender on %s: own accounts differ: %d requests sent, %d have replies", l.Interface, s.Sent, done)
	}
	s.Lost = s.Sent - done
	for v := Duplicate; v <= Malformed; v++ {
		if c[v] > 0 {
			s.Odd[v] = c[v]
		}
	}
	return g.Latencies(s.Latency)
}

// judge looks at the samples of good replies as firmware would.
func (s *Saturation) judge(g *Gun, l *Load) error {
	var judge dhcpc.Judge
	var p packet.Packet
	return g.Samples(func(sample *Sample) {
		if sample.Verdict != Answered && sample.Verdict != Late {
			return
		}
		s.Judged++
		v, m := l.Vars, l.Meta
		v.XID, v.ID = sample.XID, v.ID+dhcpc.Identity(sample.Machine)
		if m.SrcMAC == ([6]byte{}) {
			m.SrcMAC = v.ID.MAC()
		}
		e := dhcpc.Expect{Kind: l.Kind, Spec: &l.Request.Spec, Vars: &v}
		reason := dhcpc.Malformed
		if packet.Parse(sample.Frame, &p) == packet.Answered {
			if reason = judge.Reply(p.Payload, &e); reason == dhcpc.Valid {
				reason = dhcpc.Addressing(&m, &p.Meta, &e)
			}
			if reason == dhcpc.Valid {
				reason = dhcpc.Tagged(&m, &p.Meta)
			}
		}
		if reason != dhcpc.Valid {
			s.Invalid[reason]++
		}
	})
}
