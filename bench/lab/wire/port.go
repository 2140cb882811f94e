// Package wire sends, receives and describes the UDP datagrams of a network
// boot as they stand on a cable of the lab, VLAN tags included. It shares no
// code with the server that it watches.
package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bench/lab"
)

// Broadcast is the Ethernet broadcast address.
var Broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Datagram is one IPv4 UDP datagram on the wire.
type Datagram struct {
	SrcMAC, DstMAC net.HardwareAddr
	VLANs          []uint16 // VLAN ids, outermost first
	Src, Dst       netip.AddrPort
	Payload        []byte
	At             time.Time
	Outgoing       bool // left through the port, seen from the port's own host
}

// Port is a packet socket on one interface of a namespace. Send and Recv may
// be used at the same time, each by one goroutine.
type Port struct {
	MAC     net.HardwareAddr
	file    *os.File
	ifindex int
	buf     [1 << 16]byte
	oob     [256]byte
}

// Open opens a port. It sees frames in both directions, but never what Send sent.
func Open(ns *lab.Namespace, ifname string) (p *Port, err error) {
	err = ns.Do(func() error {
		p, err = open(ifname)
		return err
	})
	return p, err
}

func open(ifname string) (*Port, error) {
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return nil, fmt.Errorf("wire: %s: %w", ifname, err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("wire: packet socket: %w", err)
	}
	// The kernel takes the outer tag out of the frame; it comes back as auxiliary data (packet(7)).
	err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: ifi.Index})
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("wire: %s: %w", ifname, err)
	}
	return &Port{MAC: ifi.HardwareAddr, file: os.NewFile(uintptr(fd), "packet:"+ifname), ifindex: ifi.Index}, nil
}

// Close closes the port; a blocked Recv returns.
func (p *Port) Close() error { return p.file.Close() }

// Send puts a datagram on the wire, with its tags in the frame and correct checksums.
func (p *Port) Send(d Datagram) error {
	frame, err := serialize(d)
	if err != nil {
		return fmt.Errorf("wire: %w", err)
	}
	if _, err := p.file.Write(frame); err != nil {
		return fmt.Errorf("wire: send: %w", err)
	}
	return nil
}

func serialize(d Datagram) ([]byte, error) {
	types := make([]layers.EthernetType, len(d.VLANs)+1)
	for i := range d.VLANs {
		types[i] = layers.EthernetTypeDot1Q
	}
	types[len(d.VLANs)] = layers.EthernetTypeIPv4

	stack := []gopacket.SerializableLayer{&layers.Ethernet{SrcMAC: d.SrcMAC, DstMAC: d.DstMAC, EthernetType: types[0]}}
	for i, id := range d.VLANs {
		stack = append(stack, &layers.Dot1Q{VLANIdentifier: id, Type: types[i+1]})
	}
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: d.Src.Addr().AsSlice(), DstIP: d.Dst.Addr().AsSlice()}
	udp := &layers.UDP{SrcPort: layers.UDPPort(d.Src.Port()), DstPort: layers.UDPPort(d.Dst.Port())}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		return nil, err
	}
	stack = append(stack, ip, udp, gopacket.Payload(d.Payload))
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, stack...)
	return buf.Bytes(), err
}

// Recv returns the next UDP datagram over IPv4; other frames are skipped. The
// payload is the caller's.
func (p *Port) Recv(ctx context.Context) (Datagram, error) {
	if err := p.file.SetReadDeadline(time.Time{}); err != nil {
		return Datagram{}, fmt.Errorf("wire: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { p.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		d, ok, err := p.recv()
		if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
			return d, fmt.Errorf("wire: no datagram: %w", context.Cause(ctx))
		}
		if err != nil {
			return d, fmt.Errorf("wire: receive: %w", err)
		}
		if ok {
			return d, nil
		}
	}
}

func (p *Port) recv() (d Datagram, ok bool, err error) {
	conn, err := p.file.SyscallConn()
	if err != nil {
		return d, false, err
	}
	var n, oobn int
	var from unix.Sockaddr
	var recvErr error
	err = conn.Read(func(fd uintptr) bool {
		n, oobn, _, from, recvErr = unix.Recvmsg(int(fd), p.buf[:], p.oob[:], 0)
		return recvErr != unix.EAGAIN && recvErr != unix.EINTR
	})
	if err = errors.Join(err, recvErr); err != nil {
		return d, false, err
	}
	d, ok = parse(p.buf[:n], strippedTag(p.oob[:oobn]))
	d.At = time.Now()
	if ll, isLL := from.(*unix.SockaddrLinklayer); isLL {
		d.Outgoing = ll.Pkttype == unix.PACKET_OUTGOING
	}
	return d, ok, nil
}

// parse copies what it keeps.
func parse(frame []byte, stripped []uint16) (d Datagram, ok bool) {
	pkt := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	eth, okEth := pkt.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	ip, okIP := pkt.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	udp, okUDP := pkt.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if !okEth || !okIP || !okUDP {
		return d, false
	}
	d = Datagram{SrcMAC: eth.SrcMAC, DstMAC: eth.DstMAC, VLANs: stripped, Payload: udp.Payload}
	for _, l := range pkt.Layers() {
		if tag, isTag := l.(*layers.Dot1Q); isTag {
			d.VLANs = append(d.VLANs, tag.VLANIdentifier)
		}
	}
	src, _ := netip.AddrFromSlice(ip.SrcIP.To4())
	dst, _ := netip.AddrFromSlice(ip.DstIP.To4())
	d.Src, d.Dst = netip.AddrPortFrom(src, uint16(udp.SrcPort)), netip.AddrPortFrom(dst, uint16(udp.DstPort))
	return d, true
}

// strippedTag returns the VLAN id that the kernel took out of the frame, if any.
func strippedTag(oob []byte) []uint16 {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA || len(m.Data) < int(unsafe.Sizeof(unix.TpacketAuxdata{})) {
			continue
		}
		aux := (*unix.TpacketAuxdata)(unsafe.Pointer(&m.Data[0]))
		if aux.Status&unix.TP_STATUS_VLAN_VALID != 0 {
			return []uint16{aux.Vlan_tci & 0x0fff}
		}
	}
	return nil
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }
