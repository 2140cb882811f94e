package policy

import (
	"fmt"
	"net/netip"
	"strings"
)

// Ignore, in the place of a profile's name, means silence.
const Ignore = "ignore"

// Spec is a policy as a user writes it, before anything in it is checked.
type Spec struct {
	Default       string // name of a profile, or Ignore (also when empty)
	Rules         []Rule // first match wins
	Profiles      map[string]Profile
	Clients       []netip.Prefix // networks that are answered at all; empty: all
	VendorClasses []string       // prefixes of option 60; empty: PXEClient and HTTPClient
}

// Rule sends the machines that match to a profile.
type Rule struct {
	Name  string // unique; empty: "rule-N", N counting from 1
	Match Match
	Boot  string // name of a profile, or Ignore
}

// Match is the condition of a rule; the package documentation says what the
// fields mean. Empty fields hold for every machine.
type Match struct {
	MAC, UUID, Arch        []string
	Subnet                 []netip.Prefix
	VendorClass, UserClass []string
	CircuitID, RemoteID    []string
}

// Profile is a set of boot files.
type Profile struct {
	// Files are paths below the root or URLs, by name of architecture or IPXEFile.
	Files map[string]string
}

// IPXEFile is the key in Profile.Files of the script or URL that iPXE gets.
const IPXEFile = "ipxe"

// ValueError says what is wrong with one value and how to put it right.
type ValueError struct {
	// Path leads to the value from the top of the configuration, as in
	// "policy.rules[2].match.mac[0]"; empty where the caller knows the place.
	Path string
	Msg  string
	Hint string // may be empty
}

func (e *ValueError) Error() string {
	s := e.Msg
	if e.Path != "" {
		s = e.Path + ": " + s
	}
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// SpecErrors are all mistakes in a Spec, in the order of its rules and the
// alphabetical order of its profiles.
type SpecErrors []*ValueError

func (e SpecErrors) Error() string {
	lines := make([]string, len(e))
	for i, v := range e {
		lines[i] = v.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find each mistake.
func (e SpecErrors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, v := range e {
		errs[i] = v
	}
	return errs
}

func invalid(hint, format string, args ...any) *ValueError {
	return &ValueError{Msg: fmt.Sprintf(format, args...), Hint: hint}
}
