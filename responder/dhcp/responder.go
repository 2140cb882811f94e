package dhcp

import (
	"net/netip"
	"time"

	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// Policy decides who is answered and with what; *policy.Snapshot is one. It
// must not change, and its methods must be safe for concurrent use and keep
// nothing of what they are given.
type Policy interface {
	// Decide says what a machine boots.
	Decide(*policy.Machine) policy.Decision
	// Allowed reports whether a relay, network or client address is served at all.
	Allowed(netip.Addr) bool
	// VendorClass reports whether option 60 is of a class that is served, and whether it wants HTTP.
	VendorClass(class []byte) (http, ok bool)
	// UsesRelayFacts reports whether a decision may depend on option 82, which
	// requests on 4011 do not carry: it is remembered from the DISCOVER then.
	UsesRelayFacts() bool
}

// Link is what is known of the network that a request came in on.
type Link struct {
	Name    string
	IfIndex int
	MAC     [6]byte    // Ethernet source of replies
	Addr    netip.Addr // of the boot server: option 54, siaddr and source of every reply
	// Prefixes are the interface's networks. Their Addr may be the
	// interface's own address, which then is no relay's.
	Prefixes []netip.Prefix
}

// local returns an address on the network itself: Addr, unless the boot
// server's address is one of another network.
func (l *Link) local() netip.Addr {
	for _, p := range l.Prefixes {
		if p.Contains(l.Addr) {
			return l.Addr
		}
	}
	if len(l.Prefixes) > 0 {
		return l.Prefixes[0].Addr()
	}
	return l.Addr
}

// Options are the optional parts of a Responder.
type Options struct {
	// Previous is the Responder that this one takes over from: what relays
	// said of clients between DISCOVER and boot server request is kept.
	Previous *Responder
}

// Responder is one configuration's way to answer: a policy and, if that policy
// depends on option 82, the memory of it. It is safe for concurrent use.
type Responder struct {
	policy Policy
	facts  *relayMemory // nil unless the policy uses it
}

// New returns a Responder that answers as p says.
func New(p Policy, opts Options) *Responder {
	r := &Responder{policy: p}
	if p.UsesRelayFacts() {
		if opts.Previous != nil {
			r.facts = opts.Previous.facts
		}
		if r.facts == nil {
			r.facts = newRelayMemory()
		}
	}
	return r
}

// Policy returns what r decides by.
func (r *Responder) Policy() Policy { return r.policy }

// Worker is one goroutine's state for answering: the view of the request in
// hand and the machine that the policy is asked about.
type Worker struct {
	r       *Responder
	view    View
	machine policy.Machine
	asked   bool       // the policy, about machine
	trial   bool       // nothing is to come of what is handled
	recall  relayFacts // copied out of the shared memory
}

// NewWorker returns a Worker of r. A Worker has one owner.
func (r *Responder) NewWorker() *Worker { return &Worker{r: r} }

// NewTrial returns a Worker that changes nothing by what it handles: it is for
// who wants to know what the answer would be.
func (r *Responder) NewTrial() *Worker { return &Worker{r: r, trial: true} }

// Machine returns what the policy was asked about by the last Handle, nil if it
// was not; it is borrowed from that request until the next one.
func (w *Worker) Machine() *policy.Machine {
	if !w.asked {
		return nil
	}
	return &w.machine
}

// Handle answers one request. in.Meta and in.Payload are the datagram, link
// the network that it came in on (nil if no address of ours is there), now the
// time for the policy and for what is remembered of relays.
//
// out must come with a Payload of length 0 and capacity conn.MaxPayload; if
// the Result's Reason is Answered, out.Payload and out.Meta are the reply,
// complete with VLAN tags and Ethernet addresses. Else out.Payload keeps its
// length 0. Nothing of in is kept.
func (w *Worker) Handle(now time.Time, link *Link, in, out *packet.Packet) (res Result) {
	w.asked = false
	res.Reason = w.examine(link, in, &res)
	if res.Reason != packet.Answered {
		return res
	}
	w.recallRelay(now, link, in, &res)
	m := &w.machine
	m.Now, m.Discover, m.Secs, m.Trial = now, res.Stage == StageDiscover, w.view.Secs(), w.trial
	w.asked = true
	res.Decision = w.r.policy.Decide(m)
	if res.Reason = res.Decision.Reason; res.Reason != packet.Answered {
		return res
	}
	// A reply without a file makes edk2 give up (PXE-E21), and one with the
	// wrong class makes an HTTP client ignore its DHCP server too.
	if res.Decision.File == "" || (res.Decision.Style == policy.StyleHTTP) != m.HTTP {
		res.Reason = packet.NoFileForArch
		return res
	}
	if res.Reason = w.build(link, &res, out); res.Reason == packet.Answered {
		w.address(link, in, &out.Meta, &res)
		w.rememberRelay(now, &res)
	}
	return res
}
