package deploy

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/xdpxe/xdpxe/responder/store"
)

// Bounds of one deployment, so that it fits the store and a message to people.
const (
	maxName      = 63
	maxText      = 1024
	maxFile      = 512
	maxVariables = 64
	maxVariable  = 4096
	maxVarBytes  = 32 << 10 // of all variables together
)

// Deployment says that a machine, or a group of them, boots a profile.
type Deployment struct {
	ID      string `json:"id"`
	Target  Target `json:"target"`
	Profile string `json:"profile"`

	// Once: the deployment is used up when its milestone is reached. Else it stands.
	Once      bool              `json:"once"`
	Milestone Milestone         `json:"milestone,omitzero"`
	NotBefore time.Time         `json:"not_before,omitzero"` // nothing is answered before this
	NotAfter  time.Time         `json:"not_after,omitzero"`  // and from this on; a transfer that runs may end
	Variables map[string]string `json:"variables,omitempty"`
	Note      string            `json:"note,omitempty"`

	Created   time.Time `json:"created"`
	By        string    `json:"by,omitempty"`
	Cancelled *Mark     `json:"cancelled,omitempty"`
}

// Target is who a deployment is for: one of the three.
type Target struct {
	MAC   Identity `json:"mac,omitzero"`
	UUID  Identity `json:"uuid,omitzero"`
	Group string   `json:"group,omitempty"`
}

func (t Target) String() string {
	if t.Group != "" {
		return "group " + t.Group
	}
	return t.Machine().String()
}

// Machine is the one machine that is named; zero for a group.
func (t Target) Machine() Identity {
	if t.MAC.IsZero() {
		return t.UUID
	}
	return t.MAC
}

// Mark is what an operator did, and when and why.
type Mark struct {
	Time   time.Time `json:"time"`
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
}

// Milestone is where a once-deployment is used up.
type Milestone struct {
	On   MilestoneKind `json:"on"`
	File string        `json:"file,omitempty"` // OnFile: a path below the root
}

// MilestoneKind says what a milestone waits for.
type MilestoneKind string

const (
	OnNBP      MilestoneKind = "nbp"      // the boot program is fetched
	OnFile     MilestoneKind = "file"     // a named file is fetched
	OnCallback MilestoneKind = "callback" // the installer calls back
)

func (m Milestone) String() string {
	if m.On == OnFile {
		return "file " + m.File
	}
	return string(m.On)
}

// is reports whether the milestone is the end of that file. Names are compared
// as boot files are found: in any case, with either slash.
func (m Milestone) is(file string, nbp bool) bool {
	switch m.On {
	case OnNBP:
		return nbp
	case OnFile:
		return strings.EqualFold(cleanFile(m.File), cleanFile(file))
	}
	return false
}

