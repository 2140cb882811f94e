package policy

import (
	"fmt"
	"strconv"
	"strings"
)

// Arch is a client architecture: a code of IANA's "Processor Architecture
// Types" as options 93 (RFC 4578 §2.1) and 61 (RFC 5970 §3.3) carry it.
//
// RFC 4578 printed 7 and 9 the wrong way round (errata 4624), and much x64
// firmware sends 9. So ebc (9) is served with the file for x64-uefi, and
// ebc-http (17) with that for x64-uefi-http, unless a profile names one for
// ebc itself.
//
// The file for an http architecture is a URL with a host: the firmware knows
// no other way (UEFI 2.10 §24.7). The file for any other is a path below the
// root, fetched by TFTP; iPXE and Petitboot (opal) take URLs as well.
type Arch uint16

// Architectures that the code refers to; archNames has all of them.
const (
	ArchBIOS        Arch = 0
	ArchX64UEFI     Arch = 7
	ArchEBC         Arch = 9
	ArchOPAL        Arch = 14
	ArchX64UEFIHTTP Arch = 16
	ArchEBCHTTP     Arch = 17
	ArchUnknown     Arch = 0xffff // none; IANA has not assigned it
)

// httpSuffix ends the names of all architectures that boot by HTTP.
const httpSuffix = "-http"

// uefiSuffix ends the names of those that boot a UEFI program by TFTP, all but ebc's.
const uefiSuffix = "-uefi"

// codePrefix starts the name of a code that archNames does not have.
const codePrefix = "arch-"

// archNames are the registry's entries by code, as of 2025: 41 is the last.
var archNames = [...]string{
	0: "bios", 1: "pc98", 2: "itanium", 3: "alpha", 4: "arc-x86", 5: "intel-lean",
	6: "ia32-uefi", 7: "x64-uefi", 8: "xscale-efi", 9: "ebc",
	10: "arm32-uefi", 11: "arm64-uefi", 12: "ppc-openfirmware", 13: "ppc-epapr", 14: "opal",
	15: "ia32-uefi-http", 16: "x64-uefi-http", 17: "ebc-http", 18: "arm32-uefi-http", 19: "arm64-uefi-http",
	20: "bios-http", 21: "arm32-uboot", 22: "arm64-uboot", 23: "arm32-uboot-http", 24: "arm64-uboot-http",
	25: "riscv32-uefi", 26: "riscv32-uefi-http", 27: "riscv64-uefi", 28: "riscv64-uefi-http",
	29: "riscv128-uefi", 30: "riscv128-uefi-http", 31: "s390-basic", 32: "s390-extended",
	33: "mips32-uefi", 34: "mips64-uefi", 35: "sunway32-uefi", 36: "sunway64-uefi",
	37: "loongarch32-uefi", 38: "loongarch32-uefi-http", 39: "loongarch64-uefi", 40: "loongarch64-uefi-http",
	41: "rpiboot",
}

// foreignNames are what others call an architecture; they are not accepted,
// only answered with the name that is. (dnsmasq, Kea, GRUB, EFI file names.)
var foreignNames = map[string]string{
	"x86": "bios", "pc": "bios", "pcbios": "bios", "x86pc": "bios", "x86-bios": "bios", "legacy": "bios", "i386": "bios",
	"uefi": "x64-uefi", "efi": "x64-uefi", "x64": "x64-uefi", "x64-efi": "x64-uefi", "x86-64-uefi": "x64-uefi",
	"x86-64": "x64-uefi", "x86-64-efi": "x64-uefi", "amd64": "x64-uefi", "amd64-uefi": "x64-uefi", "bc-efi": "x64-uefi",
	"ia32": "ia32-uefi", "ia32-efi": "ia32-uefi", "x86-uefi": "ia32-uefi", "i386-efi": "ia32-uefi",
	"arm": "arm32-uefi", "arm-uefi": "arm32-uefi", "arm32": "arm32-uefi", "arm-efi": "arm32-uefi",
	"arm64": "arm64-uefi", "aarch64": "arm64-uefi", "aa64": "arm64-uefi", "aarch64-uefi": "arm64-uefi", "arm64-efi": "arm64-uefi",
	"riscv64": "riscv64-uefi", "loongarch64": "loongarch64-uefi", "powernv": "opal", "petitboot": "opal",
	"http": "x64-uefi-http", "uefi-http": "x64-uefi-http", "x64-http": "x64-uefi-http", "arm64-http": "arm64-uefi-http",
}

// ArchNames returns the configuration names of all registered architectures by code.
func ArchNames() []string { return append([]string(nil), archNames[:]...) }

// ParseArch returns the architecture of a configuration name. Codes beyond the
// registry known here are written arch-N, in decimal.
func ParseArch(name string) (Arch, error) {
	for i, n := range archNames {
		if n == name {
			return Arch(i), nil
		}
	}
	if digits, ok := strings.CutPrefix(name, codePrefix); ok {
		if n, err := strconv.ParseUint(digits, 10, 16); err == nil && Arch(n) != ArchUnknown {
			return Arch(n), nil
		}
	}
	return ArchUnknown, &ValueError{Msg: fmt.Sprintf("unknown architecture %q", name), Hint: archHint(name)}
}

func archHint(name string) string {
	folded := strings.ReplaceAll(strings.ToLower(name), "_", "-")
	if known, ok := foreignNames[folded]; ok {
		return didYouMean(known)
	}
	if near := Suggest(folded, archNames[:]); near != "" {
		return didYouMean(near)
	}
	return "names are those of the IANA registry: bios, ia32-uefi, x64-uefi, arm32-uefi, arm64-uefi, riscv64-uefi, loongarch64-uefi, x64-uefi-http, …, or arch-N for code N"
}

// String returns the configuration name.
func (a Arch) String() string {
	switch {
	case int(a) < len(archNames):
		return archNames[a]
	case a == ArchUnknown:
		return "unknown"
	}
	return codePrefix + strconv.Itoa(int(a))
}

// HTTP reports whether the architecture's firmware boots from a URL.
func (a Arch) HTTP() bool {
	return int(a) < len(archNames) && strings.HasSuffix(archNames[a], httpSuffix)
}

// suits reports whether a client of that vendor class can mean a. Petitboot
// (IANA: "POWER OPAL v3") is one code for both transports.
func (a Arch) suits(http bool) bool { return a.HTTP() == http || a == ArchOPAL }

// standsFor returns the architecture whose file a machine of architecture a
// gets if there is none for a: a itself but for the two codes of errata 4624.
func (a Arch) standsFor() Arch {
	switch a {
	case ArchEBC:
		return ArchX64UEFI
	case ArchEBCHTTP:
		return ArchX64UEFIHTTP
	}
	return a
}

// style is how firmware of that architecture takes its answer. Codes below 6
// predate UEFI and look for option 43 in the OFFER, as dnsmasq sends it.
func (a Arch) style() Style {
	if a < 6 {
		return StyleBIOS
	}
	return StyleUEFI
}
