package publish

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// Kernel is what answers from templates on one interface.
type Kernel interface {
	// Void makes all templates void in one store and returns the number of the
	// generation that holds from now on.
	Void() uint64
	// Generation is the one that holds now. The kernel may begin one by itself.
	Generation() uint64
	// StandAside makes the kernel look at no template while on.
	StandAside(on bool)
	// Publish makes a template hold, if its generation still does.
	Publish(*Template) error
	// Outcomes adds to sums what was answered and ignored so far.
	Outcomes(sums *[NumOutcomes]uint64) error
}

// Errors of Kernel.Publish that are no fault; there may be more words around them.
var (
	ErrFull     = errors.New("no room for the template")
	ErrVoid     = errors.New("the template is of an old generation")
	ErrConflict = errors.New("another template holds for the same requests")
)

const (
	queued = 256 // requests between workers and the publisher
	// perSecond bounds what one worker hands over: copying a request takes it
	// less than answering one.
	perSecond = 1000
	// rest is how long the publisher sleeps between looks at its queue, so that
	// a storm does not wake it for each request.
	rest = 10 * time.Millisecond
	// maxTags bounds the outcomes that are told apart in what the kernel tells:
	// clients choose among architectures, so they are not just as many as rules.
	maxTags = 1 << 14
)

// Facts are what a tag stands for: what tier 1 would have said of the request.
type Facts struct {
	Stage    dhcp.Stage
	Reason   packet.Reason
	Decision Decision
}

// Publisher keeps the kernel's templates of one interface in step with what
// tier 1 answers there. It outlives the kernel's side, which may be closed and
// opened again. All methods are safe for concurrent use.
type Publisher struct {
	queue chan offer
	open  atomic.Pointer[opened]

	mu    sync.Mutex
	held  bool
	past  [NumOutcomes]uint64 // of kernels that are closed
	facts []Facts             // by tag, from 1 on
	tags  map[Facts]uint32
	cover coverage
}

// opened is the kernel's side while there is one.
type opened struct {
	kernel Kernel
	limits Limits
	held   bool
}

// Limits say where no answers are given in the kernel, and why: silences need
// no transmission, and are published all the same.
type Limits struct {
	Discover   string // empty: answers are given
	BootServer string
}

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

// New returns a Publisher without a kernel.
func New() *Publisher {
	return &Publisher{queue: make(chan offer, queued), tags: make(map[Facts]uint32)}
}

// Attach makes k, which holds no templates, the kernel's side.
func (p *Publisher) Attach(k Kernel, l Limits) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k.StandAside(p.held)
	p.open.Store(&opened{k, l, p.held})
	p.void(k)
}

// Limit changes where answers are given.
func (p *Publisher) Limit(l Limits) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o := p.open.Load(); o != nil && o.limits != l {
		p.open.Store(&opened{o.kernel, l, p.held})
		p.void(o.kernel)
	}
}

// Detach ends the kernel's side and keeps its counts.
func (p *Publisher) Detach() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.open.Swap(nil)
	if o == nil {
		return nil
	}
	o.kernel.StandAside(true)
	return o.kernel.Outcomes(&p.past)
}

// Void makes all templates void. Once it has returned no request is answered
// by what held before.
func (p *Publisher) Void() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o := p.open.Load(); o != nil {
		p.void(o.kernel)
	}
}

func (p *Publisher) void(k Kernel) {
	p.cover.reset(k.Void())
	if len(p.facts) > maxTags/2 {
		p.facts, p.tags = nil, make(map[Facts]uint32)
	}
}

// Hold keeps the kernel from answering while on.
func (p *Publisher) Hold(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = on
	if o := p.open.Load(); o != nil && o.held != on {
		o.kernel.StandAside(on)
		p.open.Store(&opened{o.kernel, o.limits, on})
	}
}

// Generation is what templates must be of to hold. Read it before anything
// that a decision rests on; 0 says that none is wanted.
func (p *Publisher) Generation() uint64 {
	if o := p.open.Load(); o != nil && !o.held {
		return o.kernel.Generation()
	}
	return 0
}

// Outcomes returns how many requests were answered or ignored in the kernel, by OutcomeOf.
func (p *Publisher) Outcomes() (sums [NumOutcomes]uint64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sums = p.past
	if o := p.open.Load(); o != nil {
		err = o.kernel.Outcomes(&sums)
	}
	return sums, err
}

// Facts returns what a tag stands for.
func (p *Publisher) Facts(tag uint32) (Facts, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if tag == 0 || int(tag) > len(p.facts) {
		return Facts{}, false
	}
	return p.facts[tag-1], true
}

// tag returns the number of some facts, 0 if there are too many of them.
func (p *Publisher) tag(f Facts) uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if tag, ok := p.tags[f]; ok {
		return tag
	}
	if len(p.facts) == maxTags {
		return 0
	}
	p.facts = append(p.facts, f)
	p.tags[f] = uint32(len(p.facts))
	return uint32(len(p.facts))
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
	known := known{seed: maphash.MakeSeed()}
	pause := time.NewTimer(rest)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case o := <-p.queue:
			if err := p.publish(c, &known, &o); err != nil {
				failed(err)
			}
		}
		for len(p.queue) > 0 {
			o := <-p.queue
			if err := p.publish(c, &known, &o); err != nil {
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
// lock meanwhile, for which a change of the policy would wait.
func (p *Publisher) publish(c *Compiler, k *known, o *offer) error {
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
	if !k.isNew(t) {
		return nil
	}
	if t.Tag = p.tag(facts); t.Tag == 0 {
		p.note(o.generation, facts, WhyFull, false)
		return nil
	}
	err := side.kernel.Publish(t)
	switch {
	case errors.Is(err, ErrVoid):
		return nil
	case errors.Is(err, ErrFull):
		why, err = WhyFull, nil
	case errors.Is(err, ErrConflict):
		why, err = WhyConflict, nil
	case err != nil:
		why = WhyRefused
	}
	p.note(o.generation, facts, why, t.Exact)
	return err
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
