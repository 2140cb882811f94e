package policy

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// Snapshot is a compiled policy. It is immutable.
type Snapshot struct {
	rules []rule
	// A machine's rules are those of scan, which hold for more than single
	// addresses, and those of byMAC; both in ascending order.
	scan  []int32
	byMAC map[macKey][]int32

	byDefault  Action
	profiles   map[string]*profile
	names      []string // of profiles, in order
	files      []FileRef
	clients    []netip.Prefix
	classes    []string
	relayFacts bool
}

// profile is a Profile ready for looking up.
type profile struct {
	name  string
	files map[Arch]string
	ipxe  string // empty: iPXE is not served
	allow []glob // of paths in lower case
}

// FileRef is one boot file that a profile names, or a way to the disk.
type FileRef struct {
	Profile string // empty: of LocalFiles
	Key     string // the architecture's name as written, or IPXEFile; of LocalFiles bios, uefi or IPXEFile
	File    string // as clients get it: a path below the root, or a URL
	Path    string // where the Spec has it, as in ValueError
}

// Files returns the boot files of all profiles, in the order of their names, and
// then those of LocalFiles but for ExitScript.
func (s *Snapshot) Files() []FileRef { return append([]FileRef(nil), s.files...) }

// Allowed reports whether clients and relays of that address are answered at all.
func (s *Snapshot) Allowed(a netip.Addr) bool {
	return len(s.clients) == 0 || within(s.clients, a.Unmap())
}

// Clients returns the networks that are answered at all; none: any.
func (s *Snapshot) Clients() []netip.Prefix { return slices.Clone(s.clients) }

// VendorClass reports whether option 60 begins with a class that is served,
// and whether it is UEFI HTTP boot's: that is HTTPClient and nothing else,
// however the configured prefix is spelt.
func (s *Snapshot) VendorClass(class []byte) (http, ok bool) {
	for _, prefix := range s.classes {
		if hasPrefix(class, prefix) {
			return hasPrefix(class, classHTTP), true
		}
	}
	return false, false
}

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

// VendorClasses returns the prefixes that VendorClass compares with.
func (s *Snapshot) VendorClasses() []string { return append([]string(nil), s.classes...) }

// UsesRelayFacts reports whether a rule asks for circuit-id or remote-id,
// which a client's own request on UDP 4011 does not carry.
func (s *Snapshot) UsesRelayFacts() bool { return s.relayFacts }

// Decide returns what becomes of a machine by the rules alone: as if nothing were
// deployed and no machine known, no webhook answered, and nobody else there who
// answers. It does not allocate; the Decision keeps nothing of m.
func (s *Snapshot) Decide(m *Machine) Decision {
	a := s.Action(m, 0)
	d := a.Begin(m)
	switch {
	case a.Webhook != "":
		d.Reason, d.Cacheable = packet.WebhookWaits, false
	case a.tracks:
		d.Cacheable = false
		a.Take(&d, a.Unknown, m)
	default:
		a.Take(&d, a.Boot, m)
	}
	return d
}

// first returns the first rule from the index on that holds for m, nil if none does.
func (s *Snapshot) first(m *Machine, from int) *rule {
	var digits hardwareDigits
	digits.set(m.MAC)
	var named []int32
	if key, ok := keyOf(m.MAC); ok {
		named = s.byMAC[key]
	}
	scan := s.scan
	if from > 0 {
		scan, named = since(scan, from), since(named, from)
	}
	for len(named) > 0 || len(scan) > 0 {
		var i int32
		isNamed := len(named) > 0 && (len(scan) == 0 || named[0] <= scan[0])
		if isNamed {
			i, named = named[0], named[1:]
		} else {
			i = scan[0]
		}
		if len(scan) > 0 && scan[0] == i {
			scan = scan[1:]
		}
		if r := &s.rules[i]; r.fails(m, digits.bytes(), isNamed) == fieldNone {
			return r
		}
	}
	return nil
}

// since returns those of ascending indexes that are not below from.
func since(ascending []int32, from int) []int32 {
	i, _ := slices.BinarySearch(ascending, int32(from))
	return ascending[i:]
}

// choose puts the file for m, or the reason why there is none, into d. r is
// the rule that led to p, nil for the default.
func (p *profile) choose(d *Decision, r *rule, m *Machine) {
	if !m.IPXE && d.Arch == ArchUnknown {
		d.Reason = packet.UnknownArch
		return
	}
	d.Reason = packet.NoFileForArch
	if m.IPXE {
		if p.ipxe != "" && (!m.HTTP || isHTTPURL(p.ipxe)) {
			d.answer(p.ipxe, StyleIPXE, m.HTTP)
		}
		return
	}
	for _, a := range candidates(m) {
		if a == ArchUnknown || !a.suits(m.HTTP) || r != nil && !r.names(a) {
			continue
		}
		if file, ok := p.file(a); ok && (!m.HTTP || isHTTPURL(file)) {
			d.Arch = a
			d.answer(file, a.style(), m.HTTP)
			return
		}
	}
}

func (d *Decision) answer(file string, style Style, http bool) {
	if http {
		style = StyleHTTP
	}
	d.Reason, d.File, d.Style = packet.Answered, file, style
}

// file returns what p has for an architecture, or for the one it stands for.
func (p *profile) file(a Arch) (string, bool) {
	file, ok := p.files[a]
	if !ok {
		file, ok = p.files[a.standsFor()]
	}
	return file, ok
}

// isHTTPURL relies on bootFile, which writes the scheme in lower case.
func isHTTPURL(file string) bool {
	return strings.HasPrefix(file, "http://") || strings.HasPrefix(file, "https://")
}

// firstArch is what a machine calls itself first.
func firstArch(m *Machine) Arch {
	for _, a := range candidates(m) {
		if a != ArchUnknown {
			return a
		}
	}
	return ArchUnknown
}
