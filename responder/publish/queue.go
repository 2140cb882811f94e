package publish

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"math/rand/v2"
	"time"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

const (
	queued = 256 // requests between workers and the publisher
	// perSecond bounds what one worker hands over: copying a request takes it
	// less than answering one.
	perSecond = 1000
	// rest is how long the publisher sleeps between looks at its queue, so that
	// a storm does not wake it for each request.
	rest = 10 * time.Millisecond
)

// offer is a request on its way to the publisher.
type offer struct {
	generation uint64
	answers    *dhcp.Responder
	link       *dhcp.Link
	meta       packet.Meta
	result     dhcp.Result
	length     int
	message    [MaxMessage]byte
}

// Offers is one worker's way to a Publisher.
type Offers struct {
	p      *Publisher
	second int64
	n      int
}

// Offers returns a new worker's way to p.
func (p *Publisher) Offers() *Offers { return &Offers{p: p} }

// Generation is the Publisher's, 0 of no Offers.
func (o *Offers) Generation() uint64 {
	if o == nil {
		return 0
	}
	return o.p.Generation()
}

// Offer hands over a request that tier 1 has handled, unless there are too
// many. It copies what it keeps, and neither allocates nor waits.
func (o *Offers) Offer(now time.Time, generation uint64, answers *dhcp.Responder, link *dhcp.Link, in *packet.Packet, res *dhcp.Result) {
	if generation == 0 || publishable&(1<<res.Reason) == 0 {
		return
	}
	if s := now.Unix(); s != o.second {
		o.second, o.n = s, 0
	}
	if o.n++; o.n > perSecond {
		return
	}
	r := offer{generation: generation, answers: answers, link: link, meta: in.Meta, result: *res, length: len(in.Payload)}
	copy(r.message[:], in.Payload)
	select {
	case o.p.queue <- r:
	default:
	}
}

// Run publishes what is offered until ctx ends. failed is told of templates that the kernel refuses.
func (p *Publisher) Run(ctx context.Context, failed func(error)) {
	c := NewCompiler(rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
	pause := time.NewTimer(rest)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-p.queue:
			if err := p.publish(c, &o); err != nil {
				failed(err)
			}
		}
		for len(p.queue) > 0 {
			o := <-p.queue
			if err := p.publish(c, &o); err != nil {
				failed(err)
			}
		}
		pause.Reset(rest)
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
	}
}

// publish makes a template of one request, unless there is one. It holds no
// lock while it makes it, for which a change of the policy would wait.
func (p *Publisher) publish(c *Compiler, o *offer) error {
	side := p.open.Load()
	if side == nil || side.kernel.Generation() != o.generation {
		return nil
	}
	facts := Facts{o.result.Stage, o.result.Reason, decisionOf(&o.result.Decision)}
	t, why := p.compile(c, side, o)
	if t == nil {
		p.note(o.generation, facts, why, false)
		return nil
	}
	if !p.isNew(t) {
		return nil
	}
	_, err := p.hand(side.kernel, t, facts)
	return err
}

// hand gives a template to the kernel.
func (p *Publisher) hand(k Kernel, t *Template, f Facts) (why Why, err error) {
	if t.Tag = p.tag(f); t.Tag == 0 {
		p.note(t.Generation, f, WhyFull, false)
		return WhyFull, nil
	}
	err = k.Publish(t)
	switch {
	case errors.Is(err, ErrVoid):
		return WhyVoid, nil
	case errors.Is(err, ErrFull):
		why, err = WhyFull, nil
	case errors.Is(err, ErrConflict):
		why, err = WhyConflict, nil
	case err != nil:
		why = WhyRefused
	}
	p.note(t.Generation, f, why, t.Exact)
	return why, err
}

func (p *Publisher) compile(c *Compiler, side *opened, o *offer) (*Template, Why) {
	switch res := &o.result; {
	case o.length > MaxMessage:
		return nil, WhyTooLong
	case res.Reason == packet.Answered && side.limits.of(res.Stage) != "":
		return nil, WhyNoAnswers
	}
	return c.Compile(time.Now(), &Request{
		Generation: o.generation, Answers: o.answers, Link: o.link, Result: o.result,
		Packet: packet.Packet{Meta: o.meta, Payload: o.message[:o.length]},
	})
}

func (p *Publisher) note(generation uint64, f Facts, why Why, exact bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cover.note(generation, f, why, exact)
}

func (p *Publisher) isNew(t *Template) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known.isNew(t)
}

func (l *Limits) of(s dhcp.Stage) string {
	if s == dhcp.StageBootServer {
		return l.BootServer
	}
	return l.Discover
}

// known are the templates of one generation.
type known struct {
	seed       maphash.Seed // clients choose what is hashed
	generation uint64
	templates  map[uint64]struct{}
}

// maxKnown bounds known; beyond it templates are published once more.
const maxKnown = 1 << 17

// isNew reports whether t was not seen before in its generation.
func (k *known) isNew(t *Template) bool {
	if t.Generation != k.generation || len(k.templates) >= maxKnown {
		k.generation, k.templates = t.Generation, make(map[uint64]struct{})
	}
	var h maphash.Hash
	h.SetSeed(k.seed)
	head := [...]uint16{t.Port, t.VIDs[0], t.VIDs[1], uint16(len(t.Request))}
	for _, v := range head {
		h.Write(binary.BigEndian.AppendUint16(nil, v))
	}
	h.Write(t.Dst[:])
	for i, b := range t.Request {
		h.WriteByte(b & t.Mask[i])
	}
	h.Write(t.Mask)
	if t.Exact {
		for _, b := range [][]byte{t.CHAddr[:], t.UUID[:], t.Source[:], t.CIAddr[:]} {
			h.Write(b)
		}
	} else {
		for _, p := range t.Networks {
			h.WriteString(p.String())
		}
	}
	sum := h.Sum64()
	if _, ok := k.templates[sum]; ok {
		return false
	}
	k.templates[sum] = struct{}{}
	return true
}
