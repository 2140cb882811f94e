package publish

import (
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"

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

// maxTags bounds the outcomes that are told apart in what the kernel tells:
// clients choose among architectures, so they are not just as many as rules, and
// each deployment to one machine is two.
const maxTags = 1 << 16

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
	known known
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

// New returns a Publisher without a kernel.
func New() *Publisher {
	return &Publisher{queue: make(chan offer, queued), tags: make(map[Facts]uint32), known: known{seed: maphash.MakeSeed()}}
}

// Attach makes k the kernel's side. What templates it holds are void.
func (p *Publisher) Attach(k Kernel, l Limits) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attach(k, l)
}

func (p *Publisher) attach(k Kernel, l Limits) {
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
	f := p.facts[tag-1]
	return f, p.tags[f] == tag // else it was a former daemon's, and stands for nothing now
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
