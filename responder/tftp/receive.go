package tftp

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

const (
	recvBatch   = 64
	recvBuffer  = maxRequest + 64 // longer datagrams are of no interest, but must be recognised
	recvControl = 128
)

// receiver takes datagrams from sockets in batches.
type receiver struct {
	msgs    [recvBatch]mmsghdr
	iovs    [recvBatch]unix.Iovec
	names   [recvBatch]sockaddr
	control [recvBatch][recvControl]byte
	buffers [recvBatch][recvBuffer]byte
}

func newReceiver() *receiver {
	r := new(receiver)
	for i := range r.msgs {
		r.iovs[i].Base = &r.buffers[i][0]
		r.iovs[i].SetLen(recvBuffer)
		h := &r.msgs[i].hdr
		h.Iov = &r.iovs[i]
		h.SetIovlen(1)
		h.Name = (*byte)(ptr(&r.names[i]))
		h.Control = &r.control[i][0]
	}
	return r
}

// recv fills the batch from a socket.
func (r *receiver) recv(fd int) (int, unix.Errno) {
	for i := range r.msgs {
		h := &r.msgs[i].hdr
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(recvControl)
	}
	return recvmmsg(fd, r.msgs[:])
}

// datagram is one received datagram, valid until the next recv.
type datagram struct {
	payload []byte
	from    peer
	local   [16]byte // the address it was sent to, mapped if it is IPv4
	ifindex uint32
	unicast bool   // local is an address of ours
	drops   uint32 // the socket's count of dropped datagrams, if counted
	counted bool
}

// datagram returns the i-th of the batch. It reports false where the kernel did
// not say what is needed to answer it.
func (r *receiver) datagram(i int, d *datagram) bool {
	*d = datagram{}
	var ok, told bool
	if d.from, ok = r.names[i].peer(); !ok {
		return false
	}
	d.payload = r.buffers[i][:min(r.msgs[i].len, recvBuffer)]
	rest := r.control[i][:min(r.msgs[i].hdr.Controllen, recvControl)]
	for {
		level, typ, data, next, ok := nextCmsg(rest)
		if !ok {
			return told
		}
		rest = next
		switch {
		case level == unix.SOL_IP && typ == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			// ipi_addr is the header's destination, ipi_spec_dst our address
			// that answers it: they differ for broadcast and multicast.
			d.ifindex = binary.NativeEndian.Uint32(data)
			d.local = mapped([4]byte(data[4:8]))
			d.unicast = [4]byte(data[4:8]) == [4]byte(data[8:12])
			told = true
		case level == unix.SOL_IPV6 && typ == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			d.local = [16]byte(data)
			d.ifindex = binary.NativeEndian.Uint32(data[16:])
			d.unicast = d.local[0] != 0xff
			told = true
		case level == unix.SOL_SOCKET && typ == unix.SO_RXQ_OVFL && len(data) >= 4:
			d.drops, d.counted = binary.NativeEndian.Uint32(data), true
		}
	}
}
