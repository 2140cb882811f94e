package policy

import (
	"math"
	"net/netip"
	"slices"
)

// Dependence says on which of a machine's own facts a decision about it
// rests. What it does not name may differ: the decision is the same for every
// machine that offers the same architectures and classes from the same place.
type Dependence struct {
	Identity  bool // MAC and UUID
	Subnet    bool // where it is in the network that Depends was asked about
	CircuitID bool
	RemoteID  bool
}

// Depends returns what Decide(m) rests on. The machine may be anywhere in
// network; if that is invalid, Subnet is taken as it is.
//
// The rules are tried as Decide does. Of one that does not hold the first
// field that fails is what counts, and those that fewest machines share come
// last: a rule for another architecture says nothing about anybody's MAC.
func (s *Snapshot) Depends(m *Machine, network netip.Prefix) (d Dependence) {
	var digits hardwareDigits
	digits.set(m.MAC)
	var named []int32
	if key, ok := keyOf(m.MAC); ok {
		named = s.byMAC[key]
	}
	for i := 0; i < len(s.rules); i++ {
		if d.Identity {
			// Rules for other machines' addresses, which may be thousands, add nothing.
			if i = min(atLeast(s.scan, i), atLeast(named, i)); i >= len(s.rules) {
				break
			}
		}
		r := &s.rules[i]
		if !r.holdsForKind(m) || !r.holdsInPlace(m, network, &d) {
			continue
		}
		if !r.hasMAC && len(r.uuids) == 0 {
			break
		}
		d.Identity = true
		if r.fails(m, digits.bytes(), slices.Contains(named, int32(i))) == fieldNone {
			break
		}
	}
	return d
}

// atLeast returns the first of ascending numbers that is not below n.
func atLeast(ascending []int32, n int) int {
	if i, _ := slices.BinarySearch(ascending, int32(n)); i < len(ascending) {
		return int(ascending[i])
	}
	return math.MaxInt
}

// holdsForKind tries the fields that machines of one model share.
func (r *rule) holdsForKind(m *Machine) bool {
	return (len(r.arches) == 0 || r.offersArch(m)) &&
		(len(r.vendorClass) == 0 || anyMatches(r.vendorClass, m.VendorClass)) &&
		(len(r.userClass) == 0 || anyMatches(r.userClass, m.UserClass))
}

// holdsInPlace tries the fields about where a machine is, and notes in d those
// that it came to. That there is such a sub-option at all is not its value's matter.
func (r *rule) holdsInPlace(m *Machine, network netip.Prefix, d *Dependence) bool {
	if len(r.subnets) > 0 {
		d.Subnet = d.Subnet || divides(r.subnets, network)
		if !within(r.subnets, m.Subnet) {
			return false
		}
	}
	if len(r.circuitID) > 0 {
		d.CircuitID = d.CircuitID || m.CircuitID != nil
		if m.CircuitID == nil || !anyMatches(r.circuitID, m.CircuitID) {
			return false
		}
	}
	if len(r.remoteID) > 0 {
		d.RemoteID = d.RemoteID || m.RemoteID != nil
		if m.RemoteID == nil || !anyMatches(r.remoteID, m.RemoteID) {
			return false
		}
	}
	return true
}

// divides reports whether some addresses of a network may be within the
// prefixes and others not. Prefixes that cover it only together divide it, too.
func divides(prefixes []netip.Prefix, network netip.Prefix) bool {
	if !network.IsValid() {
		return false
	}
	parts := false
	for _, p := range prefixes {
		if p.Bits() <= network.Bits() && p.Contains(network.Addr()) {
			return false
		}
		parts = parts || network.Overlaps(p)
	}
	return parts
}
