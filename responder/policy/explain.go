package policy

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// Step is one line of the way to a decision.
type Step struct {
	Subject string // "rule lab", "default", "profile linux"
	OK      bool   // the rule matched, the profile has a file
	Detail  string // what it did, or the first thing that did not fit
}

func (s Step) String() string {
	mark := "no "
	if s.OK {
		mark = "yes"
	}
	return fmt.Sprintf("%s  %s: %s", mark, s.Subject, s.Detail)
}

// Explain returns how Decide comes to its answer: each rule up to the one that
// matches, with the first of its fields that does not hold, then the default
// if there is none, then the choice of the file. It allocates; it is for people.
func (s *Snapshot) Explain(m *Machine) []Step {
	steps := s.ExplainRules(m, 0)
	d := s.Decide(m)
	return append(steps, s.ExplainChoice(s.Action(m, 0), &d, m)...)
}

// ExplainRules returns how Action comes to its rule.
func (s *Snapshot) ExplainRules(m *Machine, from int) []Step {
	var steps []Step
	var digits hardwareDigits
	digits.set(m.MAC)
	a := s.Action(m, from)
	for i := from; i < len(s.rules); i++ {
		r := &s.rules[i]
		step := Step{Subject: "rule " + r.action.Rule}
		if i == a.Index {
			step.OK, step.Detail = true, "matches: "+a.text()
			return append(steps, step)
		}
		step.Detail = r.whyNot(r.fails(m, digits.bytes(), s.namesMAC(i, m.MAC)), m)
		steps = append(steps, step)
	}
	return append(steps, Step{Subject: "default", OK: a.Boot.Kind != ToIgnore, Detail: "no rule matches: " + a.text()})
}

// ExplainChoice returns what of a profile's or LocalFiles was chosen in d, if
// anything was to be.
func (s *Snapshot) ExplainChoice(a *Action, d *Decision, m *Machine) []Step {
	p := s.profiles[d.Profile]
	switch {
	case p != nil && chose(d.Reason):
		return []Step{p.explain(d, a.rule, m)}
	case d.Profile != "" && p == nil:
		return []Step{{Subject: "profile " + d.Profile, Detail: "is not in the configuration"}}
	case d.Reason == packet.LocalBoot:
		return []Step{{Subject: "local", Detail: "no answer: the machine goes on to its disk when it has waited long enough"}}
	case d.Reason == packet.Answered:
		return []Step{{Subject: "local", OK: true, Detail: d.File + " sends it on to its disk"}}
	}
	return nil
}

// chose: the profile decided, for or against an answer.
func chose(r packet.Reason) bool {
	return r == packet.Answered || r == packet.NoFileForArch || r == packet.UnknownArch
}

func (t Target) String() string {
	switch t.Kind {
	case ToProfile:
		return "boots " + t.profile.name
	case ToDeployed:
		return "boots what is deployed to it"
	case ToHold:
		return "held for approval"
	case ToLocal:
		return "goes to its disk"
	}
	return "no answer"
}

// text says what a does.
func (a *Action) text() string {
	text := a.Boot.String()
	if a.tracks && a.Boot.Kind == ToDeployed {
		text += ", else: " + a.Else.String()
	}
	if a.tracks {
		text += "; machines that nobody has named: " + a.Unknown.String()
	}
	if a.Webhook != "" {
		text = "asks webhook " + a.Webhook + "; if that fails open: " + text
	}
	if a.Delay > 0 {
		text += fmt.Sprintf("; DISCOVERs from %v on", a.Delay)
	}
	if a.Claimed > 0 {
		text += fmt.Sprintf("; DISCOVERs of clients that say they have waited %v", a.Claimed)
	}
	return text
}

func (s *Snapshot) namesMAC(i int, mac []byte) bool {
	key, ok := keyOf(mac)
	return ok && slices.Contains(s.byMAC[key], int32(i))
}

// whyNot compares the field that failed with what the machine has.
func (r *rule) whyNot(f field, m *Machine) string {
	switch f {
	case fieldMAC:
		return differs("mac", macText(m.MAC), r.macs)
	case fieldUUID:
		return differs("uuid", uuidText(uuidOf(m)), r.uuidTexts)
	case fieldArch:
		return differs("arch", offeredText(m), archTexts(r.arches))
	case fieldSubnet:
		return differs("subnet", addrText(m.Subnet), prefixTexts(r.subnets))
	case fieldVendorClass:
		return differs("vendor-class", quoted(m.VendorClass), globTexts(r.vendorClass))
	case fieldUserClass:
		return differs("user-class", quoted(m.UserClass), globTexts(r.userClass))
	case fieldCircuitID:
		return differs("circuit-id", bytesText(m.CircuitID), globTexts(r.circuitID))
	case fieldRemoteID:
		return differs("remote-id", bytesText(m.RemoteID), globTexts(r.remoteID))
	}
	return "matches"
}

// differs says that a value is none of those wanted; a long list is cut.
func differs(field, have string, want []string) string {
	const shown = 4
	list := strings.Join(want[:min(len(want), shown)], ", ")
	if more := len(want) - shown; more > 0 {
		list += fmt.Sprintf(", and %d more", more)
	}
	return fmt.Sprintf("%s is %s, not %s", field, have, list)
}

// explain says which file was chosen, or what p has instead.
func (p *profile) explain(d *Decision, r *rule, m *Machine) Step {
	step := Step{Subject: "profile " + p.name, OK: d.Reason == packet.Answered}
	switch {
	case step.OK && m.IPXE:
		step.Detail = IPXEFile + " gets " + d.File
	case step.OK:
		step.Detail = fmt.Sprintf("%s gets %s", d.Arch, d.File)
	case d.Reason == packet.UnknownArch:
		step.Detail = "the request names no architecture, neither in option 93 nor in option 60"
	case m.IPXE && p.ipxe == "":
		step.Detail = "has no file " + IPXEFile + ", and iPXE never gets the iPXE binary again"
	case m.IPXE:
		step.Detail = "an HTTP client needs a URL, not " + p.ipxe
	default:
		step.Detail = fmt.Sprintf("no file for %s; it has %s", offeredText(m), p.keys())
		if r != nil && len(r.arches) > 0 {
			step.Detail += fmt.Sprintf("; rule %s is for %s", r.action.Rule, strings.Join(archTexts(r.arches), ", "))
		}
	}
	return step
}

// keys lists what a profile serves.
func (p *profile) keys() string {
	keys := archTexts(slices.Sorted(maps.Keys(p.files)))
	if p.ipxe != "" {
		keys = append(keys, IPXEFile)
	}
	return strings.Join(keys, ", ")
}

func archTexts(arches []Arch) []string {
	texts := make([]string, len(arches))
	for i, a := range arches {
		texts[i] = a.String()
	}
	return texts
}

// offeredText lists the machine's architectures and says which of them its
// vendor class rules out.
func offeredText(m *Machine) string {
	var texts []string
	for _, a := range candidates(m) {
		switch {
		case a == ArchUnknown:
		case a.suits(m.HTTP):
			texts = append(texts, a.String())
		case m.HTTP:
			texts = append(texts, a.String()+" (not for HTTPClient)")
		default:
			texts = append(texts, a.String()+" (only for HTTPClient)")
		}
	}
	if len(texts) == 0 {
		return "unknown"
	}
	return strings.Join(texts, ", ")
}

func prefixTexts(prefixes []netip.Prefix) []string {
	texts := make([]string, len(prefixes))
	for i, p := range prefixes {
		texts[i] = p.String()
	}
	return texts
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return "unknown"
	}
	return a.String()
}

func macText(mac []byte) string {
	if len(mac) == 0 {
		return "absent"
	}
	var b strings.Builder
	for i, c := range mac {
		if i > 0 {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%02x", c)
	}
	return b.String()
}

// uuidText is in the byte order of the wire.
func uuidText(u []byte) string {
	if len(u) != 16 {
		return "absent"
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16])
}

func quoted(b []byte) string {
	if len(b) == 0 {
		return "absent"
	}
	return strconv.Quote(string(b))
}

// bytesText shows both forms in which a rule can name the bytes.
func bytesText(b []byte) string {
	if b == nil {
		return "absent"
	}
	return fmt.Sprintf("0x%s %q", hex.EncodeToString(b), b)
}
