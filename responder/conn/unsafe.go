package conn

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// All use of package unsafe is in this file: the batch system calls and
// options that x/sys/unix has no wrapper for, and control messages.

// recvmmsg receives into messages without waiting. messages must not be empty.
func recvmmsg(fd int, messages []unix.Mmsghdr) (int, syscall.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages[0])),
		uintptr(len(messages)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// sendmmsg sends messages without waiting. messages must not be empty. It
// fails only if the first of them does; otherwise it says how many went.
func sendmmsg(fd int, messages []unix.Mmsghdr) (int, syscall.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages[0])),
		uintptr(len(messages)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// skMeminfoDrops is SK_MEMINFO_DROPS (linux/sock_diag.h): what the socket's full buffer cost.
const skMeminfoDrops = 8

// socketDrops returns how many packets the kernel dropped for want of room in the socket's buffer.
func socketDrops(fd int) uint64 {
	var info [skMeminfoDrops + 1]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0
	}
	return uint64(info[skMeminfoDrops])
}

// pktinfo is a control message of type IP_PKTINFO as the kernel lays it out.
type pktinfo struct {
	header unix.Cmsghdr
	info   unix.Inet4Pktinfo
	_      [4]byte // CMSG_SPACE rounds up
}

// set makes the message ready for sending with info.
func (p *pktinfo) set(info unix.Inet4Pktinfo) {
	p.header.Level, p.header.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
	p.header.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
	p.info = info
}

// valid reports whether n received bytes of control data are this message.
func (p *pktinfo) valid(n int) bool {
	return n >= unix.CmsgLen(unix.SizeofInet4Pktinfo) && p.header.Level == unix.IPPROTO_IP &&
		p.header.Type == unix.IP_PKTINFO
}

// attach makes the message m's control data.
func (p *pktinfo) attach(m *unix.Msghdr) {
	m.Control = (*byte)(unsafe.Pointer(p))
	m.SetControllen(unix.CmsgSpace(unix.SizeofInet4Pktinfo))
}

// arrival is the control data of a received message: when it came (the
// options of the socket come first), then where.
type arrival struct {
	header unix.Cmsghdr
	time   [2]int64 // struct __kernel_timespec: CLOCK_REALTIME
	pktinfo
}

// valid reports whether n received bytes of control data are these messages.
func (a *arrival) valid(n int) bool {
	const first = int(unsafe.Offsetof(a.pktinfo))
	return n >= first && a.header.Level == unix.SOL_SOCKET && a.header.Type == unix.SO_TIMESTAMPNS_NEW && a.pktinfo.valid(n-first)
}

// ns returns when the message came, in nanoseconds since 1970.
func (a *arrival) ns() int64 { return a.time[0]*1e9 + a.time[1] }

// attach makes room for m's control data.
func (a *arrival) attach(m *unix.Msghdr) {
	m.Control = (*byte)(unsafe.Pointer(a))
	m.SetControllen(int(unsafe.Sizeof(*a)))
}
