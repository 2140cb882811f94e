package decide

import (
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// machines are of all kinds that a rule can tell apart, by a word for each.
type machines map[string][]byte

func (b *bed) machines() machines {
	all := machines{}
	for i, name := range []string{"stranger", "held", "named", "early", "open", "late", "used", "cancelled", "standing", "once", "lost", "approved", "approved-winpe", "ignored"} {
		all[name] = mac(byte(i + 1))
	}
	for name, d := range map[string]deploy.Deployment{
		"early":     {Profile: "winpe", NotBefore: b.now.Add(time.Hour)},
		"open":      {Profile: "winpe", NotAfter: b.now.Add(time.Hour)},
		"late":      {Profile: "winpe", NotAfter: b.now.Add(time.Nanosecond)},
		"used":      {Profile: "winpe", Once: true},
		"cancelled": {Profile: "winpe"},
		"standing":  {Profile: "winpe"},
		"once":      {Profile: "winpe", Once: true},
		"lost":      {Profile: "gone"},
	} {
		d.ID, d.Target = name, deploy.Target{MAC: deploy.HardwareIdentity(all[name])}
		b.deploy(d)
	}
	b.consume("used", all["used"])
	b.ok(b.Cancel(b.t.Context(), "cancelled", 0, "ann", "", b.now))
	b.ok(b.Describe(b.t.Context(), deploy.HardwareIdentity(all["named"]), 0, new("web7"), nil))
	b.ok(b.Approve(b.t.Context(), deploy.HardwareIdentity(all["approved"]), 0, "", "ann", "", b.now))
	b.ok(b.Approve(b.t.Context(), deploy.HardwareIdentity(all["approved-winpe"]), 0, "winpe", "ann", "", b.now))
	b.ok(b.Ignore(b.t.Context(), deploy.Pattern{Machine: deploy.HardwareIdentity(all["ignored"])}, "ann", "", b.now))
	b.See(deploy.Sighting{Client: deploy.Client{MAC: all["held"]}, Hold: true}, b.now)
	b.await(all["held"], deploy.Held)
	b.now = b.now.Add(time.Second) // late is too late now
	return all
}

// TestRules has what each rule does with each machine.
func TestRules(t *testing.T) {
	b := newBed(t)
	all := b.machines()
	// For machines that are not in a row the word "else" counts.
	deployed := map[string]string{
		"standing": "winpe.efi", "once": "winpe.efi", "open": "~winpe.efi", "approved-winpe": "winpe.efi",
		"lost": "no_file_for_arch", "ignored": "machine_ignored", "early": "~else", "stranger": "~nothing_deployed", "held": "~nothing_deployed",
	}
	one := map[string]string{"ignored": "machine_ignored", "early": "~else", "open": "~else"}
	for _, tc := range []struct {
		name    string
		spec    policy.Spec
		base    map[string]string
		known   string // for machines that the base does not name
		unknown string // for stranger and held; empty: as the base has it
		winpe   string // for the machine that is approved with a profile
	}{
		{"deployed", rule(policy.Rule{Boot: "deployed"}), deployed, "nothing_deployed", "", ""},
		{"else ignore", rule(policy.Rule{Boot: "deployed", Else: "ignore", Unknown: "ignore"}), deployed, "nothing_deployed", "", ""},
		{"else local", rule(policy.Rule{Boot: "deployed", Else: "local"}), deployed, "local_boot", "", ""},
		{"else a file", rule(policy.Rule{Boot: "deployed", Else: "local", Local: local}), deployed, "~exit.efi", "", ""},
		{"unknown hold", rule(policy.Rule{Boot: "deployed", Unknown: "hold"}), deployed, "nothing_deployed", "~machine_held", ""},
		{"unknown local", rule(policy.Rule{Boot: "deployed", Unknown: "local"}), deployed, "nothing_deployed", "~local_boot", ""},
		{"unknown a profile", rule(policy.Rule{Boot: "deployed", Unknown: "linux"}), deployed, "nothing_deployed", "~linux.efi", ""},
		{"hold and local", rule(policy.Rule{Boot: "deployed", Unknown: "hold", Else: "local"}), deployed, "local_boot", "~machine_held", ""},
		{"default deployed", policy.Spec{Default: "deployed"}, deployed, "nothing_deployed", "", ""},
		{"default hold", policy.Spec{Default: "hold"}, deployed, "nothing_deployed", "~machine_held", ""},

		{"profile", rule(policy.Rule{Boot: "linux"}), map[string]string{"ignored": "machine_ignored"}, "linux.efi", "linux.efi", "linux.efi"},
		{"profile, hold", rule(policy.Rule{Boot: "linux", Unknown: "hold"}), one, "linux.efi", "~machine_held", "winpe.efi"},
		{"profile, ignore", rule(policy.Rule{Boot: "linux", Unknown: "ignore"}), one, "linux.efi", "~nothing_deployed", "winpe.efi"},
		{"profile, local", rule(policy.Rule{Boot: "linux", Unknown: "local"}), one, "linux.efi", "~local_boot", "winpe.efi"},
		{"profile, profile", rule(policy.Rule{Boot: "linux", Unknown: "winpe"}), one, "linux.efi", "~winpe.efi", "winpe.efi"},
		{"ignore", rule(policy.Rule{Boot: "ignore"}), map[string]string{"ignored": "machine_ignored"}, "rule_ignore", "rule_ignore", "rule_ignore"},
		{"no rule", policy.Spec{Default: "ignore"}, map[string]string{"ignored": "machine_ignored"}, "default_ignore", "default_ignore", "default_ignore"},
		{"another's rule", policy.Spec{Default: "deployed", Rules: []policy.Rule{{Match: policy.Match{MAC: []string{"02:*"}}, Boot: "linux"}}}, deployed, "nothing_deployed", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := New(Config{Policy: compile(t, tc.spec), Catalogue: b.Catalogue})
			for name, mac := range all {
				want, has := tc.base[name]
				switch {
				case (name == "stranger" || name == "held") && tc.unknown != "":
					want = tc.unknown
				case name == "approved-winpe" && tc.winpe != "":
					want = tc.winpe
				case !has:
					want = tc.known
				case want == "~else":
					want = "~" + strings.TrimPrefix(tc.known, "~")
				}
				m := x64(mac, b.now)
				got := d.Decide(m)
				if said(got) != want {
					t.Errorf("%s: %s, want %s (%+v)", name, said(got), want, got)
				}
				m.Discover = false
				if again := d.Decide(m); again != got {
					t.Errorf("%s: on port 4011 %+v,\n in the OFFER %+v", name, again, got)
				}
				m.Trial = true
				if again := d.Decide(m); again != got {
					t.Errorf("%s: in a trial %+v", name, again)
				}
				if wants := want == "winpe.efi" && name != "approved-winpe" && name != "stranger"; wants && got.Deployment != name {
					t.Errorf("%s: by deployment %q", name, got.Deployment)
				}
				steps := d.Explain(m)
				if last := steps[len(steps)-1]; last.OK != strings.Contains(want, ".") || len(steps) < 2 {
					t.Errorf("%s: %s is explained by %v", name, want, steps)
				}
			}
		})
	}
}

