package privilege

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Cap is a Linux capability by its number (capabilities(7)).
type Cap uint8

// names are those of the kernel's header, by number (linux/capability.h).
var names = [...]string{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
	"LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
	"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
	"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
	"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
	"CHECKPOINT_RESTORE",
}

// String returns the name as setpriv, systemd and capabilities(7) write it.
func (c Cap) String() string {
	if int(c) < len(names) {
		return "CAP_" + names[c]
	}
	return fmt.Sprintf("capability %d", uint8(c))
}

// Set is a set of capabilities, one bit each.
type Set uint64

// SetOf returns the set of caps.
func SetOf(caps ...Cap) (s Set) {
	for _, c := range caps {
		s |= 1 << c
	}
	return s
}

// Has reports whether c is in s.
func (s Set) Has(c Cap) bool { return s&(1<<c) != 0 }

// Without returns what of s is not in t.
func (s Set) Without(t Set) Set { return s &^ t }

// Caps returns the members in the kernel's order.
func (s Set) Caps() (caps []Cap) {
	for c := range Cap(64) {
		if s.Has(c) {
			caps = append(caps, c)
		}
	}
	return caps
}

// String lists the members' names.
func (s Set) String() string {
	if s == 0 {
		return "none"
	}
	var b strings.Builder
	for i, c := range s.Caps() {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.String())
	}
	return b.String()
}

// The daemon's capabilities. All are used after set-up as well, whenever it
// follows a change: an interface that is made again, new queues, an address
// that comes late. So they are kept; nothing else is, but DACReadSearch by root.
const (
	NetBindService Cap = unix.CAP_NET_BIND_SERVICE // UDP 67 and 69, also on addresses that come later
	NetAdmin       Cap = unix.CAP_NET_ADMIN        // attach XDP, XSKMAP, rxvlan and channels by ethtool
	NetRaw         Cap = unix.CAP_NET_RAW          // AF_XDP and packet sockets, SO_BINDTODEVICE
	BPF            Cap = unix.CAP_BPF              // load the program, make and read maps
)

// DACReadSearch is what lets root read other users' files. A daemon that was
// started as root found its configuration and boot files by that right, and
// reads them at each request and reload. Any other user reads what is its own.
const DACReadSearch Cap = unix.CAP_DAC_READ_SEARCH

// Needed says what each datapath takes: the socket tier takes no BPF.
var (
	Needed       = SetOf(NetBindService, NetAdmin, NetRaw, BPF)
	NeededSocket = SetOf(NetBindService, NetRaw)
)
