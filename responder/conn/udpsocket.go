package conn

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// listenUDP opens the socket and lays out everything that operations need.
func listenUDP(ifname string, ifindex, port int, o udpOptions) (*UDP, error) {
	if port < 0 || port > 0xffff {
		return nil, fmt.Errorf("no such port")
	}
	c := &UDP{
		fds:     descriptors{socket: -1, event: -1},
		ifindex: ifindex,
		bound:   ifname != "", patience: maxStale,
		out:     newOutbox(udpBuffers),
		replies: newPool(udpBuffers, udpBufSize),
		names:   make([]sockaddr, udpBuffers),
		control: make([]pktinfo, udpBuffers),
	}
	c.in.init()
	for i := range c.out.messages {
		h := &c.out.messages[i].Hdr
		h.Name, h.Namelen = &c.names[i][0], sockaddrLen
		c.control[i].attach(h)
	}
	if err := c.open(ifname, port, o); err != nil {
		c.fds.close()
		return nil, err
	}
	return c, nil
}

func (c *UDP) open(ifname string, port int, o udpOptions) (err error) {
	if o.inherited >= 0 {
		if c.fds.socket, err = unix.FcntlInt(uintptr(o.inherited), unix.F_DUPFD_CLOEXEC, 0); err == nil {
			err = unix.SetNonblock(c.fds.socket, true)
		}
	} else {
		c.fds.socket, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	}
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if c.fds.event, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	fd := c.fds.socket
	// Above net.core.rmem_max only with CAP_NET_ADMIN; less room is no reason not to serve.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, udpRcvBuf) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, udpRcvBuf)
	}
	set := []struct {
		name                 string
		level, option, value int
	}{
		{"SO_BROADCAST", unix.SOL_SOCKET, unix.SO_BROADCAST, 1},
		{"IP_PKTINFO", unix.IPPROTO_IP, unix.IP_PKTINFO, 1},
		// A socket that outlives its process may hold what nobody waits for any more.
		{"SO_TIMESTAMPNS", unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_NEW, 1},
		// Relayed replies may be fragmented; they must not be refused for what some ICMP message said.
		{"IP_MTU_DISCOVER", unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT},
	}
	for _, s := range set {
		if err := unix.SetsockoptInt(fd, s.level, s.option, s.value); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if o.inherited >= 0 {
		return c.readPort()
	}
	if o.reuseAddr {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return fmt.Errorf("SO_REUSEADDR: %w", err)
		}
	}
	if ifname != "" {
		if err := unix.BindToDevice(fd, ifname); err != nil {
			return fmt.Errorf("SO_BINDTODEVICE: %w", err)
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return c.readPort()
}

func (c *UDP) readPort() error {
	local, err := unix.Getsockname(c.fds.socket)
	if err != nil {
		return fmt.Errorf("getsockname: %w", err)
	}
	if in4, ok := local.(*unix.SockaddrInet4); ok {
		c.port = uint16(in4.Port)
	}
	return nil
}

// sockaddrLen is the size of a sockaddr_in.
const sockaddrLen = unix.SizeofSockaddrInet4

// sockaddr is a sockaddr_in: family (host order), port and address (network order), padding.
type sockaddr [sockaddrLen]byte

func (s *sockaddr) set(addr [4]byte, port uint16) {
	binary.NativeEndian.PutUint16(s[0:], unix.AF_INET)
	binary.BigEndian.PutUint16(s[2:], port)
	copy(s[4:8], addr[:])
}

func (s *sockaddr) addrPort() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(s[4:8])), binary.BigEndian.Uint16(s[2:]))
}

func withPort(a netip.AddrPort, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr(), port)
}

// inbox is what recvmmsg fills. A message has a buffer of the pool from the
// moment that it is stocked until it becomes a packet.
type inbox struct {
	buffers  *pool
	messages [udpBatch]unix.Mmsghdr
	iovecs   [udpBatch]unix.Iovec
	names    [udpBatch]sockaddr
	control  [udpBatch]arrival
	ids      [udpBatch]uint32
	stocked  int // messages[:stocked] have a buffer
}

func (b *inbox) init() {
	b.buffers = newPool(udpBuffers, udpBufSize)
	for i := range b.messages {
		h := &b.messages[i].Hdr
		h.Name, h.Iov = &b.names[i][0], &b.iovecs[i]
		h.SetIovlen(1)
	}
}

// ready stocks messages with free buffers and returns how many can receive.
func (b *inbox) ready() int {
	for b.stocked < udpBatch {
		id, ok := b.buffers.get()
		if !ok {
			break
		}
		b.ids[b.stocked] = id
		b.arm(b.stocked)
		b.stocked++
	}
	return b.stocked
}

// arm makes message i ready to receive into its buffer.
func (b *inbox) arm(i int) {
	buf := b.buffers.buf(b.ids[i])
	b.iovecs[i].Base = &buf[0]
	b.iovecs[i].SetLen(len(buf))
	h := &b.messages[i].Hdr
	h.Namelen, h.Flags = sockaddrLen, 0
	b.control[i].attach(h)
}

// packet makes p of received message i. false: no datagram to answer; its buffer is free again.
func (b *inbox) packet(i int, p *packet.Packet) bool {
	m, id := &b.messages[i], b.ids[i]
	if m.Hdr.Flags&unix.MSG_TRUNC != 0 || m.Hdr.Namelen != sockaddrLen || !b.control[i].valid(int(m.Hdr.Controllen)) {
		b.buffers.put(id)
		return false
	}
	buf := b.buffers.buf(id)
	info := &b.control[i].info
	*p = packet.Packet{Payload: buf[:m.Len], Token: requestToken(id)}
	p.Src = b.names[i].addrPort()
	// ipi_addr is the header's destination, ipi_spec_dst would be a local address.
	p.Dst = netip.AddrPortFrom(netip.AddrFrom4(info.Addr), 0)
	p.IfIndex = int(info.Ifindex)
	return true
}

// restock moves the buffers of unused messages in front, after messages[:used] became packets.
func (b *inbox) restock(used int) {
	left := copy(b.ids[:], b.ids[used:b.stocked])
	b.stocked = left
	for i := range left {
		b.arm(i)
	}
}
