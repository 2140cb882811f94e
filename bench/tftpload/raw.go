package tftpload

import (
	"encoding/binary"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The loop's system calls do not wait, so they do without telling the Go
// scheduler about each.

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

func recvmsg(fd int, h *unix.Msghdr, flags int) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(h)), uintptr(flags|unix.MSG_DONTWAIT))
	return int(n), errno
}

func recvmmsg(fd int, msgs []mmsghdr) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&msgs[0])), uintptr(len(msgs)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

func sendto(fd int, p []byte, to *address) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), unix.MSG_DONTWAIT,
		uintptr(unsafe.Pointer(&to.raw)), uintptr(to.len))
	return errno
}

// epollWait waits at most d; it looks only, if that is 0. The kernel's clock has
// nanoseconds here (epoll_pwait2, 5.11), which delays need.
func epollWait(epfd int, events []unix.EpollEvent, d time.Duration) (int, unix.Errno) {
	ts := unix.NsecToTimespec(int64(d))
	call := unix.Syscall6
	if d == 0 {
		call = unix.RawSyscall6
	}
	n, _, errno := call(unix.SYS_EPOLL_PWAIT2, uintptr(epfd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	return int(n), errno
}

// address is a socket address as the kernel has it.
type address struct {
	raw unix.RawSockaddrInet6 // the longer of both families
	len uint32
}

func (a *address) v4() *unix.RawSockaddrInet4 {
	return (*unix.RawSockaddrInet4)(unsafe.Pointer(&a.raw))
}

func newAddress(ap netip.AddrPort, zone uint32) (a address) {
	if addr := ap.Addr().Unmap(); addr.Is4() {
		*a.v4() = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: addr.As4()}
		a.len = unix.SizeofSockaddrInet4
	} else {
		a.raw = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: addr.As16(), Scope_id: zone}
		a.len = unix.SizeofSockaddrInet6
	}
	a.setPort(ap.Port())
	return a
}

// sameHost says whether b has a's address, whatever its port.
func (a *address) sameHost(b *address) bool {
	if a.raw.Family != b.raw.Family {
		return false
	}
	if a.raw.Family == unix.AF_INET {
		return a.v4().Addr == b.v4().Addr
	}
	return a.raw.Addr == b.raw.Addr
}

// The port is at the same place in both families, in network byte order.
func (a *address) portBytes() *[2]byte { return (*[2]byte)(unsafe.Pointer(&a.raw.Port)) }

func (a *address) port() uint16        { return binary.BigEndian.Uint16(a.portBytes()[:]) }
func (a *address) setPort(port uint16) { binary.BigEndian.PutUint16(a.portBytes()[:], port) }

// cmsg finds a control message (cmsg(3)).
func cmsg(b []byte, level, typ int32) []byte {
	for len(b) >= unix.SizeofCmsghdr {
		n := binary.NativeEndian.Uint64(b)
		if n < unix.SizeofCmsghdr || n > uint64(len(b)) {
			return nil
		}
		if int32(binary.NativeEndian.Uint32(b[8:])) == level && int32(binary.NativeEndian.Uint32(b[12:])) == typ {
			return b[unix.SizeofCmsghdr:n]
		}
		b = b[min((int(n)+7)&^7, len(b)):]
	}
	return nil
}
