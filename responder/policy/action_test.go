package policy

import (
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// TestByTheRulesAlone: without a catalogue nobody is known.
func TestByTheRulesAlone(t *testing.T) {
	for _, tc := range []struct {
		spec   Spec
		reason packet.Reason
		file   string
		keeps  bool // the decision is cacheable
	}{
		{Spec{Default: Deployed}, packet.NothingDeployed, "", false},
		{Spec{Default: Hold}, packet.MachineHeld, "", false},
		{Spec{Rules: []Rule{{Boot: Deployed, Unknown: Local, Else: Ignore}}}, packet.LocalBoot, "", false},
		{Spec{Rules: []Rule{{Boot: Deployed, Unknown: "full"}}}, packet.Answered, "boot/x64/snponly.efi", false},
		{Spec{Rules: []Rule{{Boot: "full", Unknown: Hold}}}, packet.MachineHeld, "", false},
		{Spec{Rules: []Rule{{Boot: "full", Webhook: "h"}}, Webhooks: []string{"h"}}, packet.WebhookWaits, "", false},
		{Spec{Rules: []Rule{{Boot: "full", Delay: time.Second, DelaySecs: 4}}}, packet.Answered, "boot/x64/snponly.efi", true},
	} {
		tc.spec.Profiles = testProfiles
		s := compile(t, tc.spec)
		m := arches(7)
		if d := s.Decide(&m); d.Reason != tc.reason || d.File != tc.file || d.Cacheable != tc.keeps {
			t.Errorf("%+v:\n%+v, want %v %q", tc.spec.Rules, d, tc.reason, tc.file)
		}
	}
}

func TestUsesDeployments(t *testing.T) {
	for boot, want := range map[string]bool{Deployed: true, "full": false, Ignore: false} {
		byRule := compile(t, Spec{Profiles: testProfiles, Rules: []Rule{{Boot: Ignore}, {Boot: boot}}})
		byDefault := compile(t, Spec{Profiles: testProfiles, Default: boot})
		if byRule.UsesDeployments() != want || byDefault.UsesDeployments() != want {
			t.Errorf("%s: %v %v", boot, byRule.UsesDeployments(), byDefault.UsesDeployments())
		}
	}
	s := compile(t, Spec{Profiles: testProfiles, Webhooks: []string{"b", "a"}, Rules: []Rule{{Boot: "full", Unknown: Ignore}, {Webhook: "a"}, {Webhook: "a", Boot: Ignore}}})
	if hooks := s.Webhooks(); !s.UsesDeployments() || len(hooks) != 1 || hooks[0] != "a" {
		t.Errorf("%v %v", s.UsesDeployments(), hooks)
	}
}

// TestWaitedFor: edk2 sends seconds; some firmware swaps them; iPXE counts messages.
func TestWaitedFor(t *testing.T) {
	for _, tc := range []struct {
		secs uint16
		ipxe bool
		want int
	}{
		{0, false, 0}, {4, false, 4}, {28, false, 28}, {255, false, 255}, {0x0400, false, 4}, {0x1c00, false, 28}, {0x0101, false, 257}, {0xff00, false, 255},
		// 1, 2, 4, 8 and then 10 s between messages; the low bits say what was offered.
		{0, true, 0}, {4, true, 0}, {7, true, 0}, {8, true, 1}, {12, true, 3}, {15, true, 3}, {16, true, 7}, {20, true, 15}, {24, true, 25}, {28, true, 35}, {0x0400, true, 15 + 10*251},
	} {
		m := Machine{Secs: tc.secs, IPXE: tc.ipxe}
		if got := m.WaitedFor(); got != time.Duration(tc.want)*time.Second {
			t.Errorf("secs %#x, iPXE %v: %v, want %d s", tc.secs, tc.ipxe, got, tc.want)
		}
	}
}

func TestAllows(t *testing.T) {
	s := compile(t, Spec{Default: "p", Local: &LocalFiles{BIOS: "boot/exit.0", IPXE: ExitScript}, Profiles: map[string]Profile{
		"p": {Files: map[string]string{"x64-uefi": "EFI/Boot.efi", "ipxe": "http://192.0.2.1/a.ipxe"}, Allow: []string{"linux/*", `\\win\\*.WIM`, "one?"}},
		"q": {Files: map[string]string{"bios": "q.0"}},
	}})
	for name, want := range map[string]bool{
		"EFI/Boot.efi": true, `\efi\boot.efi`: true, "/efi//boot.efi": true, "EFI/boot.efi/x": false, "q.0": false,
		"linux/vmlinuz": true, "LINUX/a/b": true, "linux": false, "linux/../secret": false, "linux/../linux/a": true,
		"win/install.wim": true, "win/a/b.wim": true, "win/a.swm": false, "one1": true, "one": false,
		"boot/exit.0": true, ExitScript: true, "http://192.0.2.1/a.ipxe": false, "192.0.2.1/a.ipxe": false, "": false, "..": false,
	} {
		if got := s.Allows("p", name); got != want {
			t.Errorf("p, %q: %v", name, got)
		}
	}
	if s.Allows("", "linux/vmlinuz") || s.Allows("gone", "efi/boot.efi") || !s.Allows("gone", "boot/exit.0") || !s.Allows("q", "q.0") {
		t.Error("another profile's, or none's")
	}
}

// A webhook's "next" goes on behind its rule.
func TestActionFrom(t *testing.T) {
	s := compile(t, Spec{Profiles: testProfiles, Default: "full", Rules: []Rule{
		{Name: "a", Match: Match{MAC: []string{"02:00:00:00:00:01"}}, Boot: "bare"},
		{Name: "b", Match: Match{Arch: []string{"bios"}}, Boot: "bare"},
		{Name: "c", Boot: "bare"},
		{Name: "d", Match: Match{MAC: []string{"02:00:00:00:00:01", "02:*"}}, Boot: "bare"},
	}})
	m := with(arches(7), func(m *Machine) { m.MAC = mac(t, "02:00:00:00:00:01") })
	for from, want := range []string{"a", "c", "c", "d", ""} {
		a := s.Action(&m, from)
		if a.Rule != want || (want == "" && a.Index != 4) {
			t.Errorf("from %d: %q, want %q", from, a.Rule, want)
		}
	}
}