// rule is a policy of one rule for all.
func rule(r policy.Rule) policy.Spec { return policy.Spec{Rules: []policy.Rule{r}} }

// TestDetail has what is said besides the reason.
func TestDetail(t *testing.T) {
	b := newBed(t)
	all := b.machines()
	d := New(Config{Policy: compile(t, policy.Spec{Default: "hold"}), Catalogue: b.Catalogue})
	for name, want := range map[string]policy.Decision{
		"stranger":  {Detail: "unknown_machine", Track: true},
		"held":      {Detail: "held", Track: true},
		"early":     {Detail: "too_early", Track: true},
		"late":      {Detail: "expired", Track: true},
		"used":      {Detail: "used_up", Track: true},
		"cancelled": {Detail: "cancelled", Track: true},
		"standing":  {Detail: "deployed", Track: true, Deployment: "standing", Profile: "winpe"},
		"lost":      {Detail: "no_such_profile", Track: true, Deployment: "lost", Profile: "gone"},
		"approved":  {Detail: "approved", Track: true},
		"ignored":   {},
	} {
		got := d.Decide(x64(all[name], b.now))
		if got.Detail != want.Detail || got.Track != want.Track || got.Deployment != want.Deployment || got.Profile != want.Profile {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}

// The ignore list holds for everybody behind it, and is hot.
func TestIgnoreList(t *testing.T) {
	b := newBed(t)
	d := New(Config{Policy: compile(t, policy.Spec{Default: "linux"}), Catalogue: b.Catalogue})
	expect := func(m *policy.Machine, want string) {
		t.Helper()
		if got := said(d.Decide(m)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	m := x64(mac(1), b.now)
	m.UUID = []byte("0123456789abcdef")
	expect(m, "linux.efi")
	if dep := d.Depends(m, everywhere); dep.Identity {
		t.Error("all are answered alike, but it depends on who asks")
	}
	for _, text := range []string{"52:54:00", "52:54:00:00:00:01", "30313233-3435-3637-3839-616263646566"} {
		p, err := deploy.ParsePattern(text)
		b.ok(err)
		b.ok(b.Ignore(t.Context(), p, "ann", "", b.now))
		expect(m, "machine_ignored")
		if dep := d.Depends(m, everywhere); !dep.Identity {
			t.Error("somebody is ignored, and it depends on nobody")
		}
		b.ok(b.Unignore(t.Context(), p))
		expect(m, "linux.efi")
	}
}

// TestLocal has the way to the disk for each family of clients.
func TestLocal(t *testing.T) {
	now := time.Now()
	ipxe := kind(mac(1), now, policy.ArchBIOS)
	ipxe.IPXE = true
	http := kind(mac(1), now, policy.ArchX64UEFIHTTP)
	http.HTTP = true
	nothing := x64(mac(1), now)
	nothing.NumArches = 0
	families := []*policy.Machine{kind(mac(1), now, policy.ArchBIOS), x64(mac(1), now), kind(mac(1), now, policy.ArchEBC), kind(mac(1), now, 11), ipxe, http, kind(mac(1), now, policy.ArchOPAL), nothing}
	silence := "~local_boot ~local_boot ~local_boot ~local_boot "
	for _, tc := range []struct {
		name     string
		local    *policy.LocalFiles
		families string // bios, x64, ebc, arm64, iPXE, HTTP, OPAL, unknown
	}{
		{"built in", nil, silence + "~xdpxe-exit.ipxe ~local_boot ~local_boot ~local_boot"},
		{"silence", &policy.LocalFiles{}, silence + "~local_boot ~local_boot ~local_boot ~local_boot"},
		{"given", local, "~exit.0 ~exit.efi ~exit.efi ~exit.efi ~http://192.0.2.1/exit.ipxe ~local_boot ~local_boot ~local_boot"},
	} {
		of := policy.DefaultLocal()
		if tc.local != nil {
			of = *tc.local
		}
		r := policy.Rule{Boot: "deployed", Unknown: "local"}
		byPolicy := policy.Spec{Rules: []policy.Rule{r}, Local: tc.local}
		r.Local = &of
		byRule := policy.Spec{Rules: []policy.Rule{r}, Local: &policy.LocalFiles{BIOS: "other.0", UEFI: "other.efi", IPXE: "other.ipxe"}}
		for _, spec := range []policy.Spec{byPolicy, byRule} {
			d := New(Config{Policy: compile(t, spec)})
			for i, want := range strings.Fields(tc.families) {
				if got := d.Decide(families[i]); said(got) != want {
					t.Errorf("%s: %v: %s, want %s", tc.name, families[i].Arches[0], said(got), want)
				}
			}
		}
	}
}

// Before the store is read nothing that it could say is guessed.
func TestNotLoaded(t *testing.T) {
	c := deploy.New(deploy.Config{})
	for boot, want := range map[string]string{"deployed": "~nothing_deployed", "linux": "linux.efi"} {
		spec := rule(policy.Rule{Boot: boot})
		if boot == "deployed" {
			spec.Rules[0].Else, spec.Rules[0].Unknown = "local", "linux"
		}
		d := New(Config{Policy: compile(t, spec), Catalogue: c})
		if got := d.Decide(x64(mac(1), time.Now())); said(got) != want {
			t.Errorf("boot: %s: %s, want %s", boot, said(got), want)
		}
	}
}
