package publish

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/xdpxe/xdpxe/responder/conn"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// Policy is what is asked of a policy besides its decisions; *policy.Snapshot
// is one.
type Policy interface {
	// Depends says what a decision rests on; the machine may be anywhere in network.
	Depends(m *policy.Machine, network netip.Prefix) policy.Dependence
	// Clients are the networks that are answered at all; none: any.
	Clients() []netip.Prefix
}

// DHCP options that a template knows of.
const (
	optOverload   = 52
	optClientID   = 61
	optRelayInfo  = 82
	optClientUUID = 97

	relayCircuitID = 1
	relayRemoteID  = 2
)

// Request is one that tier 1 has answered, with all that it was answered by.
type Request struct {
	Generation uint64
	Answers    *dhcp.Responder
	Link       *dhcp.Link
	Packet     packet.Packet
	Result     dhcp.Result
}

// Compiler makes templates. It has one owner.
type Compiler struct {
	answers *dhcp.Responder
	worker  *dhcp.Worker
	view    dhcp.View
	rng     *rand.Rand
}

// NewCompiler returns a Compiler that draws from rng what it tries its templates with.
func NewCompiler(rng *rand.Rand) *Compiler { return &Compiler{rng: rng} }

// Compile makes the template for requests like req, all but its Tag, or says why there is none.
func (c *Compiler) Compile(now time.Time, req *Request) (*Template, Why) {
	res, in := &req.Result, &req.Packet
	if why := unfit(req); why != Published {
		return nil, why
	}
	rules, ok := req.Answers.Policy().(Policy)
	if !ok {
		return nil, WhyNoPolicy
	}
	if c.view.Parse(in.Payload) != packet.Answered {
		return nil, WhyDiffers // tier 1 could read it
	}
	if c.view.Option(optOverload) != nil {
		return nil, WhyOverload
	}
	reply, again := c.handle(now, req, in)
	if again != *res {
		return nil, WhyVoid
	}
	t := &Template{
		Generation: req.Generation, Outcome: OutcomeOf(res.Stage, res.Reason), Port: in.Dst.Port(),
		VIDs: vids(&in.Meta), Dst: in.Dst.Addr().As4(), Request: append([]byte(nil), in.Payload...),
	}
	if why := c.restrict(t, req, rules); why != Published {
		return nil, why
	}
	if res.Reason == packet.Answered {
		if why := c.reply(t, in, reply); why != Published {
			return nil, why
		}
	}
	if !c.holds(now, t, req) {
		if _, again := c.handle(now, req, in); again != *res {
			return nil, WhyVoid // it is decided by what changes, and that did meanwhile
		}
		return nil, WhyDiffers
	}
	return t, Published
}

// unfit finds what keeps a request from being a pattern for others.
func unfit(req *Request) Why {
	res := &req.Result
	asked := res.Reason != packet.ClientNotAllowed
	switch {
	case publishable&(1<<res.Reason) == 0:
		return WhyOutcome
	case len(req.Packet.Payload) > MaxMessage:
		return WhyTooLong
	case !asked && res.Stage == dhcp.StageBootServer:
		return WhySource // the same message from elsewhere is answered
	case asked && (!res.Decision.Cacheable || res.Decision.TTL != 0):
		return WhyTemporary
	case asked && res.Stage == dhcp.StageBootServer && req.Answers.Policy().UsesRelayFacts():
		return WhyRelayFacts
	case res.Notes != 0:
		return WhyNoted
	}
	return Published
}

// handle asks tier 1.
func (c *Compiler) handle(now time.Time, req *Request, in *packet.Packet) (*packet.Packet, dhcp.Result) {
	if c.answers != req.Answers {
		c.answers, c.worker = req.Answers, req.Answers.NewTrial()
	}
	out := &packet.Packet{Payload: make([]byte, 0, conn.MaxPayload)}
	res := c.worker.Handle(now, req.Link, in, out)
	return out, res
}

// everywhere is where a client on port 4011 may be.
var everywhere = netip.PrefixFrom(netip.IPv4Unspecified(), 0)

// restrict says which requests t holds for: the bytes that count, and who asks
// from where. It comes to the same for all requests that have those bytes.
func (c *Compiler) restrict(t *Template, req *Request, rules Policy) Why {
	res, in := &req.Result, &req.Packet
	on4011 := res.Stage == dhcp.StageBootServer
	var d policy.Dependence
	if res.Reason != packet.ClientNotAllowed {
		where := netip.Prefix{}
		if on4011 {
			where = everywhere
		}
		d = rules.Depends(c.worker.Machine(), where)
	}
	if res.Reason == packet.Answered && (d.CircuitID || d.RemoteID || req.Answers.Policy().UsesRelayFacts() && c.view.Option(optRelayInfo) != nil) {
		return WhyRelayFacts // tier 1 remembers them for 4011
	}
	c.mask(t, d)
	source, ciaddr := in.Src.Addr(), [4]byte(in.Payload[offCIAddr:])
	if t.Exact = d.Identity || d.Subnet; t.Exact {
		copy(t.CHAddr[:], in.Payload[offCHAddr:])
		t.UUID = t.uuid(in.Payload)
		if on4011 {
			t.Source, t.CIAddr = source.As4(), ciaddr
		}
		return Published
	}
	if !on4011 {
		return Published
	}
	t.Networks, t.Own = networksOf(req.Link, rules.Clients()), req.Link.Addr.As4()
	if !t.from(in) {
		return WhySource
	}
	return Published
}

// mask says which bytes of a request count: all but those that nothing reads
// and a reply merely repeats. Options in several pieces (RFC 3396) count whole.
func (c *Compiler) mask(t *Template, d policy.Dependence) {
	t.Mask = make([]byte, len(t.Request))
	for i := range t.Mask {
		t.Mask[i] = 0xff
	}
	open := func(at, n int) { clear(t.Mask[at : at+n]) }
	open(offXID, offSecs-offXID)
	open(offSecs, offFlags-offSecs)
	open(offCHAddr, offSName-offCHAddr)
	if t.Port == packet.PortBINL {
		open(offCIAddr, offYIAddr-offCIAddr)
	}
	if at, n, once := c.view.Where(optClientUUID); once && n == 17 && t.Request[at] == 0 {
		t.UUIDAt = at + 1
		open(at+1, 16)
	}
	if at, n, once := c.view.Where(optClientID); once && n >= 2 {
		open(at, n)
	}
	if at, n, once := c.view.Where(optRelayInfo); once {
		if _, ok := dhcp.ParseRelayInfo(t.Request[at : at+n]); !ok {
			return
		}
		for end := at + n; at < end; {
			code, n := t.Request[at], int(t.Request[at+1])
			if code == relayCircuitID && !d.CircuitID || code == relayRemoteID && !d.RemoteID {
				open(at+2, n)
			}
			at += 2 + n
		}
	}
}

// reply makes t answer as tier 1 did.
func (c *Compiler) reply(t *Template, in, out *packet.Packet) Why {
	if len(out.Payload) > MaxMessage {
		return WhyTooLong
	}
	t.Reply = append([]byte{}, out.Payload...)
	t.SrcMAC, t.SrcIP, t.SrcPort = out.SrcMAC, out.Src.Addr().As4(), out.Src.Port()
	if t.Port != packet.PortBINL {
		t.DstIP, t.DstPort = out.Dst.Addr().As4(), out.Dst.Port()
	}
	t.Broadcast = out.DstMAC != in.SrcMAC

	clear(t.Reply[offXID:offSecs])
	clear(t.Reply[offCHAddr:offSName])
	if t.Port == packet.PortBINL {
		clear(t.Reply[offCIAddr:offYIAddr])
	}
	var there dhcp.View
	if there.Parse(t.Reply) != packet.Answered {
		return WhyDiffers
	}
	for _, code := range [...]uint8{optClientID, optClientUUID, optRelayInfo} {
		from, n, once := c.view.Where(code)
		to, m, copied := there.Where(code)
		if !once || !copied || n == 0 || !hasZero(t.Mask[from:from+n]) {
			continue
		}
		if m != n {
			return WhyDiffers
		}
		clear(t.Reply[to : to+n])
		t.Echoes = append(t.Echoes, Echo{uint16(from), uint16(to), uint16(n)})
	}
	return Published
}

func hasZero(b []byte) bool {
	for _, x := range b {
		if x == 0 {
			return true
		}
	}
	return false
}
