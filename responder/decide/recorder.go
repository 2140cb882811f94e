package decide

import (
	"net/netip"
	"time"

	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// Bindings keeps which machine is behind an address. Its methods neither block
// nor keep what they are given.
type Bindings interface {
	// Answered: the machine was answered with that. Without circuitID none is known this time.
	Answered(mac, uuid []byte, arch, profile, deployment string, circuitID []byte, now time.Time)
	// Bind: the machine says that the address is its own.
	Bind(addr netip.Addr, mac, uuid []byte, now time.Time)
}

// RecorderConfig is whom a Recorder tells. All may be left out.
type RecorderConfig struct {
	Catalogue *deploy.Catalogue
	Clients   *Clients // those of the Deciders
	Bindings  Bindings
	Server    string // the name of this one
}

// Recorder takes down what follows from requests and answers: that machines were
// seen, that what is deployed to them was offered, which address they have, and
// that they have chosen an offer.
type Recorder struct {
	to RecorderConfig
}

// NewRecorder returns a Recorder.
func NewRecorder(c RecorderConfig) *Recorder { return &Recorder{to: c} }

// Observe takes down one request.
func (r *Recorder) Observe(e *responder.Event, m *policy.Machine) {
	c := deploy.Client{MAC: e.MAC[:e.MACLen]}
	if e.HasUUID {
		c.UUID = e.UUID[:]
	}
	if r.to.Clients != nil && asksForLease(e) {
		r.to.Clients.Answered(c.MAC)
	}
	if e.Reason == packet.Answered {
		r.answered(c, e, m)
	}
	if r.to.Bindings != nil && e.Address.IsValid() {
		r.to.Bindings.Bind(e.Address, c.MAC, c.UUID, e.Time)
	}
	if r.to.Catalogue != nil && e.Track {
		r.saw(c, e, m)
	}
}

// asksForLease reports whether it is a DHCPREQUEST, which all servers see.
func asksForLease(e *responder.Event) bool {
	if e.Stage != dhcp.StageOther {
		return false
	}
	return e.Reason == packet.LeaseRequest || e.Reason == packet.OtherServer || e.Reason == packet.BootItem
}

func (r *Recorder) answered(c deploy.Client, e *responder.Event, m *policy.Machine) {
	if r.to.Bindings != nil {
		var circuit []byte
		if m != nil {
			circuit = m.CircuitID
		}
		r.to.Bindings.Answered(c.MAC, c.UUID, e.Arch.String(), e.Profile, e.Deployment, circuit, e.Time)
	}
	if r.to.Catalogue == nil || e.Deployment == "" {
		return
	}
	found := r.to.Catalogue.Snapshot().Find(c, e.Time)
	if found.Why != deploy.Deployed || found.Deployment.ID != e.Deployment {
		return // it is another's turn by now
	}
	chained := e.Style == policy.StyleIPXE
	r.to.Catalogue.Note(found.Run, deploy.Event{Kind: deploy.Asked, Address: c.ID(), Server: r.to.Server, Chained: chained}, e.Time)
}

func (r *Recorder) saw(c deploy.Client, e *responder.Event, m *policy.Machine) {
	s := deploy.Sighting{Client: c, Arch: e.Arch.String(), Relay: e.Relay, Hold: e.Reason == packet.MachineHeld}
	if m != nil {
		s.VendorClass, s.CircuitID = m.VendorClass, m.CircuitID
	}
	r.to.Catalogue.See(s, e.Time)
}
