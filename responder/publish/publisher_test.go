package publish

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/conn"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// fakeKernel keeps templates as the real one does: those of other generations are not there.
type fakeKernel struct {
	mu         sync.Mutex
	generation uint64
	aside      bool
	templates  []*Template
	refuse     error
	counts     [NumOutcomes]uint64
	published  chan *Template
}

func newKernel() *fakeKernel { return &fakeKernel{published: make(chan *Template, 1000)} }

func (k *fakeKernel) Void() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.generation++
	k.templates = nil
	return k.generation
}

func (k *fakeKernel) Generation() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.generation
}

func (k *fakeKernel) StandAside(on bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.aside = on
}

func (k *fakeKernel) Publish(t *Template) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer func() { k.published <- t }()
	switch {
	case k.refuse != nil:
		return k.refuse
	case t.Generation != k.generation:
		return ErrVoid
	}
	k.templates = append(k.templates, t)
	return nil
}

func (k *fakeKernel) Outcomes(sums *[NumOutcomes]uint64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, n := range k.counts {
		sums[i] += n
	}
	return nil
}

// answers reports whether a template holds for in.
func (k *fakeKernel) answers(in packet.Packet) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.aside && slices.ContainsFunc(k.templates, func(t *Template) bool {
		return t.Answer(&in, &packet.Packet{Payload: make([]byte, 0, conn.MaxPayload)})
	})
}

// bench is a Publisher at work, and a tier 1 that offers.
type bench struct {
	*Publisher
	t      *testing.T
	kernel *fakeKernel
	r      *dhcp.Responder
	offers *Offers
	now    time.Time
	vlan   uint16 // of the last request of settle
}

func newBench(t *testing.T) *bench {
	b := &bench{Publisher: New(), t: t, kernel: newKernel(), r: answers(t, files()), now: start}
	b.offers = b.Offers()
	b.Attach(b.kernel, Limits{})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); b.Run(ctx, func(error) {}) }()
	t.Cleanup(func() { stop(); <-done })
	return b
}

// offer hands in to tier 1, which offers it as of generation.
func (b *bench) offer(generation uint64, in packet.Packet) {
	out := packet.Packet{Payload: make([]byte, 0, conn.MaxPayload)}
	res := b.r.NewWorker().Handle(b.now, lan(), &in, &out)
	b.offers.Offer(b.now, generation, b.r, lan(), &in, &res)
}

// settle waits until all that was offered so far has been looked at: a request
// of its own comes out behind it.
func (b *bench) settle() {
	b.t.Helper()
	b.vlan++
	b.offer(b.kernel.Generation(), tagged(requests()["no file"], b.vlan))
	select {
	case <-b.kernel.published:
	case <-time.After(20 * time.Second):
		b.t.Fatal("nothing is published")
	}
}

func TestPublisherPublishesOnce(t *testing.T) {
	b := newBench(t)
	in := requests()["uefi"]
	for range 3 {
		b.offer(b.Generation(), in)
		if tpl := <-b.kernel.published; tpl.Tag == 0 {
			t.Error("no tag")
		} else if f, ok := b.Facts(tpl.Tag); !ok || f.Stage != dhcp.StageDiscover || f.Reason != packet.Answered || f.Decision.File != "snponly.efi" {
			t.Errorf("facts %+v", f)
		}
		b.offer(b.Generation(), in) // not again
		b.settle()
		if !b.kernel.answers(in) {
			t.Fatal("the kernel does not answer")
		}
		b.Void()
		if b.kernel.answers(in) {
			t.Fatal("the kernel answers by what is void")
		}
	}
}

func TestPublisherForgetsWhatIsVoid(t *testing.T) {
	b := newBench(t)
	in := requests()["uefi"]
	old := b.Generation()
	b.Void()
	b.offer(old, in)
	b.offer(0, in)
	b.settle()
	if b.kernel.answers(in) {
		t.Error("decided under an old generation, and published")
	}
	if b.Generation() == old {
		t.Error("the generation is the old one")
	}
}

