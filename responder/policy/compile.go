package policy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// What a vendor class prefix may be: the XDP program compares them too (bpf/abi.h).
const (
	MaxVendorClasses  = 8
	MaxVendorClassLen = 32
)

// Vendor classes of PXE (PXE 2.1 §2.2.1) and of UEFI HTTP boot (UEFI 2.10 §24.7.3).
const (
	classPXE  = "PXEClient"
	classHTTP = "HTTPClient"
)

// DefaultVendorClasses are the prefixes of option 60 that are served if a Spec names none.
func DefaultVendorClasses() []string { return []string{classPXE, classHTTP} }

// Compile checks a Spec and makes a Snapshot of it. The error is SpecErrors:
// every mistake, not only the first. The Spec is not kept.
func Compile(spec Spec) (*Snapshot, error) {
	c := compiler{snapshot: &Snapshot{byMAC: make(map[macKey][]int32), profiles: make(map[string]*profile)}, webhooks: spec.Webhooks}
	c.profiles(spec.Profiles)
	local := DefaultLocal()
	if spec.Local != nil {
		local = *spec.Local
	}
	c.local = c.localFiles("policy.local", local)
	c.byDefault(cmpOr(spec.Default, Ignore), len(spec.Rules))
	c.rules(spec.Rules)
	c.clients(spec.Clients)
	c.vendorClasses(spec.VendorClasses)
	if len(c.errs) > 0 {
		return nil, c.errs
	}
	return c.snapshot, nil
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// compiler collects mistakes while it fills a Snapshot.
type compiler struct {
	snapshot *Snapshot
	webhooks []string
	local    *LocalFiles // the policy's
	errs     SpecErrors
}

func (c *compiler) fail(path string, err *ValueError) {
	err.Path = path
	c.errs = append(c.errs, err)
}

// MaxProfileName is how many bytes a profile's name may have: it is kept with
// every machine that is answered with it, in a place of fixed size.
const MaxProfileName = 63

func (c *compiler) profiles(specs map[string]Profile) {
	for _, name := range slices.Sorted(maps.Keys(specs)) {
		at := "profiles." + name
		if name == "" || slices.Contains(words, name) {
			c.fail(at, invalid("another name", "a profile cannot be called %q", name))
		}
		if len(name) > MaxProfileName {
			c.fail(at, invalid("a shorter name", "the profile's name has %d bytes, at most %d", len(name), MaxProfileName))
		}
		p := &profile{name: name, files: make(map[Arch]string)}
		c.snapshot.profiles[name] = p
		c.snapshot.names = append(c.snapshot.names, name)
		p.allow = c.allow(at+".allow", specs[name].Allow)
		written := make(map[Arch]string)
		for _, key := range slices.Sorted(maps.Keys(specs[name].Files)) {
			at, file := at+".files."+key, specs[name].Files[key]
			arch := ArchUnknown
			if key != IPXEFile {
				var err error
				if arch, err = ParseArch(key); err != nil {
					c.fail(at, asValueError(err))
					continue
				}
				if twin, twice := written[arch]; twice {
					c.fail(at, invalid("", "%s and %s are one architecture", twin, key))
					continue
				}
				written[arch] = key
			}
			sent, err := bootFile(arch, file)
			if err != nil {
				c.fail(at, err)
				continue
			}
			if key == IPXEFile {
				p.ipxe = sent
			} else {
				p.files[arch] = sent
			}
			c.snapshot.files = append(c.snapshot.files, FileRef{Profile: name, Key: key, File: sent, Path: at})
		}
		if len(specs[name].Files) == 0 {
			c.fail(at, invalid("it needs files: {ARCHITECTURE: FILE, …}", "profile %q has no boot files", name))
		}
	}
}

// asValueError returns the *ValueError that ParseArch always gives.
func asValueError(err error) *ValueError {
	if v, ok := err.(*ValueError); ok {
		return v
	}
	return &ValueError{Msg: err.Error()}
}

func (c *compiler) rules(specs []Rule) {
	named := make(map[string]int)
	c.snapshot.rules = make([]rule, len(specs))
	for i := range specs {
		spec, r, at := &specs[i], &c.snapshot.rules[i], fmt.Sprintf("policy.rules[%d]", i)
		name := cmpOr(spec.Name, fmt.Sprintf("rule-%d", i+1))
		if j, twice := named[name]; twice {
			c.fail(at+".name", invalid("", "rule %q: rule %d has the same name", name, j+1))
		} else {
			named[name] = i
		}
		r.action = Action{Rule: name, Index: i, rule: r, local: c.local}
		c.action(at, spec, &r.action)
		c.match(at+".match", &spec.Match, r)
		c.index(int32(i), r, spec.Match.MAC)
	}
}

func (c *compiler) match(at string, spec *Match, r *rule) {
	for i, text := range spec.UUID {
		asWritten, swapped, err := parseUUID(text)
		if err != nil {
			c.fail(fmt.Sprintf("%s.uuid[%d]", at, i), err)
			continue
		}
		r.uuids = append(r.uuids, asWritten, swapped)
	}
	r.uuidTexts = slices.Clone(spec.UUID)
	for i, name := range spec.Arch {
		arch, err := ParseArch(name)
		if err != nil {
			c.fail(fmt.Sprintf("%s.arch[%d]", at, i), asValueError(err))
			continue
		}
		r.arches = append(r.arches, arch)
	}
	for i, p := range spec.Subnet {
		if err := checkPrefix(p); err != nil {
			c.fail(fmt.Sprintf("%s.subnet[%d]", at, i), err)
		}
	}
	r.subnets = slices.Clone(spec.Subnet)
	r.vendorClass = c.texts(at+".vendor-class", spec.VendorClass)
	r.userClass = c.texts(at+".user-class", spec.UserClass)
	r.circuitID = c.bytes(at+".circuit-id", spec.CircuitID)
	r.remoteID = c.bytes(at+".remote-id", spec.RemoteID)
	c.snapshot.relayFacts = c.snapshot.relayFacts || len(r.circuitID) > 0 || len(r.remoteID) > 0
}

// index makes the rule findable by the addresses that it names, and puts it
// among those to be tried for every machine if it holds for others too.
func (c *compiler) index(i int32, r *rule, macs []string) {
	r.hasMAC, r.macs = len(macs) > 0, slices.Clone(macs)
	for j, text := range macs {
		exact, g, err := parseMAC(text)
		if err != nil {
			c.fail(fmt.Sprintf("policy.rules[%d].match.mac[%d]", i, j), err)
			continue
		}
		if exact == nil {
			r.macGlobs = append(r.macGlobs, g)
			continue
		}
		key, _ := keyOf(exact)
		if known := c.snapshot.byMAC[key]; len(known) == 0 || known[len(known)-1] != i {
			c.snapshot.byMAC[key] = append(known, i)
		}
	}
	if !r.hasMAC || len(r.macGlobs) > 0 {
		c.snapshot.scan = append(c.snapshot.scan, i)
	}
}

func (c *compiler) texts(at string, patterns []string) []glob {
	var globs []glob
	for i, text := range patterns {
		if text == "" {
			c.fail(fmt.Sprintf("%s[%d]", at, i), invalid("", "empty pattern"))
			continue
		}
		globs = append(globs, textGlob(text))
	}
	return globs
}

func (c *compiler) bytes(at string, patterns []string) []glob {
	var globs []glob
	for i, text := range patterns {
		g, err := parseBytes(text)
		if err == nil && g.literal == "" && len(g.tokens) == 0 {
			err = invalid("", "empty pattern")
		}
		if err != nil {
			c.fail(fmt.Sprintf("%s[%d]", at, i), err)
			continue
		}
		globs = append(globs, g)
	}
	return globs
}

func (c *compiler) clients(prefixes []netip.Prefix) {
	for i, p := range prefixes {
		if err := checkPrefix(p); err != nil {
			c.fail(fmt.Sprintf("clients[%d]", i), err)
		}
	}
	c.snapshot.clients = slices.Clone(prefixes)
}

// checkPrefix refuses what is more likely an address than a network.
func checkPrefix(p netip.Prefix) *ValueError {
	switch {
	case !p.IsValid():
		return invalid("as in 198.51.100.0/24", "bad network")
	case p != p.Masked():
		return invalid(didYouMean(p.Masked().String()), "%s is an address within a network", p)
	}
	return nil
}

func (c *compiler) vendorClasses(prefixes []string) {
	if len(prefixes) == 0 {
		prefixes = DefaultVendorClasses()
	}
	if len(prefixes) > MaxVendorClasses {
		c.fail(fmt.Sprintf("vendor-classes[%d]", MaxVendorClasses), invalid("", "more than %d vendor classes", MaxVendorClasses))
	}
	for i, p := range prefixes {
		at := fmt.Sprintf("vendor-classes[%d]", i)
		switch {
		case p == "":
			c.fail(at, invalid("it would be every DHCP client", "empty vendor class"))
		case len(p) > MaxVendorClassLen:
			c.fail(at, invalid("the start of option 60 is enough", "vendor class %q is longer than %d bytes", p, MaxVendorClassLen))
		case slices.Contains(prefixes[:i], p):
			c.fail(at, invalid("", "vendor class %q is listed twice", p))
		}
	}
	c.snapshot.classes = slices.Clone(prefixes)
}
