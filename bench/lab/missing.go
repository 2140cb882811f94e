package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Missing says what the lab lacks on this machine, or returns nil. Without
// firmware it speaks only of what simulated clients need.
func Missing(firmware bool) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("needs root for network namespaces")
	}
	programs := []string{"ip", "ethtool", "dnsmasq", "dhcrelay"}
	files := []string{"/dev/net/tun", filepath.Join(ipxeDir, UEFIProgram), filepath.Join(ipxeDir, BIOSProgram)}
	if firmware {
		programs = append(programs, "qemu-system-x86_64")
		files = append(files, biosROM)
	}
	var lacking []string
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			lacking = append(lacking, p)
		}
	}
	for _, f := range files {
		if _, err := os.Stat(f); err != nil {
			lacking = append(lacking, f)
		}
	}
	if firmware {
		if _, _, err := findOVMF(); err != nil {
			lacking = append(lacking, filepath.Join(ovmfDir, "OVMF_CODE*.fd"))
		}
	}
	if len(lacking) > 0 {
		return fmt.Errorf("needs %s (`make setup` installs them)", strings.Join(lacking, ", "))
	}
	return nil
}
