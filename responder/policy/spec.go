package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// What may stand in the place of a profile's name.
const (
	Ignore   = "ignore"   // silence
	Deployed = "deployed" // what is deployed to the machine
	Hold     = "hold"     // not answered until an operator approves it
	Local    = "local"    // from its disk, by the quickest way
	Next     = "next"     // of a webhook: the rules go on
)

// ExitScript is the name of a script that makes iPXE go on to the next boot
// entry. Who serves the boot files has it built in.
const ExitScript = "xdpxe-exit.ipxe"

// Spec is a policy as a user writes it, before anything in it is checked.
type Spec struct {
	Default       string // name of a profile, Deployed, Hold, or Ignore (also when empty)
	Rules         []Rule // first match wins
	Profiles      map[string]Profile
	Clients       []netip.Prefix // networks that are answered at all; empty: all
	VendorClasses []string       // prefixes of option 60; empty: PXEClient and HTTPClient
	Local         *LocalFiles    // how machines are sent to their disks; nil: DefaultLocal
	Webhooks      []string       // that rules may ask
}

// Rule sends the machines that match to a profile.
type Rule struct {
	Name  string // unique; empty: "rule-N", N counting from 1
	Match Match
	// Boot is the name of a profile, Ignore or Deployed. With a webhook it is what
	// counts when that cannot be asked and fails open; empty: Ignore.
	Boot string
	// Else is for machines that are known and have nothing deployed, where Boot is
	// Deployed: Ignore (also when empty) or Local.
	Else string
	// Unknown is for machines that nobody has named, where Boot is Deployed or a
	// profile: Ignore, Hold, Local or a profile. Empty: Ignore with Deployed, and with
	// a profile it makes no difference whether a machine is known.
	Unknown string
	// DISCOVERs are answered when so long has passed since the client's first, and
	// when the client itself says that it has waited for so many seconds.
	Delay     time.Duration
	DelaySecs int
	Webhook   string      // name of the one to ask first; empty: none
	Local     *LocalFiles // nil: the policy's
}

// LocalFiles are the boot programs that end at once, so that a machine goes on
// to its disk, one for each client family. Empty: silence, which makes it do the same later.
type LocalFiles struct {
	BIOS, UEFI string // paths below the root
	IPXE       string // a script, or a URL
}

// DefaultLocal is silence for firmware, which goes on to the next boot entry
// then, and ExitScript for iPXE, which would not.
func DefaultLocal() LocalFiles { return LocalFiles{IPXE: ExitScript} }

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
	// Allow are patterns of what else its clients may fetch where files are strict.
	Allow []string
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
