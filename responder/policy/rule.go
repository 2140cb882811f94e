package policy

import "net/netip"

// rule is a Rule ready for matching.
type rule struct {
	action Action

	hasMAC      bool
	macs        []string // as the user wrote them
	macGlobs    []glob   // those with wildcards; the others are in Snapshot.byMAC
	uuids       [][16]byte
	uuidTexts   []string
	arches      []Arch
	subnets     []netip.Prefix
	vendorClass []glob
	userClass   []glob
	circuitID   []glob
	remoteID    []glob
}

// field is one condition of a rule.
type field uint8

const (
	fieldNone field = iota // every one held
	fieldMAC
	fieldUUID
	fieldArch
	fieldSubnet
	fieldVendorClass
	fieldUserClass
	fieldCircuitID
	fieldRemoteID
)

// fails returns the first field of r that does not hold for m. macKnown: the
// index has already found the machine's address among the rule's.
func (r *rule) fails(m *Machine, digits []byte, macKnown bool) field {
	switch {
	case r.hasMAC && !macKnown && !anyMatches(r.macGlobs, digits):
		return fieldMAC
	case len(r.uuids) > 0 && !r.hasUUID(uuidOf(m)):
		return fieldUUID
	case len(r.arches) > 0 && !r.offersArch(m):
		return fieldArch
	case len(r.subnets) > 0 && !within(r.subnets, m.Subnet):
		return fieldSubnet
	case len(r.vendorClass) > 0 && !anyMatches(r.vendorClass, m.VendorClass):
		return fieldVendorClass
	case len(r.userClass) > 0 && !anyMatches(r.userClass, m.UserClass):
		return fieldUserClass
	case len(r.circuitID) > 0 && (m.CircuitID == nil || !anyMatches(r.circuitID, m.CircuitID)):
		return fieldCircuitID
	case len(r.remoteID) > 0 && (m.RemoteID == nil || !anyMatches(r.remoteID, m.RemoteID)):
		return fieldRemoteID
	}
	return fieldNone
}

// uuidOf returns the machine's UUID in the byte order that it sent, nil if
// there is none. edk2 with SendGUID puts it into chaddr (PxeBcDhcp4CallBack).
func uuidOf(m *Machine) []byte {
	switch {
	case len(m.UUID) == 16:
		return m.UUID
	case len(m.MAC) == 16:
		return m.MAC
	}
	return nil
}

func (r *rule) hasUUID(uuid []byte) bool {
	for i := range r.uuids {
		if string(r.uuids[i][:]) == string(uuid) {
			return true
		}
	}
	return false
}

// names reports whether the rule's arch field holds for a.
func (r *rule) names(a Arch) bool {
	if len(r.arches) == 0 {
		return true
	}
	for _, b := range r.arches {
		if a == b || a.standsFor() == b {
			return true
		}
	}
	return false
}

func (r *rule) offersArch(m *Machine) bool {
	for _, a := range candidates(m) {
		if a != ArchUnknown && a.suits(m.HTTP) && r.names(a) {
			return true
		}
	}
	return false
}

// candidates are the architectures of a machine, in its order.
func candidates(m *Machine) []Arch { return m.Arches[:max(0, min(m.NumArches, MaxArches))] }

func within(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
