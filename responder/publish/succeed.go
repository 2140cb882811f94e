package publish

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

const (
	// succeedFor bounds how long the templates of a former daemon hold while
	// they are decided anew: some ten thousand of them. Others are void.
	succeedFor = time.Second
	// maxChanged bounds those that are published anew at once.
	maxChanged = 4096
)

// Former is a kernel that may still answer by a former daemon's templates.
type Former interface {
	Kernel
	// IfIndex is the interface.
	IfIndex() int
	// Former returns the templates, which hold until Adopt or Void. What only
	// a reply needs is left out.
	Former() ([]*Template, error)
	// Keep lets one of them outlive Adopt if it is the same in all but the generation.
	Keep(*Template) bool
	// Adopt ends the others and returns the generation of those that are kept.
	Adopt() (generation uint64, err error)
}

// Decider returns what requests that come in so are answered by; nil: by nothing.
type Decider func(*packet.Meta) (*dhcp.Responder, *dhcp.Link)

// Succeed is Attach for a kernel that may hold a former daemon's templates. For
// each of them a request that fits it is decided anew. Where the outcome is the
// same, byte for byte, the template stays, and there is no moment without it.
// All others have ended when Succeed returns, and those whose requests get
// another answer now are published with it. An error says why none stayed.
func (p *Publisher) Succeed(k Former, l Limits, by Decider) (kept, changed int, err error) {
	kept, others, err := p.adopt(k, l, by)
	if err != nil {
		return 0, 0, err
	}
	var errs []error
	for _, d := range others {
		switch why, err := p.hand(k, d.template, d.facts); {
		case err != nil:
			errs = append(errs, err)
		case why == Published:
			changed++
		}
	}
	return kept, changed, errors.Join(errs...)
}

// decided is a template before it has a tag, and what that is to stand for.
type decided struct {
	template *Template
	facts    Facts
}

// adopt keeps the templates that are right and ends the others. It returns what
// is to be published in their place. A change of the policy waits for it, so that
// it makes all of them void.
func (p *Publisher) adopt(k Former, l Limits, by Decider) (kept int, others []decided, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	held, err := k.Former()
	tags := maxTag(held)
	if err != nil || len(held) == 0 || len(p.facts) > 0 || tags > maxTags/2 {
		p.attach(k, l)
		return 0, nil, err
	}
	k.StandAside(p.held)
	p.facts = make([]Facts, tags) // others get tags behind, which no event of the former's has
	var same []decided
	c := NewCompiler(rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
	for begin := time.Now(); len(held) > 0 && time.Since(begin) < succeedFor; held = held[1:] {
		t, facts := c.again(held[0], k.IfIndex(), l, by)
		switch {
		case t == nil:
		case p.stands(t, held[0].Tag, facts) && k.Keep(t):
			p.facts[t.Tag-1] = facts
			p.tags[facts] = t.Tag
			same = append(same, decided{t, facts})
		case len(others) < maxChanged && t.Exact == held[0].Exact: // else it would be for a machine that was made up
			others = append(others, decided{t, facts})
		}
	}
	generation, err := k.Adopt()
	if err != nil {
		clear(p.tags)
		p.attach(k, l)
		return 0, nil, err
	}
	p.cover.reset(generation)
	for _, d := range same {
		d.template.Generation = generation
		p.known.isNew(d.template)
		p.cover.note(generation, d.facts, Published, d.template.Exact)
	}
	for _, d := range others {
		d.template.Generation = generation
		p.known.isNew(d.template)
	}
	p.open.Store(&opened{k, l, p.held})
	return len(same), others, nil
}

func maxTag(list []*Template) (tag uint32) {
	for _, t := range list {
		tag = max(tag, t.Tag)
	}
	return tag
}

// stands gives t the former's tag, unless that stands for other facts.
func (p *Publisher) stands(t *Template, tag uint32, f Facts) bool {
	if tag == 0 {
		return false
	}
	if has, ok := p.tags[f]; ok {
		t.Tag = has
	} else if p.facts[tag-1] == (Facts{}) {
		t.Tag = tag
	}
	return t.Tag == tag
}

// again decides on a request that fits a template, and returns the template that
// is made of it now; nil: none.
func (c *Compiler) again(t *Template, ifIndex int, l Limits, by Decider) (*Template, Facts) {
	in, ok := c.like(t, ifIndex)
	if !ok {
		return nil, Facts{}
	}
	req := &Request{Packet: in}
	if req.Answers, req.Link = by(&in.Meta); req.Answers == nil {
		return nil, Facts{}
	}
	now := time.Now()
	_, req.Result = c.handle(now, req, &in)
	res := &req.Result
	if res.Reason == packet.Answered && l.of(res.Stage) != "" {
		return nil, Facts{}
	}
	made, _ := c.Compile(now, req)
	return made, Facts{res.Stage, res.Reason, decisionOf(&res.Decision)}
}

// like makes a request that fits t. What t leaves open is random in it.
func (c *Compiler) like(t *Template, ifIndex int) (packet.Packet, bool) {
	in := packet.Packet{Payload: t.Request}
	in.IfIndex, in.SrcMAC = ifIndex, [6]byte{0x02}
	in.Dst = netip.AddrPortFrom(netip.AddrFrom4(t.Dst), t.Port)
	for _, id := range t.VIDs { // whatever the tags, the kernel keeps them
		if id != 0 {
			in.VLANs[in.NumVLANs] = packet.VLAN{TPID: 0x8100, TCI: id}
			in.NumVLANs++
		}
	}
	source := netip.AddrFrom4(t.Source)
	if t.Port == packet.PortBINL && !t.Exact {
		for _, p := range t.Networks {
			if p.Bits() < 1 || p.Bits() > 30 { // networksOf makes none
				return in, false
			}
		}
		if len(t.Networks) == 0 {
			return in, false
		}
		source = t.Networks[0].Addr().Next()
	}
	in.Src = netip.AddrPortFrom(source, packet.PortDHCPClient)
	in = c.another(t, &in)
	return in, t.fits(&in)
}
