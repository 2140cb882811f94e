package guard

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// monitors are beginnings of the process names of virtual machine monitors: what
// they read from a tap goes to a guest on this machine. The kernel cuts names
// after 15 bytes.
var monitors = []string{"qemu-", "kvm", "firecracker", "cloud-hyperviso", "crosvm"}

// tapLeads says how a tap leads off this machine, or nothing.
func tapLeads(l *link) string {
	holders, err := holders(l.Name)
	if err != nil {
		return fmt.Sprintf("who holds the tap %s cannot be told: %v", l, err)
	}
	if len(holders) == 0 && l.RawFlags&unix.IFF_LOWER_UP != 0 {
		return fmt.Sprintf("the tap %s is held by a process that cannot be seen from here", l)
	}
	for pid, name := range holders {
		if !isMonitor(name) {
			return fmt.Sprintf("the tap %s is held by process %s (%s), which is not known to be a virtual machine's", l, pid, name)
		}
	}
	return ""
}

func isMonitor(name string) bool {
	for _, m := range monitors {
		if strings.HasPrefix(name, m) {
			return true
		}
	}
	return false
}

// holders returns the names of the processes that hold a tap of that name open,
// by process id. The kernel tells the name only, not the namespace: a tap of the
// same name in another one counts too, so that it errs on refusing.
func holders(tap string) (map[string]string, error) {
	descriptors, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, path := range descriptors {
		if to, err := os.Readlink(path); err != nil || to != "/dev/net/tun" {
			continue
		}
		process := filepath.Dir(filepath.Dir(path))
		info, err := os.ReadFile(filepath.Join(process, "fdinfo", filepath.Base(path)))
		if err != nil {
			continue // closed meanwhile
		}
		for line := range strings.Lines(string(info)) {
			if key, value, ok := strings.Cut(line, ":"); !ok || key != "iff" || strings.TrimSpace(value) != tap {
				continue
			}
			name, err := os.ReadFile(filepath.Join(process, "comm"))
			if err != nil {
				continue
			}
			found[filepath.Base(process)] = strings.TrimSpace(string(name))
		}
	}
	return found, nil
}
