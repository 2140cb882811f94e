package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
	"unsafe"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/client"
)

const (
	burst     = 32                     // DISCOVERs a sendmmsg
	drain     = 300 * time.Millisecond // for the last answers
	offXID    = 14 + 20 + 8 + 4
	offCHAddr = 14 + 20 + 8 + 28
)

// gun sends DISCOVERs of ever new machines and counts boot servers' OFFERs.
// The kernel counts them (PACKET_STATISTICS), so that counting costs no system
// call a packet.
type gun struct {
	out, in int
	frames  [burst][]byte
	iovecs  [burst]unix.Iovec
	msgs    [burst]mmsghdr
	serial  uint32
}

type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   [4]byte
}

func openGun(ns *lab.Namespace, ifname string) (g *gun, err error) {
	mac, err := ns.MAC(ifname)
	if err != nil {
		return nil, err
	}
	err = ns.Do(func() error {
		g, err = newGun(ifname, mac)
		return err
	})
	return g, err
}

func newGun(ifname string, mac net.HardwareAddr) (*gun, error) {
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	g := &gun{out: -1, in: -1}
	if g.out, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err == nil {
		err = errors.Join(
			unix.Bind(g.out, &unix.SockaddrLinklayer{Ifindex: ifi.Index}),
			unix.SetsockoptInt(g.out, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1))
	}
	if err == nil {
		g.in, err = listen(ifi.Index)
	}
	if err != nil {
		g.close()
		return nil, fmt.Errorf("sender: packet sockets on %s: %w", ifname, err)
	}
	m, err := (&client.Client{Style: client.EDK2, Arch: 7}).Discover(mac)
	if err != nil {
		g.close()
		return nil, err
	}
	for i := range g.frames {
		g.frames[i] = frame(mac, m)
		g.iovecs[i] = unix.Iovec{Base: &g.frames[i][0]}
		g.iovecs[i].SetLen(len(g.frames[i]))
		g.msgs[i].hdr.Iov = &g.iovecs[i]
		g.msgs[i].hdr.SetIovlen(1)
	}
	return g, nil
}

// listen opens a socket that takes OFFERs without a lease and queues next to none of them.
func listen(ifindex int) (int, error) {
	const header = 14
	prog, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: header + 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_UDP, SkipTrue: 7},
		bpf.LoadAbsolute{Off: header + 20, Size: 2}, // source port
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 67, SkipTrue: 5},
		bpf.LoadAbsolute{Off: header + 28, Size: 1}, // op
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 2, SkipTrue: 3},
		bpf.LoadAbsolute{Off: header + 28 + 16, Size: 4}, // yiaddr
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: 1},
		bpf.RetConstant{Val: 64},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return -1, err
	}
	filter := make([]unix.SockFilter, len(prog))
	for i, in := range prog {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4096),
		unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: unix.ETH_P_IP<<8&0xff00 | unix.ETH_P_IP>>8, Ifindex: ifindex}))
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// frame wraps a DISCOVER; its UDP checksum is 0, for none (RFC 768), so that
// changing xid and chaddr needs no other.
func frame(mac net.HardwareAddr, m *dhcpv4.DHCPv4) []byte {
	payload := m.ToBytes()
	f := make([]byte, 14+20+8, 14+20+8+len(payload))
	copy(f, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	copy(f[6:], mac)
	binary.BigEndian.PutUint16(f[12:], unix.ETH_P_IP)
	ip, udp := f[14:34], f[34:42]
	ip[0], ip[8], ip[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(ip[2:], uint16(28+len(payload)))
	broadcast := netip.AddrFrom4([4]byte{255, 255, 255, 255}).As4()
	copy(ip[16:], broadcast[:])
	var sum uint32
	for i := 0; i < len(ip); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum>>16+sum))
	binary.BigEndian.PutUint16(udp, 68)
	binary.BigEndian.PutUint16(udp[2:], 67)
	binary.BigEndian.PutUint16(udp[4:], uint16(8+len(payload)))
	return append(f, payload...)
}

// warm sends single DISCOVERs until one is answered: a cable that was just
// plugged in drops what comes first.
func (g *gun) warm(ctx context.Context) error {
	for ctx.Err() == nil {
		if _, answered, err := g.fire(ctx, 100, 100*time.Millisecond); err != nil || answered > 0 {
			return err
		}
	}
	return ctx.Err()
}

// fire sends at the rate (0: as fast as it goes) for d and returns how many
// requests left and how many answers came.
func (g *gun) fire(ctx context.Context, rate int, d time.Duration) (sent, answered float64, err error) {
	if _, err := g.count(); err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	for ctx.Err() == nil {
		since := time.Since(begin)
		if since >= d {
			break
		}
		n := burst
		if rate > 0 {
			n = min(burst, int(float64(rate)*since.Seconds()-sent)+1)
			if n <= 0 {
				continue // due in a few µs: too short to sleep
			}
		}
		k, err := g.send(n)
		if err != nil {
			return sent, 0, err
		}
		sent += float64(k)
	}
	time.Sleep(drain)
	answered, err = g.count()
	return sent, answered, errors.Join(err, ctx.Err())
}

// send sends n requests of new machines.
func (g *gun) send(n int) (int, error) {
	for i := range n {
		g.serial++
		binary.BigEndian.PutUint32(g.frames[i][offXID:], g.serial)
		binary.BigEndian.PutUint32(g.frames[i][offCHAddr+2:], g.serial)
	}
	k, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(g.out), uintptr(unsafe.Pointer(&g.msgs[0])), uintptr(n), 0, 0, 0)
	switch errno {
	case 0:
		return int(k), nil
	case unix.ENOBUFS, unix.EAGAIN, unix.EINTR:
		return 0, nil
	}
	return 0, fmt.Errorf("sender: %w", errno)
}

// count returns how many answers came since it was last called.
func (g *gun) count() (float64, error) {
	stats, err := unix.GetsockoptTpacketStats(g.in, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, fmt.Errorf("sender: count answers: %w", err)
	}
	return float64(stats.Packets), nil
}

func (g *gun) close() {
	for _, fd := range []int{g.out, g.in} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}
