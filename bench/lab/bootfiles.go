package lab

import (
	"fmt"
	"os"
	"path/filepath"
)

// Boot files as they are called below the root that MakeRoot makes.
const (
	UEFIProgram = "snponly.efi"   // iPXE for x64 UEFI, over the firmware's own network driver
	BIOSProgram = "undionly.kpxe" // iPXE for BIOS, over the ROM's UNDI driver
	Script      = "boot.ipxe"
)

// ScriptMark is what the script prints once a downloaded iPXE runs it, and
// ROMMark what it prints when the network card's own iPXE ROM runs it, which
// then goes on to BIOSProgram.
const (
	ScriptMark = "XDPXE-SCRIPT-OK"
	ROMMark    = "XDPXE-SCRIPT-ROM"
)

// The ROM and the downloaded program are both iPXE and get the same script.
// They differ in their driver: the program uses what the ROM left behind.
const script = `#!ipxe
iseq ${platform} efi && goto program ||
iseq ${net0/chip} undionly && goto program ||
echo ` + ROMMark + ` ${net0/chip}
chain ` + BIOSProgram + ` ||
shell
:program
echo ` + ScriptMark + ` ${platform} ${net0/ip}
shell
`

// ipxeDir is where Debian's and Ubuntu's ipxe package has its programs.
const ipxeDir = "/usr/lib/ipxe"

// MakeRoot makes a directory with boot files: iPXE for UEFI and BIOS, and the script that it asks for.
func (l *Lab) MakeRoot() (string, error) {
	root := l.Path("root")
	if err := os.Mkdir(root, 0o755); err != nil {
		return "", fmt.Errorf("lab: %w", err)
	}
	for _, name := range []string{UEFIProgram, BIOSProgram} {
		program, err := os.ReadFile(filepath.Join(ipxeDir, name))
		if err != nil {
			return "", fmt.Errorf("lab: %w", err)
		}
		if err := os.WriteFile(filepath.Join(root, name), program, 0o644); err != nil {
			return "", fmt.Errorf("lab: %w", err)
		}
	}
	return root, os.WriteFile(filepath.Join(root, Script), []byte(script), 0o644)
}
