package loader

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// The oldest kernel: bpf_xdp_load_bytes and XDP fragments came with 5.18.
const minMajor, minMinor = 5, 18

// capability is one that the datapaths with BPF need.
type capability struct {
	bit  uint
	name string
	what string
}

var needed = []capability{
	{unix.CAP_BPF, "CAP_BPF", "load the XDP program"},
	{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", "attach it"},
	{unix.CAP_NET_RAW, "CAP_NET_RAW", "open AF_XDP and packet sockets"},
}

// requirements returns nil if kernel and process allow XDP at all.
func requirements() error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return fmt.Errorf("uname: %w", err)
	}
	if err := kernelRequirement(unix.ByteSliceToString(u.Release[:])); err != nil {
		return err
	}
	caps, err := effective()
	if err != nil {
		return err
	}
	return capabilityRequirement(caps)
}

func kernelRequirement(release string) error {
	var major, minor int
	if n, _ := fmt.Sscanf(release, "%d.%d", &major, &minor); n != 2 {
		return nil // a release that hides its version: the kernel will say what it cannot do
	}
	if major < minMajor || major == minMajor && minor < minMinor {
		return fmt.Errorf("kernel %s is older than %d.%d", release, minMajor, minMinor)
	}
	return nil
}

func capabilityRequirement(caps uint64) error {
	var missing []string
	for _, c := range needed {
		has := caps&(1<<c.bit) != 0
		// CAP_SYS_ADMIN stands in for CAP_BPF (bpf_capable in the kernel).
		if c.bit == unix.CAP_BPF && caps&(1<<unix.CAP_SYS_ADMIN) != 0 {
			has = true
		}
		if !has {
			missing = append(missing, fmt.Sprintf("%s (to %s)", c.name, c.what))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the process lacks %s", strings.Join(missing, ", "))
	}
	return nil
}

// effective returns the effective capabilities of the calling thread.
func effective() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("capget: %w", err)
	}
	return uint64(data[0].Effective) | uint64(data[1].Effective)<<32, nil
}

// raiseMemlock lifts the soft limit on locked memory to the hard one, which
// takes no privilege: AF_XDP memory counts against it without CAP_IPC_LOCK.
func raiseMemlock() {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &l) == nil && l.Cur < l.Max {
		l.Cur = l.Max
		_ = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &l) // what is missing shows when the memory is asked for
	}
}
