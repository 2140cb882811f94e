package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// MaxDelay bounds delays: firmware gives up after about a minute (PXE 2.1 §2.2.4).
const MaxDelay = time.Minute

// words are no profile's name.
var words = []string{Ignore, Deployed, Hold, Local, Next}

// target returns what a word, of those that may stand there, or a profile's name means.
func (c *compiler) target(at, name string, may ...string) Target {
	if slices.Contains(may, name) {
		switch name {
		case Deployed:
			return Target{Kind: ToDeployed}
		case Hold:
			return Target{Kind: ToHold}
		case Local:
			return Target{Kind: ToLocal}
		}
		return Target{}
	}
	if p := c.snapshot.profiles[name]; p != nil {
		return Target{ToProfile, p}
	}
	known := append(slices.Clone(c.snapshot.names), may...)
	hint := "known: " + strings.Join(known, ", ")
	if near := Suggest(name, known); near != "" {
		hint = didYouMean(near)
	}
	if slices.Contains(words, name) {
		c.fail(at, invalid(hint, "%q cannot stand here", name))
	} else {
		c.fail(at, invalid(hint, "unknown profile %q", name))
	}
	return Target{}
}

// byDefault makes the action for machines that no rule names.
func (c *compiler) byDefault(name string, rules int) {
	a := &c.snapshot.byDefault
	a.Index, a.local = rules, c.local
	switch a.Boot = c.target("policy.default", name, Ignore, Deployed, Hold); a.Boot.Kind {
	case ToHold:
		a.Boot, a.Unknown, a.tracks = Target{Kind: ToDeployed}, a.Boot, true
	case ToDeployed:
		a.tracks = true
	}
}

// action makes what a rule does.
func (c *compiler) action(at string, spec *Rule, a *Action) {
	if spec.Local != nil {
		a.local = c.localFiles(at+".local", *spec.Local)
	}
	boot := spec.Boot
	if a.Webhook = spec.Webhook; a.Webhook != "" {
		boot = cmpOr(boot, Ignore)
		c.webhook(at+".webhook", a.Webhook)
	}
	switch boot {
	case "":
		c.fail(at+".boot", invalid("boot: PROFILE, boot: "+Deployed+" or boot: "+Ignore, "rule %q says nothing to boot", a.Rule))
	case Hold:
		c.fail(at+".boot", invalid("boot: deployed with unknown: hold", "rule %q: hold is for machines that nobody has named", a.Rule))
	default:
		a.Boot = c.target(at+".boot", boot, Ignore, Deployed)
	}
	a.tracks = a.Boot.Kind == ToDeployed
	if spec.Else != "" {
		if boot != Deployed {
			c.fail(at+".else", invalid("boot: deployed", "rule %q: else is for machines that have nothing deployed", a.Rule))
		}
		a.Else = c.otherwise(at+".else", spec.Else)
	}
	if spec.Unknown != "" {
		if boot == Ignore {
			c.fail(at+".unknown", invalid("boot: deployed or boot: PROFILE", "rule %q ignores known machines as well", a.Rule))
		}
		a.Unknown = c.target(at+".unknown", spec.Unknown, Ignore, Hold, Local)
		a.tracks = true
	}
	a.Delay, a.Claimed = spec.Delay, time.Duration(spec.DelaySecs)*time.Second
	for _, d := range [...]struct {
		key string
		is  time.Duration
	}{{"delay", a.Delay}, {"delay-secs", a.Claimed}} {
		if d.is < 0 || d.is > MaxDelay {
			c.fail(at+"."+d.key, invalid("at most "+MaxDelay.String()+": the firmware gives up then", "rule %q: delay of %v", a.Rule, d.is))
		}
	}
}

// otherwise reads the words of else.
func (c *compiler) otherwise(at, word string) Target {
	if word == Ignore || word == Local {
		return c.target(at, word, Ignore, Local)
	}
	hint := Ignore + " or " + Local
	if near := Suggest(word, []string{Ignore, Local}); near != "" {
		hint = didYouMean(near)
	}
	c.fail(at, invalid(hint, "%q cannot stand here", word))
	return Target{}
}

func (c *compiler) webhook(at, name string) {
	if slices.Contains(c.webhooks, name) {
		return
	}
	hint := "webhooks: {" + name + ": {url: …}}"
	if near := Suggest(name, c.webhooks); near != "" {
		hint = didYouMean(near)
	}
	c.fail(at, invalid(hint, "unknown webhook %q", name))
}

// localFiles checks the ways to the disk.
func (c *compiler) localFiles(at string, l LocalFiles) *LocalFiles {
	for _, f := range [...]struct {
		key  string
		arch Arch
		file *string
	}{{"bios", ArchBIOS, &l.BIOS}, {"uefi", ArchX64UEFI, &l.UEFI}, {IPXEFile, ArchUnknown, &l.IPXE}} {
		if *f.file == "" {
			continue
		}
		at := at + "." + f.key
		sent, err := bootFile(f.arch, *f.file)
		if err != nil {
			c.fail(at, err)
			continue
		}
		*f.file = sent
		if sent != ExitScript {
			c.snapshot.files = append(c.snapshot.files, FileRef{Key: f.key, File: sent, Path: at})
		}
	}
	return &l
}

// allow compiles patterns of paths, which are compared in lower case.
func (c *compiler) allow(at string, patterns []string) []glob {
	var globs []glob
	for i, text := range patterns {
		slashed := strings.ReplaceAll(text, `\`, "/")
		if foldPath(text) == "" || strings.HasSuffix(slashed, "/") || escapes(slashed) {
			c.fail(fmt.Sprintf("%s[%d]", at, i), invalid(`as in "linux/*": a path below root, with * and ?`, "bad pattern %q", text))
			continue
		}
		globs = append(globs, textGlob(foldPath(text)))
	}
	return globs
}
