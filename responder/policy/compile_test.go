package policy

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCompileErrors: each mistake is reported, with the place and the way out.
func TestCompileErrors(t *testing.T) {
	long := strings.Repeat("d/", 60)
	files := func(key, file string) Spec {
		return Spec{Profiles: map[string]Profile{"p": {Files: map[string]string{key: file}}}}
	}
	match := func(m Match) Spec { return Spec{Rules: []Rule{{Match: m, Boot: Ignore}}} }
	for _, tc := range []struct {
		name string
		spec Spec
		want string // path: part of the message (hint)
	}{
		{"unknown default", Spec{Default: "lnux", Profiles: testProfiles}, `policy.default: unknown profile "lnux" (known: bare, full, tftp, ignore, deployed, hold)`},
		{"near default", Spec{Default: "fulll", Profiles: testProfiles}, `policy.default: unknown profile "fulll" (did you mean full?)`},
		{"unknown boot", Spec{Rules: []Rule{{Boot: "ingore"}}}, `policy.rules[0].boot: unknown profile "ingore" (did you mean ignore?)`},
		{"no boot", Spec{Rules: []Rule{{Name: "a"}}}, `policy.rules[0].boot: rule "a" says nothing to boot (boot: PROFILE, boot: deployed or boot: ignore)`},
		{"same name", Spec{Rules: []Rule{{Name: "a", Boot: Ignore}, {Name: "a", Boot: Ignore}}}, `policy.rules[1].name: rule "a": rule 1 has the same name`},
		{"name of a rule without", Spec{Rules: []Rule{{Boot: Ignore}, {Name: "rule-1", Boot: Ignore}}}, `policy.rules[1].name: rule "rule-1": rule 1 has the same name`},
		{"mac", match(Match{MAC: []string{"*", "52:54:00"}}), `policy.rules[0].match.mac[1]: bad hardware address "52:54:00": 3 bytes (6, 8 or 16 bytes; a part of one needs a *`},
		{"uuid", match(Match{UUID: []string{"4c4c"}}), `policy.rules[0].match.uuid[0]: bad UUID "4c4c"`},
		{"arch", match(Match{Arch: []string{"bios", "x64"}}), `policy.rules[0].match.arch[1]: unknown architecture "x64" (did you mean x64-uefi?)`},
		{"subnet", match(Match{Subnet: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/8")}}), `policy.rules[0].match.subnet[0]: 10.0.0.1/8 is an address within a network (did you mean 10.0.0.0/8?)`},
		{"no subnet", match(Match{Subnet: []netip.Prefix{{}}}), `policy.rules[0].match.subnet[0]: bad network`},
		{"vendor class", match(Match{VendorClass: []string{""}}), `policy.rules[0].match.vendor-class[0]: empty pattern`},
		{"user class", match(Match{UserClass: []string{""}}), `policy.rules[0].match.user-class[0]: empty pattern`},
		{"circuit", match(Match{CircuitID: []string{"0x0"}}), `policy.rules[0].match.circuit-id[0]: bad bytes "0x0": each byte is two hexadecimal digits`},
		{"empty remote", match(Match{RemoteID: []string{"0x"}}), `policy.rules[0].match.remote-id[0]: empty pattern`},
		{"clients", Spec{Clients: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/8")}}, `clients[0]: 10.0.0.1/8 is an address within a network`},
		{"class", Spec{VendorClasses: []string{"PXEClient", ""}}, `vendor-classes[1]: empty vendor class`},
		{"class twice", Spec{VendorClasses: []string{"PXEClient", "PXEClient"}}, `vendor-classes[1]: vendor class "PXEClient" is listed twice`},
		{"long class", Spec{VendorClasses: []string{strings.Repeat("x", 33)}}, `vendor-classes[0]: vendor class "` + strings.Repeat("x", 33) + `" is longer than 32 bytes`},
		{"many classes", Spec{VendorClasses: []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"}}, `vendor-classes[8]: more than 8 vendor classes`},
		{"profile called ignore", Spec{Profiles: map[string]Profile{"ignore": testProfiles["full"]}}, `profiles.ignore: a profile cannot be called "ignore"`},
		{"profile called hold", Spec{Profiles: map[string]Profile{"hold": testProfiles["full"]}}, `profiles.hold: a profile cannot be called "hold" (another name)`},
		{"hold in a rule", Spec{Rules: []Rule{{Boot: Hold}}}, `policy.rules[0].boot: rule "rule-1": hold is for machines that nobody has named (boot: deployed with unknown: hold)`},
		{"local in a rule", Spec{Rules: []Rule{{Boot: Local}}}, `policy.rules[0].boot: "local" cannot stand here (known: ignore, deployed)`},
		{"default local", Spec{Default: Local}, `policy.default: "local" cannot stand here`},
		{"else of a profile", Spec{Profiles: testProfiles, Rules: []Rule{{Boot: "full", Else: Local}}}, `policy.rules[0].else: rule "rule-1": else is for machines that have nothing deployed (boot: deployed)`},
		{"else a profile", Spec{Profiles: testProfiles, Rules: []Rule{{Boot: Deployed, Else: "full"}}}, `policy.rules[0].else: "full" cannot stand here (ignore or local)`},
		{"else misspelt", Spec{Rules: []Rule{{Boot: Deployed, Else: "lokal"}}}, `policy.rules[0].else: "lokal" cannot stand here (did you mean local?)`},
		{"unknown of nothing", Spec{Rules: []Rule{{Boot: Ignore, Unknown: Hold}}}, `policy.rules[0].unknown: rule "rule-1" ignores known machines as well`},
		{"unknown deployed", Spec{Rules: []Rule{{Boot: Deployed, Unknown: Deployed}}}, `policy.rules[0].unknown: "deployed" cannot stand here (known: ignore, hold, local)`},
		{"delay", Spec{Rules: []Rule{{Boot: Ignore, Delay: 61 * time.Second}}}, `policy.rules[0].delay: rule "rule-1": delay of 1m1s (at most 1m0s`},
		{"delay-secs", Spec{Rules: []Rule{{Boot: Ignore, DelaySecs: -1}}}, `policy.rules[0].delay-secs: rule "rule-1": delay of -1s`},
		{"webhook", Spec{Rules: []Rule{{Webhook: "cmdb"}}, Webhooks: []string{"cmbd"}}, `policy.rules[0].webhook: unknown webhook "cmdb" (did you mean cmbd?)`},
		{"no webhook", Spec{Rules: []Rule{{Webhook: "cmdb"}}}, `policy.rules[0].webhook: unknown webhook "cmdb" (webhooks: {cmdb: {url: …}})`},
		{"local", Spec{Local: &LocalFiles{BIOS: "../exit.0"}}, `policy.local.bios: boot file "../exit.0": leads out of root`},
		{"local by HTTP", Spec{Local: &LocalFiles{UEFI: x64URL}}, `policy.local.uefi: boot file`},
		{"local of a rule", Spec{Rules: []Rule{{Boot: Deployed, Local: &LocalFiles{IPXE: "x://y"}}}}, `policy.rules[0].local.ipxe: boot file "x://y": unknown scheme "x"`},
		{"allow", Spec{Profiles: map[string]Profile{"p": {Files: testProfiles["full"].Files, Allow: []string{"a/*", "../*"}}}}, `profiles.p.allow[1]: bad pattern "../*" (as in "linux/*"`},
		{"allow all", Spec{Profiles: map[string]Profile{"p": {Files: testProfiles["full"].Files, Allow: []string{"/"}}}}, `profiles.p.allow[0]: bad pattern "/"`},
		{"empty profile", Spec{Profiles: map[string]Profile{"p": {}}}, `profiles.p: profile "p" has no boot files`},
		{"long name", Spec{Profiles: map[string]Profile{strings.Repeat("p", 64): testProfiles["full"]}}, `the profile's name has 64 bytes, at most 63 (a shorter name)`},
		{"unknown file key", files("x64-uefii", "a"), `profiles.p.files.x64-uefii: unknown architecture "x64-uefii" (did you mean x64-uefi?)`},
		{"two names", Spec{Profiles: map[string]Profile{"p": {Files: map[string]string{"bios": "a", "arch-0": "b"}}}}, `profiles.p.files.bios: arch-0 and bios are one architecture`},
		{"no file", files("bios", ""), `profiles.p.files.bios: no boot file`},
		{"directory", files("bios", `boot\`), `profiles.p.files.bios: boot file "boot\\": names a directory`},
		{"outside", files("bios", `..\x`), `profiles.p.files.bios: boot file "..\\x": leads out of root`},
		{"outside and in", files("bios", "/a/../../a/x"), `leads out of root`},
		{"control character", files("bios", "a\nb"), `control character`},
		{"C14 shim", files("x64-uefi", long+"shimx64.efi"), `131 bytes, shim reads its own name from a field of 127 (a shorter path)`},
		{"too long", files("x64-uefi", strings.Repeat("d/", 125)+"x.efi"), `255 bytes, DHCP has room for 254`},
		{"long URL", files("ipxe", "http://h/"+strings.Repeat("x", 246)), `255 bytes, DHCP has room for 254`},
		{"URL by TFTP", files("x64-uefi", x64URL), `x64-uefi loads by TFTP (a path below root; URLs are for ipxe and the http architectures)`},
		{"path by HTTP", files("x64-uefi-http", "ipxe.efi"), `x64-uefi-http boots from a URL (as in "http://192.0.2.1/bootx64.efi")`},
		{"tftp by HTTP", files("x64-uefi-http", "tftp://192.0.2.1/ipxe.efi"), `x64-uefi-http boots by HTTP (http or https)`},
		{"no host", files("x64-uefi-http", "http:///ipxe.efi"), `bad URL`},
		{"no host for iPXE", files("ipxe", "http:///boot.ipxe"), `no host`},
		{"iPXE scheme", files("ipxe", "htp://192.0.2.1/boot.ipxe"), `unknown scheme "htp" (http, https, tftp, ftp, nfs)`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Compile(tc.spec)
			if s != nil || err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
			var v *ValueError
			if !errors.As(err, &v) || v.Path == "" {
				t.Errorf("%v has no place", err)
			}
		})
	}
}

func TestCompileReportsAll(t *testing.T) {
	_, err := Compile(Spec{
		Default:  "x",
		Rules:    []Rule{{Boot: "y", Match: Match{MAC: []string{"z"}, Arch: []string{"w"}}}},
		Profiles: map[string]Profile{"p": {Files: map[string]string{"a": "", "bios": ""}}},
		Clients:  []netip.Prefix{{}},
	})
	var paths []string
	for _, v := range err.(SpecErrors) {
		paths = append(paths, v.Path)
	}
	want := []string{"profiles.p.files.a", "profiles.p.files.bios", "policy.default", "policy.rules[0].boot", "policy.rules[0].match.arch[0]", "policy.rules[0].match.mac[0]", "clients[0]"}
	if !slices.Equal(paths, want) {
		t.Errorf("got  %q\nwant %q", paths, want)
	}
}

// TestLongNames: 127 bytes go into the header field, longer ones into option 67,
// which only shim cannot read.
func TestLongNames(t *testing.T) {
	for _, name := range []string{
		strings.Repeat("d/", 58) + "shimx64.efi", // 127
		strings.Repeat("d/", 60) + "grubx64.efi", // 131
		strings.Repeat("shim/", 40) + "grubx64.efi",
	} {
		s := compile(t, Spec{Default: "p", Profiles: map[string]Profile{"p": {Files: map[string]string{"x64-uefi": name}}}})
		m := arches(7)
		if got := s.Decide(&m).File; got != name {
			t.Errorf("%d bytes: %q", len(name), got)
		}
	}
}

// TestCompileKeepsNothing: a Snapshot does not change with the Spec.
func TestCompileKeepsNothing(t *testing.T) {
	spec := Spec{
		Profiles: map[string]Profile{"p": {Files: map[string]string{"bios": "a"}}},
		Clients:  []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, VendorClasses: []string{"PXEClient"},
		Rules: []Rule{{Boot: "p", Match: Match{Subnet: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}},
	}
	s := compile(t, spec)
	spec.Profiles["p"].Files["bios"] = "b"
	spec.Clients[0], spec.Rules[0].Match.Subnet[0] = netip.MustParsePrefix("11.0.0.0/8"), netip.MustParsePrefix("11.0.0.0/8")
	spec.VendorClasses[0] = "x"
	s.Files()[0].File = "c"
	s.VendorClasses()[0] = "y"
	m := with(arches(0), func(m *Machine) { m.Subnet = netip.MustParseAddr("10.0.0.1") })
	if d := s.Decide(&m); d.File != "a" || s.Files()[0].File != "a" || !s.Allowed(m.Subnet) || s.VendorClasses()[0] != "PXEClient" {
		t.Errorf("the snapshot has changed: %+v, %+v", d, s.Files())
	}
}

func TestFiles(t *testing.T) {
	want := []FileRef{
		{"a", "bios", "x/y", "profiles.a.files.bios"},
		{"a", "ipxe", script, "profiles.a.files.ipxe"},
		{"b", "x64-uefi", "z", "profiles.b.files.x64-uefi"},
	}
	got := compile(t, Spec{Profiles: map[string]Profile{
		"b": {Files: map[string]string{"x64-uefi": "z"}}, "a": {Files: map[string]string{"ipxe": script, "bios": `x\y`}},
	}}).Files()
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if IsURL(got[0].File) || !IsURL(got[1].File) {
		t.Error("IsURL takes a path for a URL, or the other way round")
	}
}

func TestURLs(t *testing.T) {
	for name, want := range map[string]bool{
		"http://h/x": true, "TFTP://h/x": true, "nfs://h/x": true, "x+y-z.1://h": true,
		"boot/x": false, "://x": false, "1http://x": false, "ht/tp://x": false, "http://": false, "": false, `C:\x`: false,
	} {
		if IsURL(name) != want {
			t.Errorf("IsURL(%q) = %v", name, !want)
		}
	}
	for url, want := range map[string]string{
		"http://boot.example:8080/x": "boot.example", "http://192.0.2.1/x": "", "http://[2001:db8::1]:80/x": "", "boot/x": "", "http://%zz/": "",
	} {
		if host, named := NamedHost(url); host != want || named != (want != "") {
			t.Errorf("NamedHost(%q) = %q, %v, want %q", url, host, named, want)
		}
	}
}
