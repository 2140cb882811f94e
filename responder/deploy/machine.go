package deploy

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Machine is what is known of a machine that has asked, or that an operator named.
type Machine struct {
	ID   Identity `json:"id"` // hardware address; UUID where it shows no other
	Name string   `json:"name,omitempty"`
	Note string   `json:"note,omitempty"`

	// Held: it asked while unknown machines are held, and waits for an operator.
	Held     bool      `json:"held"`
	Approved *Approval `json:"approved,omitempty"`

	UUID        Identity   `json:"uuid,omitzero"` // as on the wire
	Arch        string     `json:"arch,omitempty"`
	VendorClass string     `json:"vendor_class,omitempty"`
	Relay       netip.Addr `json:"relay,omitzero"`
	CircuitID   string     `json:"circuit_id,omitempty"`
	FirstSeen   time.Time  `json:"first_seen,omitzero"`
	LastSeen    time.Time  `json:"last_seen,omitzero"`
	Tries       int64      `json:"tries"` // requests seen, about: see Sightings
}

// described: an operator knows it.
func (m *Machine) described() bool { return m.Name != "" || m.Note != "" }

// Approval is an operator's word that a machine may boot.
type Approval struct {
	Mark
	Profile string `json:"profile,omitempty"` // with that; empty: what the rule says
}

// Group is a name for machines.
type Group struct {
	Name    string    `json:"name"`
	Note    string    `json:"note,omitempty"`
	Created time.Time `json:"created"`
	By      string    `json:"by,omitempty"`
}

// Ignored keeps machines unanswered, whatever else names them.
type Ignored struct {
	Pattern Pattern `json:"pattern"`
	Mark
}

// Pattern is one machine, or a vendor's block of hardware addresses (OUI).
type Pattern struct {
	Machine Identity
	OUI     [3]byte // if Machine is zero
}

// ParsePattern reads a hardware address, a UUID, or the three bytes of an OUI, as in 52:54:00.
func ParsePattern(text string) (p Pattern, err error) {
	digits := strings.NewReplacer(":", "", "-", "", ".", "").Replace(text)
	if len(digits) == 6 {
		if _, err := hex.Decode(p.OUI[:], []byte(digits)); err != nil {
			return p, fmt.Errorf("%q is no OUI (as in 52:54:00)", text)
		}
		return p, nil
	}
	p.Machine, err = ParseIdentity(text)
	return p, err
}

func (p Pattern) String() string {
	if p.Machine.IsZero() {
		return HardwareIdentity(p.OUI[:]).String()
	}
	return p.Machine.String()
}

// MarshalText writes String's form.
func (p Pattern) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what ParsePattern does.
func (p *Pattern) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePattern(string(text))
	return err
}
