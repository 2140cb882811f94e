package tftp

import (
	"golang.org/x/sys/unix"
)

// ICMP types and codes (RFC 792, 1122, 1812, 4443) that say for good that a
// client is not there.
const (
	icmp4Unreachable = 3
	icmp6Unreachable = 1
)

// hopeless says whether an ICMP error ends a transfer. "Host unreachable" and
// its kind do not: a boot program that unpacks for ten seconds answers no ARP
// either, and when it is back it goes on. The timer has the last word on those.
func hopeless(origin, typ, code uint8) bool {
	switch {
	case origin == unix.SO_EE_ORIGIN_ICMP && typ == icmp4Unreachable:
		switch code {
		case 2, 3, 9, 10, 13: // protocol, port; prohibited by an administrator
			return true
		}
	case origin == unix.SO_EE_ORIGIN_ICMP6 && typ == icmp6Unreachable:
		return code == 1 || code == 4 // prohibited; port
	}
	return false
}

// errorQueue reads what ICMP said about packets of a socket.
type errorQueue struct {
	msg     mmsghdr
	iov     unix.Iovec
	name    sockaddr
	control [256]byte
	buffer  [64]byte
}

// next returns whom the next error is about and whether it is final. It reports
// false when the queue is empty.
func (q *errorQueue) next(fd int) (to peer, final, ok bool) {
	q.iov.Base = &q.buffer[0]
	q.iov.SetLen(len(q.buffer))
	h := &q.msg.hdr
	*h = unix.Msghdr{Name: (*byte)(ptr(&q.name)), Namelen: unix.SizeofSockaddrInet6, Iov: &q.iov, Control: &q.control[0]}
	h.SetIovlen(1)
	h.SetControllen(len(q.control))
	_, _, errno := unix.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(ptr(h)), unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	if errno != 0 {
		return peer{}, false, false
	}
	// The name is the destination of the packet that met the error.
	to, named := q.name.peer()
	rest := q.control[:min(h.Controllen, uint64(len(q.control)))]
	for {
		level, typ, data, next, ok := nextCmsg(rest)
		if !ok {
			return to, final && named, true
		}
		rest = next
		if (level == unix.SOL_IP && typ == unix.IP_RECVERR || level == unix.SOL_IPV6 && typ == unix.IPV6_RECVERR) && len(data) >= 16 {
			final = hopeless(data[4], data[5], data[6]) // struct sock_extended_err
		}
	}
}
