package gun

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/bench/xdp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// mostLive bounds the machines of a live sender: each takes 24 bytes in the kernel.
const mostLive = 1 << 20

// Live runs a load from the kernel (bench/xdp): at one rate from one CPU, or as
// fast as it goes from so many. It knows DISCOVERs only. The kernel matches all
// replies and looks at their headers; whole messages are judged of some
// (Outcome.Looked). Latencies are from the moment that a request is sent, not
// from when it was due, and as exact as some 10 µs.
//
// progress, if not nil, is called about once a second on a goroutine of its own.
func Live(ctx context.Context, ifname string, mac [6]byte, load Load, s Schedule, senders int, progress func(Progress)) (*Outcome, error) {
	if err := load.complete(); err != nil {
		return nil, err
	}
	switch {
	case load.What != Discover || load.Lease:
		return nil, errors.New("the live sender sends DISCOVERs for boot servers only")
	case len(load.Archs) > 1:
		return nil, errors.New("the live sender has one architecture")
	case !s.Saturate && (s.From != s.To || senders > 1):
		return nil, errors.New("the live sender keeps one rate, from one CPU")
	case load.Relay.IsValid() && load.ServerMAC == [6]byte{}:
		return nil, errors.New("the live sender needs the server's MAC to be a relay")
	}
	load.Machines = min(load.Machines, mostLive)
	l := &live{load: &load, firstXID: rand.Uint32(), progress: progress}
	var err error
	if l.plan, err = newPlan(&load, mac, load.ServerMAC); err != nil {
		return nil, err
	}
	template, err := xdp.NewTemplate(l.example(0), l.example(1))
	if err != nil {
		return nil, err
	}
	o := xdp.Options{Interface: ifname, Template: template, FirstXID: l.firstXID, Patience: load.Late, Bounced: load.Bounced}
	for i := range load.Machines {
		o.Identities = append(o.Identities, identity(load.First+dhcpc.Identity(i)))
	}
	kernel, err := xdp.Open(o)
	if err != nil {
		return nil, err
	}
	out, err := l.run(ctx, kernel, s, senders)
	if err = errors.Join(err, kernel.Close()); err != nil {
		return nil, err
	}
	return out, nil
}

// live is a load that is sent by the kernel.
type live struct {
	load     *Load
	plan     *plan
	firstXID uint32
	progress func(Progress)
	req      request
	judge    dhcpc.Judge
	packet   packet.Packet
}

func identity(id dhcpc.Identity) xdp.Identity { return xdp.Identity{MAC: id.MAC(), UUID: id.UUID()} }

// example is the request of a serial number.
func (l *live) example(serial uint32) xdp.Example {
	l.plan.make(&l.req, serial, l.firstXID+serial)
	return xdp.Example{
		Frame:    l.req.sort.template.Frame(make([]byte, 0, xdp.MaxFrame), &l.req.meta, &l.req.vars),
		XID:      l.firstXID + serial,
		Identity: identity(l.req.vars.ID),
	}
}

func (l *live) run(ctx context.Context, kernel *xdp.Gun, s Schedule, senders int) (*Outcome, error) {
	out := &Outcome{Schedule: s, Latency: result.NewHistogram(), Busy: 1}
	looked := make(chan error, 1)
	go func() { looked <- kernel.Samples(func(s *xdp.Sample) { l.look(out, s) }) }()
	err := l.flood(ctx, kernel, out, senders)
	// Only when Samples has returned is out all ours.
	if err = errors.Join(err, kernel.EndSamples(), <-looked); err != nil {
		return nil, err
	}
	return out, nil
}

