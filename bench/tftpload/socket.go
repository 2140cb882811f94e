package tftpload

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bounds of a socket's receive buffer, which is itself a bound, not memory: the
// kernel holds no more than what a window brings.
const (
	leastBuffer = 1 << 20
	mostBuffer  = 1 << 28
)

// openSocket opens a client's socket on a port of its own. It is not connected:
// the answer to a request comes from another port than the one it went to, and
// what comes from a wrong one is to be counted.
func openSocket(source netip.Addr, v6, gro bool, buffer int) (int, error) {
	family, level, recverr := unix.AF_INET, unix.SOL_IP, unix.IP_RECVERR
	if v6 {
		family, level, recverr = unix.AF_INET6, unix.SOL_IPV6, unix.IPV6_RECVERR
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err := prepareSocket(fd, source, level, recverr, gro, buffer); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func prepareSocket(fd int, source netip.Addr, level, recverr int, gro bool, buffer int) error {
	// An unconnected socket hears of ICMP errors only so.
	if err := unix.SetsockoptInt(fd, level, recverr, 1); err != nil {
		return fmt.Errorf("socket option IP_RECVERR: %w", err)
	}
	if gro {
		if err := unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1); err != nil {
			return fmt.Errorf("socket option UDP_GRO: %w", err)
		}
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer) != nil {
		// Without the privilege it is what the system allows; what is lost for it is counted.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
	}
	if !source.IsValid() {
		return nil
	}
	var sa unix.Sockaddr = &unix.SockaddrInet6{Addr: source.As16()}
	if source.Is4() {
		sa = &unix.SockaddrInet4{Addr: source.As4()}
	}
	if err := unix.Bind(fd, sa); err != nil {
		return fmt.Errorf("source address %v: %w", source, err)
	}
	return nil
}

// lost is what the kernel threw away because the socket's buffer was full.
func lost(fd int) uint64 {
	var info [unix.SK_MEMINFO_VARS]uint32
	n := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&n)), 0)
	if errno != 0 {
		return 0
	}
	return uint64(info[unix.SK_MEMINFO_DROPS])
}

// nextICMP takes an error off the socket's queue. It returns the port that the
// packet went to that an ICMP message is about; 0 for other errors.
func nextICMP(fd int) (port uint16, ok bool) {
	var from address
	var payload [64]byte
	var control [512]byte
	iov := unix.Iovec{Base: &payload[0], Len: uint64(len(payload))}
	h := unix.Msghdr{Name: (*byte)(unsafe.Pointer(&from.raw)), Namelen: unix.SizeofSockaddrInet6, Iov: &iov, Iovlen: 1, Control: &control[0]}
	h.SetControllen(len(control))
	if _, errno := recvmsg(fd, &h, unix.MSG_ERRQUEUE); errno != 0 {
		return 0, false
	}
	// struct sock_extended_err: errno, origin, type, code, …
	for _, kind := range [...][2]int32{{unix.SOL_IP, unix.IP_RECVERR}, {unix.SOL_IPV6, unix.IPV6_RECVERR}} {
		e := cmsg(control[:h.Controllen], kind[0], kind[1])
		if len(e) < 8 {
			continue
		}
		icmp := e[4] == unix.SO_EE_ORIGIN_ICMP || e[4] == unix.SO_EE_ORIGIN_ICMP6
		if icmp && unix.Errno(binary.NativeEndian.Uint32(e)) != unix.EMSGSIZE {
			return from.port(), true
		}
	}
	return 0, true
}