func TestPublisherStandsAside(t *testing.T) {
	b := newBench(t)
	in := requests()["uefi"]
	b.offer(b.Generation(), in)
	<-b.kernel.published
	b.Hold(true)
	if b.kernel.answers(in) || b.Generation() != 0 || !b.State().Held {
		t.Error("answers while held")
	}
	b.Void()
	b.Hold(false)
	if b.kernel.answers(in) {
		t.Error("what became void meanwhile holds again")
	}
	b.offer(b.Generation(), in)
	<-b.kernel.published
	if !b.kernel.answers(in) {
		t.Error("answers no more")
	}
}

func TestPublisherLimits(t *testing.T) {
	b := newBench(t)
	b.Limit(Limits{Discover: "deliver is tee"})
	b.offer(b.Generation(), requests()["uefi"])
	b.offer(b.Generation(), requests()["no file"])
	if tpl := <-b.kernel.published; tpl.Reply != nil {
		t.Error("an answer is published where none may be given")
	}
	b.offer(b.Generation(), requests()["4011"])
	<-b.kernel.published
	b.settle() // it is counted now
	st := b.State()
	if len(st.Covers) != 3 || st.Refused[WhyNoAnswers] != 1 {
		t.Fatalf("covers %+v, refused %v", st.Covers, st.Refused)
	}
	for _, c := range st.Covers {
		refused := c.Stage == dhcp.StageDiscover && c.Reason == packet.Answered
		if (c.Refused[WhyNoAnswers] != 0) != refused || (c.Patterns == 0) != refused {
			t.Errorf("%+v", c)
		}
	}
}

func TestPublisherRefusals(t *testing.T) {
	for err, want := range map[error]Why{ErrFull: WhyFull, ErrConflict: WhyConflict, errors.New("no"): WhyRefused} {
		b := newBench(t)
		b.kernel.refuse = err
		for range 3 {
			b.settle() // the last may not be counted yet
		}
		if st := b.State(); st.Refused[want] < 2 || len(st.Covers) != 1 || st.Refused[want] != st.Covers[0].Refused[want] || st.Covers[0].Patterns != 0 {
			t.Errorf("%v: %+v", err, st)
		}
	}
}

func TestPublisherKeepsCounts(t *testing.T) {
	b := newBench(t)
	b.kernel.counts[OutcomeOf(dhcp.StageDiscover, packet.Answered)] = 5
	if err := b.Detach(); err != nil {
		t.Fatal(err)
	}
	if b.Generation() != 0 || b.State().Attached {
		t.Error("there is a kernel")
	}
	second := newKernel()
	second.counts[OutcomeOf(dhcp.StageDiscover, packet.Answered)] = 2
	b.Attach(second, Limits{})
	if sums, err := b.Outcomes(); err != nil || sums[OutcomeOf(dhcp.StageDiscover, packet.Answered)] != 7 {
		t.Errorf("%v, %v", sums, err)
	}
}

// Offering costs a worker no allocation, never waits, and has a bound.
func TestOffer(t *testing.T) {
	p := New() // nobody takes from its queue
	p.Attach(newKernel(), Limits{})
	o, r, in := p.Offers(), answers(t, files()), requests()["uefi"]
	res := r.NewWorker().Handle(start, lan(), &in, &packet.Packet{Payload: make([]byte, 0, conn.MaxPayload)})
	if n := testing.AllocsPerRun(2*perSecond, func() { o.Offer(start, 1, r, lan0, &in, &res) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if len(p.queue) != queued {
		t.Errorf("%d are queued, want %d", len(p.queue), queued)
	}
	for range queued {
		<-p.queue
	}
	o.Offer(start, 1, r, lan0, &in, &res)
	if len(p.queue) != 0 {
		t.Error("more than its share of a second")
	}
	o.Offer(start.Add(time.Second), 1, r, lan0, &in, &res)
	res.Reason = packet.LeaseRequest
	o.Offer(start.Add(time.Second), 1, r, lan0, &in, &res)
	if len(p.queue) != 1 {
		t.Errorf("%d are queued in the next second, want the answered one", len(p.queue))
	}
}

var lan0 = lan()
