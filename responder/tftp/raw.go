package tftp

import (
	"encoding/binary"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr of recvmmsg(2) and sendmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

// recvmmsg receives into msgs without waiting.
func recvmmsg(fd int, msgs []mmsghdr) (int, unix.Errno) {
	return mmsg(unix.SYS_RECVMMSG, fd, msgs)
}

// sendmmsg sends msgs without waiting and returns how many the kernel took; it
// says what is wrong with the first one only when that is none.
func sendmmsg(fd int, msgs []mmsghdr) (int, unix.Errno) {
	return mmsg(unix.SYS_SENDMMSG, fd, msgs)
}

func mmsg(trap uintptr, fd int, msgs []mmsghdr) (int, unix.Errno) {
	n, _, errno := unix.Syscall6(trap, uintptr(fd), uintptr(unsafe.Pointer(&msgs[0])), uintptr(len(msgs)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// epollWait waits for events for so long.
func epollWait(fd int, events []unix.EpollEvent, wait time.Duration) (int, unix.Errno) {
	timeout := unix.NsecToTimespec(int64(wait))
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(fd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)),
		uintptr(unsafe.Pointer(&timeout)), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// sockaddr is room for an IPv4 or IPv6 socket address. Ports stand in it in
// network byte order.
type sockaddr unix.RawSockaddrInet6

// v4 views the room as an IPv4 address, which is the shorter.
func (s *sockaddr) v4() *unix.RawSockaddrInet4 { return (*unix.RawSockaddrInet4)(unsafe.Pointer(s)) }

// peer reads the address of a datagram's sender. It reports false for another family.
func (s *sockaddr) peer() (p peer, ok bool) {
	switch s.Family {
	case unix.AF_INET:
		in := s.v4()
		return peer{addr: mapped(in.Addr), port: netOrder(in.Port)}, true
	case unix.AF_INET6:
		return peer{addr: s.Addr, port: netOrder(s.Port), zone: s.Scope_id}, true
	}
	return peer{}, false
}

// set writes the address of p and returns its length.
func (s *sockaddr) set(p *peer, v6 bool) uint32 {
	if v6 {
		*s = sockaddr{Family: unix.AF_INET6, Port: netOrder(p.port), Addr: p.addr, Scope_id: p.zone}
		return unix.SizeofSockaddrInet6
	}
	*s.v4() = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: netOrder(p.port), Addr: [4]byte(p.addr[12:])}
	return unix.SizeofSockaddrInet4
}

// netOrder turns a port from network to host byte order and back.
func netOrder(port uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}

// mapped returns the IPv4-mapped form of an address.
func mapped(a [4]byte) [16]byte {
	return [16]byte{10: 0xff, 11: 0xff, 12: a[0], 13: a[1], 14: a[2], 15: a[3]}
}

// Control messages (cmsg(3)): a header of length, level and type, then data;
// all of it padded to 8 bytes.
const cmsgHeader = unix.SizeofCmsghdr

func cmsgSpace(n int) int { return cmsgHeader + (n+7)&^7 }

// putCmsg writes a control message's header in front of n bytes of data and
// returns the data and the rest of b.
func putCmsg(b []byte, level, typ int32, n int) (data, rest []byte) {
	binary.NativeEndian.PutUint64(b, uint64(cmsgHeader+n))
	binary.NativeEndian.PutUint32(b[8:], uint32(level))
	binary.NativeEndian.PutUint32(b[12:], uint32(typ))
	return b[cmsgHeader : cmsgHeader+n], b[cmsgSpace(n):]
}

// nextCmsg cuts the first control message off b.
func nextCmsg(b []byte) (level, typ int32, data, rest []byte, ok bool) {
	if len(b) < cmsgHeader {
		return 0, 0, nil, nil, false
	}
	n := binary.NativeEndian.Uint64(b)
	if n < cmsgHeader || n > uint64(len(b)) {
		return 0, 0, nil, nil, false
	}
	level = int32(binary.NativeEndian.Uint32(b[8:]))
	typ = int32(binary.NativeEndian.Uint32(b[12:]))
	return level, typ, b[cmsgHeader:n], b[min(cmsgSpace(int(n)-cmsgHeader), len(b)):], true
}

// putSource writes the control message that makes local the source of a datagram.
// IPv4 leaves the way out to the routes; a link-local IPv6 address needs its zone.
func putSource(b []byte, local *[16]byte, zone uint32, v6 bool) (rest []byte) {
	if v6 {
		data, rest := putCmsg(b, unix.SOL_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
		copy(data, local[:])
		binary.NativeEndian.PutUint32(data[16:], zone)
		return rest
	}
	data, rest := putCmsg(b, unix.SOL_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
	clear(data)
	copy(data[4:8], local[12:]) // ipi_spec_dst
	return rest
}

// putSegment writes the control message that makes the kernel cut a message
// into datagrams of size bytes.
func putSegment(b []byte, size int) (rest []byte) {
	data, rest := putCmsg(b, unix.SOL_UDP, unix.UDP_SEGMENT, 2)
	binary.NativeEndian.PutUint16(data, uint16(size))
	return rest
}

// ptr is the address of a buffer that the kernel reads or writes.
func ptr[T any](p *T) unsafe.Pointer { return unsafe.Pointer(p) }
