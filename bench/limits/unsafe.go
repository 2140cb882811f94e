package limits

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// All use of package unsafe is in this file: the batch system calls, which
// x/sys/unix has no wrapper for.

// recvmmsg receives into messages: it waits for the first and takes what else
// is there. messages must not be empty.
func recvmmsg(fd int, messages []unix.Mmsghdr) (int, syscall.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages[0])),
		uintptr(len(messages)), unix.MSG_WAITFORONE, 0, 0)
	return int(n), errno
}

// sendmmsg sends messages, which must not be empty. It fails only if the first
// of them does; otherwise it says how many went.
func sendmmsg(fd int, messages []unix.Mmsghdr) (int, syscall.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages[0])),
		uintptr(len(messages)), 0, 0, 0)
	return int(n), errno
}

// setName makes a message go to, or receive its source into, an address.
func setName(m *unix.Msghdr, sa *unix.RawSockaddrInet4) {
	m.Name = (*byte)(unsafe.Pointer(sa))
	m.Namelen = unix.SizeofSockaddrInet4
}
