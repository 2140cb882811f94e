package config

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/xdpxe/xdpxe/responder/policy"
)

// Flags are the parts of a configuration that the command line can give.
type Flags struct {
	Interfaces []string // "auto" alone: Config.Auto; empty: as in the file
	Root       string   // empty: as in the file
}

// Apply puts what the command line says in the place of what the file says.
func (c *Config) Apply(f Flags) error {
	if f.Root != "" {
		c.Root = f.Root
	}
	if len(f.Interfaces) == 0 {
		return nil
	}
	for i, name := range f.Interfaces {
		if problem, _ := checkInterface(name); problem != "" {
			return fmt.Errorf("%s", problem)
		}
		if name == "auto" && len(f.Interfaces) > 1 {
			return fmt.Errorf("interface auto stands alone")
		}
		if slices.Contains(f.Interfaces[:i], name) {
			return fmt.Errorf("interface %s is named twice", name)
		}
	}
	c.Auto = f.Interfaces[0] == "auto"
	c.Interfaces = nil
	if !c.Auto {
		c.Interfaces = slices.Clone(f.Interfaces)
	}
	return nil
}

// Complete reports what a daemon cannot do without and neither the file nor
// the command line has said. The error is Errors.
func (c *Config) Complete() error {
	var errs Errors
	if !c.Auto && len(c.Interfaces) == 0 {
		errs = append(errs, c.errorAt("interfaces", "interfaces: [eth0] or interfaces: auto, or -i on the command line", "no interface to serve"))
	}
	if c.Attach == AttachExternal && c.Heartbeat != DefaultHeartbeat {
		errs = append(errs, c.errorAt("heartbeat", "leave it out", "attach: external: the object has a heartbeat of %v", DefaultHeartbeat))
	}
	if c.Attach == AttachExternal && c.BPFFS == "" {
		errs = append(errs, c.errorAt("bpffs", "the directory above the one that xdp-loader's -p names", "attach: external: no directory with the program's maps"))
	}
	if c.Root == "" {
		for _, f := range c.Policy.Files() {
			if !policy.IsURL(f.File) {
				errs = append(errs, c.errorAt("root", "root: DIRECTORY, or --root on the command line", "no root for boot file %s of profile %s", f.File, f.Profile))
				break
			}
		}
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// Check asks exists about each boot file below the root and returns Errors for
// those that it does not like. URLs are not looked up.
func (c *Config) Check(exists func(name string) error) error {
	var errs Errors
	for _, f := range c.Policy.Files() {
		if policy.IsURL(f.File) {
			continue
		}
		if err := exists(f.File); err != nil {
			of := "profile " + f.Profile
			if f.Profile == "" {
				of = "local"
			}
			e := c.errorAt(f.Path, "", "%s: %s: boot file %s: %v", of, f.Key, f.File, err)
			e.Err = err
			errs = append(errs, e)
		}
	}
	if len(errs) == 0 {
		return nil
	}
	slices.SortStableFunc(errs, byPlace)
	return errs
}

// Problem returns an error at the place of a top-level key such as "root" or
// "address", for what only the running machine can tell.
func (c *Config) Problem(key string, err error, hint string) *Error {
	e := c.errorAt(key, hint, "%s: %v", key, err)
	e.Err = err
	return e
}

// warn fills Warnings.
func (c *Config) warn() {
	add := func(path, hint, format string, args ...any) {
		c.Warnings = append(c.Warnings, c.errorAt(path, hint, format, args...))
	}
	used, all := map[string]bool{c.Spec.Default: true}, false
	for i, r := range c.Spec.Rules {
		used[r.Boot], used[r.Unknown] = true, true
		if !all && r.Webhook == "" && matchesAll(&r.Match) && i+1 < len(c.Spec.Rules) {
			all = true
			add(fmt.Sprintf("policy.rules[%d]", i), "the last place is for a rule without match", "rule %d matches every client; those after it never get a turn", i+1)
		}
	}
	ipxe := make(map[string]policy.FileRef)
	for _, f := range c.Policy.Files() {
		if f.Profile == "" {
			continue
		}
		if host, named := policy.NamedHost(f.File); named && f.Key != policy.IPXEFile {
			add(f.Path, "write its address", "%s: the client's firmware must resolve %s, and only can if its DHCP server sends it a DNS server", f.Key, host)
		}
		if isIPXE(f.File) {
			if _, ok := ipxe[f.Profile]; !ok {
				ipxe[f.Profile] = f
			}
		}
	}
	for _, f := range ipxe {
		if c.Spec.Profiles[f.Profile].Files[policy.IPXEFile] == "" {
			add(f.Path, "add ipxe: SCRIPT unless the binary has its script embedded", "profile %s boots %s, but has nothing for iPXE when it asks", f.Profile, path.Base(f.File))
		}
	}
	anyProfile := c.Policy.UsesDeployments() || len(c.Policy.Webhooks()) > 0 // it is others who name them
	for name := range c.Spec.Profiles {
		if !used[name] && !anyProfile {
			add("profiles."+name, "", "profile %s is in no rule and not the default", name)
		}
	}
	if len(c.Spec.Rules) == 0 && (c.Spec.Default == policy.Ignore || c.Spec.Default == "") {
		add("policy", "policy: {default: PROFILE}", "no rules and default: ignore: no client is answered")
	}
	if c.TFTP.SinglePort && len(c.Clients) == 0 {
		add("tftp.single-port", "clients: [NETWORK, …]", "single-port without clients: who forges a source address can have files sent to others")
	}
	if c.TFTP.Uploads != nil && len(c.Clients) == 0 {
		add("tftp.uploads", "clients: [NETWORK, …]", "uploads without clients: anybody who reaches this host may write files")
	}
	slices.SortFunc(c.Warnings, func(a, b *Error) int {
		if n := byPlace(a, b); n != 0 {
			return n
		}
		return strings.Compare(a.Msg, b.Msg)
	})
}

func matchesAll(m *policy.Match) bool {
	return len(m.MAC)+len(m.UUID)+len(m.Arch)+len(m.Subnet)+len(m.VendorClass)+len(m.UserClass)+len(m.CircuitID)+len(m.RemoteID) == 0
}

// isIPXE reports whether a boot file is iPXE by its usual names.
func isIPXE(file string) bool {
	base := strings.ToLower(path.Base(file))
	if strings.HasSuffix(base, ".ipxe") {
		return false
	}
	for _, start := range [...]string{"ipxe", "snponly", "undionly", "netboot.xyz"} {
		if strings.HasPrefix(base, start) {
			return true
		}
	}
	return false
}