func cleanFile(name string) string {
	return path.Clean("/" + strings.ReplaceAll(name, `\`, "/"))[1:]
}

// Invalid says which field of a request is wrong, and how.
type Invalid struct {
	Field string // as in JSON: "target.mac"
	Msg   string
}

func (e *Invalid) Error() string { return e.Field + ": " + e.Msg }

func invalid(field, format string, args ...any) error {
	return &Invalid{Field: field, Msg: fmt.Sprintf(format, args...)}
}

// settle fills in what may be left out, and refuses what makes no sense.
func (d *Deployment) settle(now time.Time) error {
	if err := checkName("id", d.ID); err != nil {
		return err
	}
	if err := d.Target.check(); err != nil {
		return err
	}
	if d.Profile == "" {
		return invalid("profile", "is missing")
	}
	for _, f := range [...]struct{ field, text string }{{"profile", d.Profile}, {"note", d.Note}, {"by", d.By}} {
		if len(f.text) > maxText {
			return invalid(f.field, "has %d bytes, at most %d", len(f.text), maxText)
		}
	}
	if err := d.settleMilestone(); err != nil {
		return err
	}
	if !d.NotAfter.IsZero() && !d.NotBefore.IsZero() && !d.NotAfter.After(d.NotBefore) {
		return invalid("not_after", "is not after not_before")
	}
	if !d.NotAfter.IsZero() && !d.NotAfter.After(now) {
		return invalid("not_after", "%s is in the past", d.NotAfter.Format(time.RFC3339))
	}
	if err := checkVariables(d.Variables); err != nil {
		return err
	}
	// JSON may take six bytes for one.
	if n := len(put("", d).Value); n > store.MaxValue {
		return invalid("variables", "make a record of %d bytes, at most %d", n, store.MaxValue)
	}
	return nil
}

func (d *Deployment) settleMilestone() error {
	switch d.Milestone.On {
	case "":
		if d.Milestone.File != "" {
			return invalid("milestone.on", "is missing: nbp, file or callback")
		}
		if d.Once {
			d.Milestone.On = OnNBP
		}
	case OnFile:
		if d.Milestone.File = cleanFile(d.Milestone.File); d.Milestone.File == "" {
			return invalid("milestone.file", "is missing: a path below the root")
		}
	case OnNBP, OnCallback:
		if d.Milestone.File != "" {
			return invalid("milestone.file", "only milestone file has one")
		}
	default:
		return invalid("milestone.on", "%q is none of nbp, file, callback", clip(string(d.Milestone.On)))
	}
	if len(d.Milestone.File) > maxFile {
		return invalid("milestone.file", "has %d bytes, at most %d", len(d.Milestone.File), maxFile)
	}
	return nil
}

func (t Target) check() error {
	n := 0
	for _, named := range [...]bool{!t.MAC.IsZero(), !t.UUID.IsZero(), t.Group != ""} {
		if named {
			n++
		}
	}
	switch {
	case n != 1:
		return invalid("target", "names %d of mac, uuid, group: exactly one is needed", n)
	case !t.MAC.IsZero() && (t.MAC.uuid || t.MAC.n != 6 && t.MAC.n != 8):
		return invalid("target.mac", "%s is no hardware address of 6 or 8 bytes", t.MAC)
	case !t.UUID.IsZero() && !t.UUID.uuid:
		return invalid("target.uuid", "%s is no UUID", t.UUID)
	case t.Group != "":
		return checkName("target.group", t.Group)
	}
	return nil
}

func checkVariables(vars map[string]string) error {
	if len(vars) > maxVariables {
		return invalid("variables", "are %d, at most %d", len(vars), maxVariables)
	}
	total := 0
	for name, value := range vars {
		if !isName(name, true) {
			return invalid("variables", "%q is no name: letters, digits and _, not a digit first, at most %d", clip(name), maxName)
		}
		if len(value) > maxVariable {
			return invalid("variables."+name, "has %d bytes, at most %d", len(value), maxVariable)
		}
		total += len(name) + len(value)
	}
	if total > maxVarBytes {
		return invalid("variables", "have %d bytes, at most %d", total, maxVarBytes)
	}
	return nil
}

// checkName refuses what cannot be part of a key, a URL or a command line.
func checkName(field, name string) error {
	if !isName(name, false) {
		return invalid(field, "%q is no name: a-z, 0-9, and - . _ inside, at most %d", clip(name), maxName)
	}
	return nil
}

// isName: of variables, which templates read as .Vars.name, or of everything else.
func isName(name string, variable bool) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z':
		case c >= 'A' && c <= 'Z', c == '_' && i == 0:
			if !variable {
				return false
			}
		case c >= '0' && c <= '9':
			if variable && i == 0 {
				return false
			}
		case c == '_':
		case c == '-' || c == '.':
			if variable || i == 0 {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// sameAs reports whether two creates ask for the same thing, so that the second is a repetition.
func (d *Deployment) sameAs(e *Deployment) bool {
	if d.Target.Group != e.Target.Group || d.Target.Machine().key() != e.Target.Machine().key() || d.Profile != e.Profile ||
		d.Once != e.Once || d.Milestone != e.Milestone || d.Note != e.Note ||
		!d.NotBefore.Equal(e.NotBefore) || !d.NotAfter.Equal(e.NotAfter) || len(d.Variables) != len(e.Variables) {
		return false
	}
	for name, value := range d.Variables {
		if other, ok := e.Variables[name]; !ok || other != value {
			return false
		}
	}
	return true
}