// flood sends, waits until nothing comes that could still be in time, and counts.
func (l *live) flood(ctx context.Context, kernel *xdp.Gun, out *Outcome, senders int) error {
	_, before, err := kernel.Drops()
	if err != nil {
		return err
	}
	done, watched := make(chan struct{}), make(chan error, 1)
	go func() { watched <- l.watch(kernel, out, done) }()
	shot, err := fire(ctx, kernel, out.Schedule, senders)
	close(done)
	if err = errors.Join(err, <-watched); err != nil {
		return err
	}
	counts, err := kernel.Settle(ctx, l.load.Late)
	if err != nil {
		return err
	}
	_, after, err := kernel.Drops()
	if err != nil {
		return err
	}
	out.Sending = shot.Elapsed
	if out.Schedule.Saturate {
		out.Schedule.For = shot.Elapsed
	}
	out.Sent, out.Refused, out.Dropped = shot.Sent+shot.Refused, shot.Refused, after-before
	out.Answered, out.Late, out.Wrong = counts[xdp.Answered], counts[xdp.Late], counts.Wrong()
	replied := out.Answered + out.Late + out.Wrong
	if replied > out.Sent {
		return fmt.Errorf("the live sender's accounts differ: %d requests have replies, of %d", replied, out.Sent)
	}
	out.Lost = out.Sent - replied
	out.blind = counts.Replies() == 0
	out.Duplicates, out.Stale = counts[xdp.Duplicate], counts[xdp.Stale]
	for verdict, why := range map[xdp.Verdict]dhcpc.Reason{xdp.Unknown: dhcpc.WrongXID, xdp.WrongOp: dhcpc.NotReply,
		xdp.WrongCHAddr: dhcpc.WrongMAC, xdp.WrongYIAddr: dhcpc.HasAddress, xdp.Malformed: dhcpc.Malformed} {
		out.Reasons[why] += counts[verdict]
	}
	return kernel.Latencies(out.Latency)
}

func fire(ctx context.Context, kernel *xdp.Gun, s Schedule, senders int) (xdp.Shot, error) {
	if s.Saturate {
		return kernel.Fire(ctx, s.For, senders)
	}
	return kernel.Pace(ctx, s.To, s.For)
}

// WarmLive does for Live what Gun.Warm does for a Gun: it sends little until
// something is answered, at most for a few seconds.
func WarmLive(ctx context.Context, ifname string, mac [6]byte, load Load) (bool, error) {
	load.Late = warmEvery
	for begin := time.Now(); time.Since(begin) < warmTime; {
		o, err := Live(ctx, ifname, mac, load, Fixed(100, warmEvery), 1, nil)
		if err != nil || o.Answered+o.Late > 0 {
			return err == nil, err
		}
	}
	return false, nil
}

// watch fills in the series, slice by slice, until done is closed.
func (l *live) watch(kernel *xdp.Gun, out *Outcome, done <-chan struct{}) error {
	begin := time.Now()
	tick := time.NewTicker(slice)
	defer tick.Stop()
	var last xdp.Counts
	for {
		select {
		case <-done:
			return nil
		case <-tick.C:
		}
		now, err := kernel.Counts()
		if err != nil {
			return err
		}
		out.sentIn = append(out.sentIn, now.Sent()-last.Sent())
		out.answered = append(out.answered, now[xdp.Answered]-last[xdp.Answered])
		last = now
		if l.progress != nil && len(out.sentIn)%int(time.Second/slice) == 0 {
			l.progress(Progress{Elapsed: time.Since(begin), Sent: int64(now.Sent()), Answered: int64(now[xdp.Answered] + now[xdp.Late])})
		}
	}
}

// look judges a reply that the kernel found good.
func (l *live) look(o *Outcome, s *xdp.Sample) {
	if s.Verdict != xdp.Answered && s.Verdict != xdp.Late || l.load.Bounced {
		return
	}
	o.Looked++
	if packet.Parse(s.Frame, &l.packet) != packet.Answered {
		o.LookedWrong[dhcpc.Malformed]++
		return
	}
	l.plan.make(&l.req, s.XID-l.firstXID, s.XID)
	expect := dhcpc.Expect{Kind: l.req.sort.kind, Spec: &l.req.sort.template.Spec, Vars: &l.req.vars}
	why := dhcpc.Addressing(&l.req.meta, &l.packet.Meta, &expect)
	if why == dhcpc.Valid {
		why = l.judge.Reply(l.packet.Payload, &expect)
	}
	if why != dhcpc.Valid {
		o.LookedWrong[why]++
	}
}
