package policy

import (
	"errors"
	"testing"
)

// TestArchCodes pins the registry: a name that moved to another code would
// boot machines with a file for another processor.
func TestArchCodes(t *testing.T) {
	http := map[Arch]bool{15: true, 16: true, 17: true, 18: true, 19: true, 20: true, 23: true, 24: true, 26: true, 28: true, 30: true, 38: true, 40: true}
	names := map[string]Arch{
		"bios": 0, "itanium": 2, "ia32-uefi": 6, "x64-uefi": 7, "ebc": 9, "arm32-uefi": 10, "arm64-uefi": 11, "opal": 14,
		"ia32-uefi-http": 15, "x64-uefi-http": 16, "ebc-http": 17, "arm32-uefi-http": 18, "arm64-uefi-http": 19, "bios-http": 20,
		"arm32-uboot": 21, "arm64-uboot": 22, "arm32-uboot-http": 23, "arm64-uboot-http": 24, "riscv32-uefi": 25, "riscv64-uefi": 27,
		"riscv64-uefi-http": 28, "riscv128-uefi": 29, "s390-extended": 32, "mips64-uefi": 34, "sunway64-uefi": 36,
		"loongarch32-uefi": 37, "loongarch64-uefi": 39, "loongarch64-uefi-http": 40, "rpiboot": 41,
	}
	for name, code := range names {
		if got, err := ParseArch(name); err != nil || got != code {
			t.Errorf("ParseArch(%q) = %d, %v, want %d", name, got, err, code)
		}
	}
	seen := make(map[string]bool)
	for a := Arch(0); a <= 50; a++ {
		name := a.String()
		if seen[name] {
			t.Errorf("%q names two codes", name)
		}
		seen[name] = true
		if got, err := ParseArch(name); err != nil || got != a {
			t.Errorf("ParseArch(%q) = %d, %v, want %d", name, got, err, a)
		}
		if a.HTTP() != http[a] {
			t.Errorf("%s (%d): HTTP() = %v", a, a, a.HTTP())
		}
	}
	if len(ArchNames()) != 42 {
		t.Errorf("the registry has %d names, want 42 (codes 0 to 41)", len(ArchNames()))
	}
}

func TestParseArchHints(t *testing.T) {
	for name, hint := range map[string]string{
		"x64-ueif":      "did you mean x64-uefi?",
		"X64-UEFI":      "did you mean x64-uefi?",
		"x86_64":        "did you mean x64-uefi?",
		"aarch64":       "did you mean arm64-uefi?",
		"arm64-http":    "did you mean arm64-uefi-http?",
		"x64_uefi_http": "did you mean x64-uefi-http?",
		"pcbios":        "did you mean bios?",
	} {
		a, err := ParseArch(name)
		var v *ValueError
		if a != ArchUnknown || !errors.As(err, &v) || v.Hint != hint {
			t.Errorf("ParseArch(%q) = %d, %v, want hint %q", name, a, err, hint)
		}
	}
	for _, name := range []string{"", "unknown", "arch-65535", "arch-65536", "arch--1", "arch-", "arch-x", "sparc"} {
		if a, err := ParseArch(name); err == nil || a != ArchUnknown {
			t.Errorf("ParseArch(%q) = %d, want an error", name, a)
		}
	}
}

func TestSuggest(t *testing.T) {
	known := []string{"interfaces", "address", "profiles", "policy"}
	for word, want := range map[string]string{
		"interface": "interfaces", "adress": "address", "proflies": "profiles", "polciy": "policy",
		"zebra": "", "": "", "x": "",
	} {
		if got := Suggest(word, known); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", word, got, want)
		}
	}
}
