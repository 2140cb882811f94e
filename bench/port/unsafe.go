package port

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// All use of package unsafe is in this file: batch system calls and the control
// message that carries a VLAN tag.

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
	_   [4]byte
}

// auxdata is a control message of type PACKET_AUXDATA (linux/if_packet.h struct tpacket_auxdata).
type auxdata struct {
	header   unix.Cmsghdr
	status   uint32
	len      uint32
	snaplen  uint32
	mac, net uint16
	tci      uint16
	tpid     uint16
	_        [4]byte // CMSG_SPACE rounds up
}

// attach makes the message room for m's control data.
func (a *auxdata) attach(m *unix.Msghdr) {
	m.Control = (*byte)(unsafe.Pointer(a))
	m.SetControllen(int(unsafe.Sizeof(*a)))
}

// tagged says whether n received bytes of control data hold a VLAN tag.
func (a *auxdata) tagged(n int) bool {
	return n >= unix.CmsgLen(20) && a.header.Level == unix.SOL_PACKET && a.header.Type == unix.PACKET_AUXDATA &&
		a.status&unix.TP_STATUS_VLAN_VALID != 0
}

// sendmmsg sends without waiting; messages must not be empty. It fails only if
// the first of them does.
func sendmmsg(fd int, messages []mmsghdr) (int, syscall.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages[0])),
		uintptr(len(messages)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// recvmmsg receives without waiting; messages must not be empty.
func recvmmsg(fd int, messages []mmsghdr) (int, syscall.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages[0])),
		uintptr(len(messages)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}
