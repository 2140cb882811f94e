package policy

import (
	"strings"
	"time"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// Kind is what a Target is.
type Kind uint8

const (
	ToIgnore   Kind = iota // silence
	ToProfile              // the file of a profile
	ToDeployed             // what is deployed to the machine
	ToHold                 // silence until the machine is approved
	ToLocal                // from its disk
)

// Target is what a rule does with some of its machines.
type Target struct {
	Kind    Kind
	profile *profile // ToProfile
}

// Action is what a rule, or the default, does with its machines. It is for
// reading only.
type Action struct {
	Rule    string // its name; empty: the default
	Index   int    // of the rule; the default's is the number of rules
	Webhook string // to be asked first; empty: none

	Boot    Target // ToIgnore, ToProfile or ToDeployed
	Else    Target // if Boot is ToDeployed: nothing is deployed to the machine
	Unknown Target // if Tracks: nobody has named the machine
	tracks  bool

	// DISCOVERs are answered when so long has passed since the client's first, and
	// when the client claims to have waited so long (Machine.WaitedFor).
	Delay, Claimed time.Duration

	rule  *rule // nil: the default
	local *LocalFiles
}

// Tracks reports whether it matters what is known of a machine.
func (a *Action) Tracks() bool { return a.tracks }

// Waits reports whether DISCOVERs may be answered later than the first.
func (a *Action) Waits() bool { return a.Delay > 0 || a.Claimed > 0 }

// Action returns what becomes of a machine by the first rule from the index on
// that holds for it, else by the default.
func (s *Snapshot) Action(m *Machine, from int) *Action {
	if r := s.first(m, from); r != nil {
		return &r.action
	}
	return &s.byDefault
}

// Begin returns the decision that Take and TakeProfile complete.
func (a *Action) Begin(m *Machine) Decision {
	return Decision{Rule: a.Rule, Arch: firstArch(m), Cacheable: true}
}

// Take puts into d what a target that is not ToDeployed is for m.
func (a *Action) Take(d *Decision, t Target, m *Machine) {
	switch t.Kind {
	case ToProfile:
		d.Profile = t.profile.name
		t.profile.choose(d, a.rule, m)
	case ToLocal:
		a.TakeLocal(d, m)
	case ToHold:
		d.Reason = packet.MachineHeld
	case ToDeployed:
		d.Reason = packet.NothingDeployed
	case ToIgnore:
		switch {
		case a.tracks:
			d.Reason = packet.NothingDeployed
		case a.rule == nil:
			d.Reason = packet.DefaultIgnore
		default:
			d.Reason = packet.RuleIgnore
		}
	}
}

// NoSuchProfile is the Detail of a decision for a profile that is not there.
const NoSuchProfile = "no_such_profile"

// TakeProfile puts into d what a profile has for m.
func (s *Snapshot) TakeProfile(a *Action, d *Decision, name string, m *Machine) {
	d.Profile = name
	p := s.profiles[name]
	if p == nil {
		d.Reason, d.Detail = packet.NoFileForArch, NoSuchProfile
		return
	}
	d.Profile = p.name // the policy's own string: name may be of something that goes
	p.choose(d, a.rule, m)
}

// TakeLocal puts into d the quickest way to m's disk. HTTP clients have none but
// silence: what they were offered they must fetch.
func (a *Action) TakeLocal(d *Decision, m *Machine) {
	d.Reason = packet.LocalBoot
	if m.HTTP {
		return
	}
	file, style := a.local.IPXE, StyleIPXE
	if !m.IPXE {
		d.Arch = firstSuitable(m)
		file, style = a.local.file(d.Arch), d.Arch.style()
	}
	if file != "" {
		d.answer(file, style, false)
		d.Cacheable = false
	}
}

// file returns what firmware of an architecture gets, empty for those that
// belong to no family.
func (l *LocalFiles) file(a Arch) string {
	switch {
	case a == ArchBIOS:
		return l.BIOS
	case a.standsFor() == ArchX64UEFI || int(a) < len(archNames) && strings.HasSuffix(archNames[a], uefiSuffix):
		return l.UEFI
	}
	return ""
}

// firstSuitable is what a machine of that vendor class calls itself first.
func firstSuitable(m *Machine) Arch {
	for _, a := range candidates(m) {
		if a != ArchUnknown && a.suits(m.HTTP) {
			return a
		}
	}
	return ArchUnknown
}

// UsesDeployments reports whether a rule or the default needs to know what is
// deployed, or who is known.
func (s *Snapshot) UsesDeployments() bool {
	for i := range s.rules {
		if s.rules[i].action.tracks {
			return true
		}
	}
	return s.byDefault.tracks
}

// Webhooks returns the names of those that a rule asks, each once.
func (s *Snapshot) Webhooks() []string {
	var names []string
	seen := make(map[string]bool)
	for i := range s.rules {
		if name := s.rules[i].action.Webhook; name != "" && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// ProfileNames returns the names of all profiles, in order.
func (s *Snapshot) ProfileNames() []string { return append([]string(nil), s.names...) }
