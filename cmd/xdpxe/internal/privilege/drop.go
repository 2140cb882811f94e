// Package privilege reads and gives up capabilities of the whole process.
//
// Capabilities belong to threads. Go starts threads when it likes, and each
// inherits from the one that made it, so that all of them must change at once
// (syscall.AllThreadsSyscall). The runtime can do that only in programs
// without cgo: build xdpxe with CGO_ENABLED=0.
package privilege

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrCgo is wrapped by Drop in a program that was linked with cgo: nothing was dropped.
var ErrCgo = errors.New("built with cgo, which keeps Go from reaching all threads; build with CGO_ENABLED=0")

// Have returns the effective capabilities of the calling thread; after Drop,
// and in a program that never touched them, those of all.
func Have() (Set, error) {
	data, err := get()
	if err != nil {
		return 0, err
	}
	return Set(data[0].Effective) | Set(data[1].Effective)<<32, nil
}

// Drop takes every capability but keep from all threads, for good: from the
// effective, permitted, inheritable, ambient and, where that is permitted
// (CAP_SETPCAP), bounding sets, and sets no_new_privs, so that nothing that is
// executed can regain them. Members of keep that the process does not have it
// does not get.
func Drop(keep Set) error {
	// The thread that asks first tells whether the others can follow.
	if err := allThreads(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); err != nil {
		if errors.Is(err, syscall.ENOTSUP) {
			return fmt.Errorf("drop capabilities: %w", ErrCgo)
		}
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	if err := dropBounding(keep); err != nil {
		return err
	}
	if err := allThreads(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0); err != nil {
		return fmt.Errorf("clear ambient capabilities: %w", err)
	}
	data, err := get()
	if err != nil {
		return err
	}
	for i := range data {
		half := uint32(keep >> (32 * i))
		data[i].Permitted &= half
		data[i].Effective = data[i].Permitted
		data[i].Inheritable = 0
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if _, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&data)), 0); errno != 0 {
		return fmt.Errorf("set capabilities to %v: %w", keep, errno)
	}
	return nil
}

// dropBounding empties the bounding set but for keep. It matters only to
// programs that are executed, which no_new_privs restrains already: without
// CAP_SETPCAP it stays.
func dropBounding(keep Set) error {
	have, err := Have()
	if err != nil || !have.Has(unix.CAP_SETPCAP) {
		return err
	}
	for c := range Cap(64) {
		in, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0)
		if errors.Is(err, unix.EINVAL) { // beyond the kernel's last
			return nil
		}
		if err != nil {
			return fmt.Errorf("read bounding set: %w", err)
		}
		if in == 0 || keep.Has(c) {
			continue
		}
		if err := allThreads(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, uintptr(c), 0); err != nil {
			return fmt.Errorf("drop %v from the bounding set: %w", c, err)
		}
	}
	return nil
}

func get() (data [2]unix.CapUserData, err error) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return data, fmt.Errorf("read capabilities: %w", err)
	}
	return data, nil
}

func allThreads(trap, a1, a2, a3 uintptr) error {
	// prctl(2) wants the unused arguments zero.
	if _, _, errno := syscall.AllThreadsSyscall6(trap, a1, a2, a3, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
