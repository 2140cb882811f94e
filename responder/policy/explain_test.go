package policy

import (
	"net/netip"
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	s := compile(t, Spec{Default: "bare", Profiles: testProfiles, Rules: []Rule{
		{Name: "one", Match: Match{MAC: []string{"52:54:00:12:34:56", "52:54:01:*", "a?:*", "00:*", "01:*", "02:*"}}, Boot: Ignore},
		{Name: "rack", Match: Match{MAC: []string{"52:54:*"}, CircuitID: []string{"Eth1/*", "0x00*"}}, Boot: "full"},
		{Name: "uuid", Match: Match{UUID: []string{"4c4c4544-0044-4810-8031-b4c04f4a4e31"}}, Boot: "full"},
		{Name: "net", Match: Match{Subnet: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Arch: []string{"bios", "ia32-uefi"}}, Boot: "full"},
		{Name: "http", Match: Match{VendorClass: []string{"HTTPClient*"}}, Boot: "full"},
		{Name: "class", Match: Match{UserClass: []string{"lab"}}, Boot: "full"},
	}})
	base := with(arches(11, 6), func(m *Machine) {
		m.MAC, m.VendorClass, m.CircuitID = mac(t, "52:54:00:00:00:01"), []byte("PXEClient:Arch:00011"), []byte("Eth2/1")
		m.Subnet = netip.MustParseAddr("198.51.100.1")
	})
	for _, tc := range []struct {
		name string
		m    Machine
		want string
	}{
		{"no rule", base, `
no   rule one: mac is 52:54:00:00:00:01, not 52:54:00:12:34:56, 52:54:01:*, a?:*, 00:*, and 2 more
no   rule rack: circuit-id is 0x457468322f31 "Eth2/1", not Eth1/*, 0x00*
no   rule uuid: uuid is absent, not 4c4c4544-0044-4810-8031-b4c04f4a4e31
no   rule net: subnet is 198.51.100.1, not 10.0.0.0/8
no   rule http: vendor-class is "PXEClient:Arch:00011", not HTTPClient*
no   rule class: user-class is absent, not lab
yes  default: no rule matches: boots bare
no   profile bare: no file for arm64-uefi, ia32-uefi; it has itanium, x64-uefi, ebc, arm64-uefi-http`},
		{"ignored", with(base, func(m *Machine) { m.MAC = mac(t, "52:54:00:12:34:56") }), `
yes  rule one: matches: no answer`},
		{"rule", with(base, func(m *Machine) { m.CircuitID = []byte("Eth1/1") }), `
no   rule one: mac is 52:54:00:00:00:01, not 52:54:00:12:34:56, 52:54:01:*, a?:*, 00:*, and 2 more
yes  rule rack: matches: boots full
yes  profile full: arm64-uefi gets arm64/snponly.efi`},
		{"rule narrows", with(base, func(m *Machine) {
			m.Subnet, m.CircuitID, m.UUID = netip.MustParseAddr("10.1.1.1"), nil, mac(t, "00000000000000000000000000000001")
		}), `
no   rule one: mac is 52:54:00:00:00:01, not 52:54:00:12:34:56, 52:54:01:*, a?:*, 00:*, and 2 more
no   rule rack: circuit-id is absent, not Eth1/*, 0x00*
no   rule uuid: uuid is 00000000-0000-0000-0000-000000000001, not 4c4c4544-0044-4810-8031-b4c04f4a4e31
yes  rule net: matches: boots full
no   profile full: no file for arm64-uefi, ia32-uefi; it has bios, x64-uefi, arm64-uefi, opal, x64-uefi-http, arch-4711, ipxe; rule net is for bios, ia32-uefi`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got strings.Builder
			for _, step := range s.Explain(&tc.m) {
				got.WriteString("\n" + step.String())
			}
			if got.String() != tc.want {
				t.Errorf("got%s\nwant%s", got.String(), tc.want)
			}
		})
	}
}

// TestExplainFile has the last line for the cases without a rule.
func TestExplainFile(t *testing.T) {
	for _, tc := range []struct {
		profile string
		m       Machine
		want    string
	}{
		{"full", ipxe(arches(7)), "yes  profile full: ipxe gets " + script},
		{"bare", ipxe(arches(7)), "no   profile bare: has no file ipxe, and iPXE never gets the iPXE binary again"},
		{"tftp", http(ipxe(arches(7))), "no   profile tftp: an HTTP client needs a URL, not boot.ipxe"},
		{"full", arches(), "no   profile full: the request names no architecture, neither in option 93 nor in option 60"},
		{"bare", http(arches(16, 7)), "no   profile bare: no file for x64-uefi-http, x64-uefi (not for HTTPClient); it has itanium, x64-uefi, ebc, arm64-uefi-http"},
		{"bare", arches(19), "no   profile bare: no file for arm64-uefi-http (only for HTTPClient); it has itanium, x64-uefi, ebc, arm64-uefi-http"},
		{"", arches(7), "no   default: no rule matches: no answer"},
	} {
		steps := compile(t, Spec{Default: tc.profile, Profiles: testProfiles}).Explain(&tc.m)
		if got := steps[len(steps)-1].String(); got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
	}
}
