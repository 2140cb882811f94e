package decide

import (
	"net/netip"

	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/fleet"
	"github.com/xdpxe/xdpxe/responder/hook"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// ExitScript is the name by which iPXE is sent to its disk where the policy
// names no file for it. Who serves files has the content built in.
const ExitScript = policy.ExitScript

// Config is what a Decider decides by. All but Policy may be left out.
type Config struct {
	Policy    *policy.Snapshot
	Catalogue *deploy.Catalogue     // nil: nothing is deployed, nobody is known or ignored
	Webhooks  map[string]*hook.Hook // by the names that rules have for them
	Fleet     func() *fleet.View    // nil, or returns nil: there is no other server
	Clients   *Clients              // nil: a new one
	// StrictFiles: files are for the machines whose they are, so each answer must
	// be told of with the machine's identity.
	StrictFiles bool
}

// Clients is what is remembered of clients that wait for an answer. All Deciders
// of a server, one after another, and its Recorder share one.
type Clients struct {
	delayed *fleet.Asked // DISCOVERs for which rules have a delay
	owned   *fleet.Asked // DISCOVERs that other members come before this one for
}

// NewClients returns one that knows nobody.
func NewClients() *Clients { return &Clients{delayed: fleet.NewAsked(), owned: fleet.NewAsked()} }

// Answered notes that a client has chosen an offer: its next DISCOVER is a first one.
func (c *Clients) Answered(mac []byte) {
	k := fleet.KeyOf(mac)
	c.delayed.Answered(k)
	c.owned.Answered(k)
}

// Decider decides who is answered, and with what. It is a dhcp.Policy and a
// publish.Policy, does not change, and may be used by any number of goroutines.
type Decider struct {
	policy    *policy.Snapshot
	catalogue *deploy.Catalogue
	webhooks  map[string]*hook.Hook
	fleet     func() *fleet.View
	clients   *Clients
	strict    bool
}

// New returns a Decider.
func New(c Config) *Decider {
	d := &Decider{policy: c.Policy, catalogue: c.Catalogue, webhooks: c.Webhooks, fleet: c.Fleet, clients: c.Clients, strict: c.StrictFiles}
	if d.fleet == nil {
		d.fleet = func() *fleet.View { return nil }
	}
	if d.clients == nil {
		d.clients = NewClients()
	}
	return d
}

// Policy returns the rules.
func (d *Decider) Policy() *policy.Snapshot { return d.policy }

// Allowed is the policy's.
func (d *Decider) Allowed(a netip.Addr) bool { return d.policy.Allowed(a) }

// VendorClass is the policy's.
func (d *Decider) VendorClass(class []byte) (http, ok bool) { return d.policy.VendorClass(class) }

// UsesRelayFacts is the policy's; webhooks are told them, too.
func (d *Decider) UsesRelayFacts() bool {
	return d.policy.UsesRelayFacts() || len(d.policy.Webhooks()) > 0
}

// Clients are the networks that the policy answers at all.
func (d *Decider) Clients() []netip.Prefix { return d.policy.Clients() }

// Depends says what a decision rests on.
func (d *Decider) Depends(m *policy.Machine, network netip.Prefix) policy.Dependence {
	dep := d.policy.Depends(m, network)
	dep.Identity = dep.Identity || d.strict || d.ignores() || d.several() || d.policy.Action(m, 0).Tracks()
	return dep
}

// ignores reports whether there is anybody on the ignore list.
func (d *Decider) ignores() bool {
	return d.catalogue != nil && d.catalogue.Snapshot().Stats().Ignored > 0
}

// several reports whether there are other members.
func (d *Decider) several() bool {
	v := d.fleet()
	return v != nil && len(v.Members()) > 1
}
