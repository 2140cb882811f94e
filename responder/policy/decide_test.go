package policy

import (
	"net/netip"
	"testing"

	"github.com/xdpxe/xdpxe/responder/packet"
)

func compile(t testing.TB, spec Spec) *Snapshot {
	t.Helper()
	s, err := Compile(spec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func arches(list ...Arch) (m Machine) {
	m.NumArches = copy(m.Arches[:], list)
	return m
}

// with changes a copy of a machine.
func with(m Machine, change func(*Machine)) Machine {
	change(&m)
	return m
}

func http(m Machine) Machine { return with(m, func(m *Machine) { m.HTTP = true }) }
func ipxe(m Machine) Machine { return with(m, func(m *Machine) { m.IPXE = true }) }

const (
	x64URL = "http://192.0.2.1/ipxe.efi"
	script = "http://192.0.2.1/boot.php?mac=${net0/mac}"
)

var testProfiles = map[string]Profile{
	"full": {Files: map[string]string{
		"bios": "undionly.kpxe", "x64-uefi": `\boot\x64\snponly.efi`, "arm64-uefi": "/arm64/./snponly.efi", "opal": "http://192.0.2.1/petitboot",
		"x64-uefi-http": x64URL, "arch-4711": "new.efi", "ipxe": script,
	}},
	"bare": {Files: map[string]string{"x64-uefi": "bootx64.efi", "ebc": "boot.ebc", "arm64-uefi-http": "HTTPS://boot.example/a", "itanium": "elilo.efi"}},
	"tftp": {Files: map[string]string{"ipxe": "boot.ipxe"}},
}

// TestDecide has the statements of PROTOCOL.md section 8 that are the policy's.
func TestDecide(t *testing.T) {
	for _, tc := range []struct {
		name    string
		profile string
		m       Machine
		reason  packet.Reason
		style   Style
		arch    Arch
		file    string
	}{
		{"x64", "full", arches(7), packet.Answered, StyleUEFI, 7, "boot/x64/snponly.efi"},
		{"path is cleaned", "full", arches(11), packet.Answered, StyleUEFI, 11, "arm64/snponly.efi"},
		{"A13 bios", "full", arches(0), packet.Answered, StyleBIOS, 0, "undionly.kpxe"},
		{"itanium is older than UEFI", "bare", arches(2), packet.Answered, StyleBIOS, 2, "elilo.efi"},
		{"A14 iPXE", "full", ipxe(arches(7)), packet.Answered, StyleIPXE, 7, script},
		{"A14 iPXE on BIOS", "full", ipxe(arches(0)), packet.Answered, StyleIPXE, 0, script},
		{"A14 iPXE without a script never gets a binary", "bare", ipxe(arches(7)), packet.NoFileForArch, 0, 7, ""},
		{"iPXE needs no architecture", "full", ipxe(arches()), packet.Answered, StyleIPXE, ArchUnknown, script},
		{"iPXE script by TFTP", "tftp", ipxe(arches(7)), packet.Answered, StyleIPXE, 7, "boot.ipxe"},
		{"iPXE as HTTP client gets a URL", "full", http(ipxe(arches(16))), packet.Answered, StyleHTTP, 16, script},
		{"iPXE as HTTP client without URL", "tftp", http(ipxe(arches(16))), packet.NoFileForArch, 0, 16, ""},
		{"A17 ebc gets x64", "full", arches(9), packet.Answered, StyleUEFI, 9, "boot/x64/snponly.efi"},
		{"A17 unless ebc has its own", "bare", arches(9), packet.Answered, StyleUEFI, 9, "boot.ebc"},
		{"17 gets 16", "full", http(arches(17)), packet.Answered, StyleHTTP, 17, x64URL},
		{"A18 first configured", "full", arches(6, 11, 7), packet.Answered, StyleUEFI, 11, "arm64/snponly.efi"},
		{"A18 transport of PXEClient", "full", arches(16, 7), packet.Answered, StyleUEFI, 7, "boot/x64/snponly.efi"},
		{"A18 transport of HTTPClient", "full", http(arches(7, 16)), packet.Answered, StyleHTTP, 16, x64URL},
		{"A20 no architecture", "full", arches(), packet.UnknownArch, 0, ArchUnknown, ""},
		{"A20 none that counts", "full", arches(ArchUnknown), packet.UnknownArch, 0, ArchUnknown, ""},
		{"A22 not configured", "full", arches(6), packet.NoFileForArch, 0, 6, ""},
		{"A24 HTTP", "full", http(arches(16)), packet.Answered, StyleHTTP, 16, x64URL},
		{"A24 scheme in lower case", "bare", http(arches(19)), packet.Answered, StyleHTTP, 19, "https://boot.example/a"},
		{"A26 no URL", "bare", http(arches(16)), packet.NoFileForArch, 0, 16, ""},
		{"A26 TFTP code in HTTP client", "full", http(arches(7)), packet.NoFileForArch, 0, 7, ""},
		{"HTTP code in PXE client", "full", arches(16), packet.NoFileForArch, 0, 16, ""},
		{"opal by either", "full", arches(14), packet.Answered, StyleUEFI, 14, "http://192.0.2.1/petitboot"},
		{"opal over HTTP", "full", http(arches(14)), packet.Answered, StyleHTTP, 14, "http://192.0.2.1/petitboot"},
		{"code beyond the registry", "full", arches(4711), packet.Answered, StyleUEFI, 4711, "new.efi"},
		{"code beyond the registry, not configured", "full", arches(4712), packet.NoFileForArch, 0, 4712, ""},
		{"more architectures than there is room for", "full", with(arches(7), func(m *Machine) { m.NumArches = 99 }), packet.Answered, StyleUEFI, 7, "boot/x64/snponly.efi"},
		{"fewer than none", "full", with(arches(7), func(m *Machine) { m.NumArches = -1 }), packet.UnknownArch, 0, ArchUnknown, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := compile(t, Spec{Default: tc.profile, Profiles: testProfiles})
			want := Decision{Reason: tc.reason, Style: tc.style, Arch: tc.arch, File: tc.file, Profile: tc.profile, Cacheable: true}
			if got := s.Decide(&tc.m); got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestIgnore(t *testing.T) {
	s := compile(t, Spec{Profiles: testProfiles, Rules: []Rule{{Name: "off", Match: Match{Arch: []string{"bios"}}, Boot: Ignore}}})
	bios, x64 := arches(0), arches(7)
	if got, want := s.Decide(&bios), (Decision{Reason: packet.RuleIgnore, Arch: 0, Rule: "off", Cacheable: true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := s.Decide(&x64), (Decision{Reason: packet.DefaultIgnore, Arch: 7, Cacheable: true}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestMatchFields takes one field at a time, then all of them together.
func TestMatchFields(t *testing.T) {
	lab := netip.MustParsePrefix("198.51.100.0/24")
	all := Match{
		MAC: []string{"00:*", "52:54:00:*"}, UUID: []string{"4c4c4544-0044-4810-8031-b4c04f4a4e31"}, Arch: []string{"bios", "x64-uefi"},
		Subnet: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), lab}, VendorClass: []string{"PXEClient:Arch:00007*"}, UserClass: []string{"lab-?"},
		CircuitID: []string{"Eth1/*"}, RemoteID: []string{"0x0001*"},
	}
	machine := with(arches(7), func(m *Machine) {
		m.MAC, m.UUID = mac(t, "52:54:00:12:34:56"), mac(t, "44454c4c440010488031b4c04f4a4e31")
		m.Subnet, m.VendorClass, m.UserClass = netip.MustParseAddr("198.51.100.1"), []byte("PXEClient:Arch:00007:UNDI:003016"), []byte("lab-1")
		m.CircuitID, m.RemoteID = []byte("Eth1/7"), []byte{0, 1, 2}
	})
	for _, tc := range []struct {
		field  string
		match  Match
		differ func(*Machine)
	}{
		{"mac", Match{MAC: all.MAC}, func(m *Machine) { m.MAC = mac(t, "52:54:01:12:34:56") }},
		{"mac absent", Match{MAC: all.MAC}, func(m *Machine) { m.MAC = nil }},
		{"uuid", Match{UUID: all.UUID}, func(m *Machine) { m.UUID = mac(t, "54454c4c440010488031b4c04f4a4e31") }},
		{"uuid absent", Match{UUID: all.UUID}, func(m *Machine) { m.UUID = nil }},
		{"arch", Match{Arch: all.Arch}, func(m *Machine) { m.Arches[0] = 11 }},
		{"arch absent", Match{Arch: all.Arch}, func(m *Machine) { m.NumArches = 0 }},
		{"arch of another transport", Match{Arch: all.Arch}, func(m *Machine) { m.HTTP = true }},
		{"subnet", Match{Subnet: all.Subnet}, func(m *Machine) { m.Subnet = netip.MustParseAddr("198.51.101.1") }},
		{"subnet absent", Match{Subnet: all.Subnet}, func(m *Machine) { m.Subnet = netip.Addr{} }},
		{"vendor-class", Match{VendorClass: all.VendorClass}, func(m *Machine) { m.VendorClass = []byte("PXEClient:Arch:00000:UNDI:003016") }},
		{"user-class", Match{UserClass: all.UserClass}, func(m *Machine) { m.UserClass = []byte("LAB-1") }},
		{"circuit-id", Match{CircuitID: all.CircuitID}, func(m *Machine) { m.CircuitID = []byte("Eth2/7") }},
		{"circuit-id absent", Match{CircuitID: []string{"*"}}, func(m *Machine) { m.CircuitID = nil }},
		{"remote-id", Match{RemoteID: all.RemoteID}, func(m *Machine) { m.RemoteID = []byte{0, 2} }},
		{"remote-id absent", Match{RemoteID: []string{"*"}}, func(m *Machine) { m.RemoteID = nil }},
	} {
		t.Run(tc.field, func(t *testing.T) {
			other := with(machine, tc.differ)
			for _, match := range []Match{tc.match, all} {
				s := compile(t, Spec{Rules: []Rule{{Name: "r", Match: match, Boot: Ignore}}})
				if s.Decide(&machine).Rule != "r" {
					t.Errorf("%+v does not match the machine", match)
				}
				if s.Decide(&other).Rule != "" {
					t.Errorf("%+v matches another machine", match)
				}
			}
		})
	}
	s := compile(t, Spec{Rules: []Rule{{Name: "r", Match: Match{MAC: []string{}, Arch: []string{}}, Boot: Ignore}}})
	if s.Decide(&Machine{}).Rule != "r" {
		t.Error("a match of empty lists does not hold for every machine")
	}
}

// TestRuleNarrowsArch: a machine that offers two architectures gets the one
// that the rule is about, though the profile has a file for the first as well.
func TestRuleNarrowsArch(t *testing.T) {
	s := compile(t, Spec{Profiles: testProfiles, Rules: []Rule{
		{Name: "x64", Match: Match{Arch: []string{"x64-uefi"}}, Boot: "full"},
		{Name: "ebc", Match: Match{Arch: []string{"ebc"}}, Boot: "bare"},
		{Name: "http", Match: Match{Arch: []string{"x64-uefi-http"}}, Boot: "full"},
	}})
	for _, tc := range []struct {
		m    Machine
		rule string
		arch Arch
		file string
	}{
		{arches(11, 7), "x64", 7, "boot/x64/snponly.efi"},
		{arches(11, 9), "x64", 9, "boot/x64/snponly.efi"},
		{arches(11), "", 11, ""},
		{http(arches(7, 17)), "http", 17, x64URL},
	} {
		if d := s.Decide(&tc.m); d.Rule != tc.rule || d.Arch != tc.arch || d.File != tc.file {
			t.Errorf("%v: %+v, want rule %q, arch %s, file %q", tc.m.Arches[:tc.m.NumArches], d, tc.rule, tc.arch, tc.file)
		}
	}
}

func TestAllowed(t *testing.T) {
	any, some := compile(t, Spec{}), compile(t, Spec{Clients: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8::/32")}})
	for addr, want := range map[string]bool{"198.51.100.1": true, "198.51.101.1": false, "::ffff:198.51.100.9": true, "2001:db8::1": true, "2001:db9::1": false} {
		a := netip.MustParseAddr(addr)
		if some.Allowed(a) != want || !any.Allowed(a) {
			t.Errorf("%s: allowed %v by some, %v by any", a, some.Allowed(a), any.Allowed(a))
		}
	}
	if some.Allowed(netip.Addr{}) || !any.Allowed(netip.Addr{}) {
		t.Error("an unknown address is allowed by a list, or refused without one")
	}
}

func TestVendorClass(t *testing.T) {
	for _, tc := range []struct {
		prefixes []string
		class    string
		http, ok bool
	}{
		{nil, "PXEClient:Arch:00007:UNDI:003016", false, true},
		{nil, "PXEClient", false, true},
		{nil, "HTTPClient:Arch:00016:UNDI:003001", true, true},
		{nil, "PXEClien", false, false},
		{nil, "MSFT 5.0", false, false},
		{nil, "AAPLBSDPC", false, false},
		{nil, "", false, false},
		{nil, "pxeclient", false, false},
		{[]string{"HW-Client"}, "HW-Client:1", false, true},
		{[]string{"HW-Client"}, "PXEClient", false, false},
		{[]string{"PXEClient"}, "HTTPClient", false, false},
		{[]string{"HTTP"}, "HTTPClient:Arch:00016", true, true},
		{[]string{"HTTP"}, "HTTPBoot", false, true},
	} {
		s := compile(t, Spec{VendorClasses: tc.prefixes})
		if http, ok := s.VendorClass([]byte(tc.class)); http != tc.http || ok != tc.ok {
			t.Errorf("%q with %q: http %v, ok %v, want %v, %v", tc.class, tc.prefixes, http, ok, tc.http, tc.ok)
		}
	}
}

func TestUsesRelayFacts(t *testing.T) {
	for _, tc := range []struct {
		match Match
		want  bool
	}{
		{Match{MAC: []string{"*"}, CircuitID: []string{}}, false},
		{Match{CircuitID: []string{"x"}}, true},
		{Match{RemoteID: []string{"0x00"}}, true},
	} {
		if got := compile(t, Spec{Rules: []Rule{{Match: tc.match, Boot: Ignore}}}).UsesRelayFacts(); got != tc.want {
			t.Errorf("%+v: %v", tc.match, got)
		}
	}
}
