package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/loader/netdev"
	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/control"
	"github.com/xdpxe/xdpxe/responder/packet"
)

var (
	serverAddr = netip.MustParseAddr("198.51.100.2")
	clientAddr = netip.MustParseAddr("198.51.100.77")
)

// bootClient is a machine at the far end of a daemon's veth pair, in a namespace
// of its own.
type bootClient struct {
	ns  namespace
	fd  int // a packet socket on v1
	ifi int
	xid uint32
}

// newBootClient takes v1 out of the daemon's namespace, before the daemon starts.
func newBootClient(t *testing.T, server namespace) *bootClient {
	t.Helper()
	c := &bootClient{ns: bareNamespace(t), xid: 0x5eed0000}
	server.run(t, "ip", "link", "set", "v1", "netns", string(c.ns))
	c.ns.run(t, "ip", "address", "add", clientAddr.String()+"/24", "dev", "v1")
	c.ns.run(t, "ip", "link", "set", "v1", "up")
	c.ns.inside(t, func() error {
		// The other end of a veth takes what XDP sends only if it polls.
		if err := netdev.SetFeatures("v1", true, "rx-gro"); err != nil {
			return err
		}
		ifi, err := net.InterfaceByName("v1")
		if err != nil {
			return err
		}
		const protocol = unix.ETH_P_IP>>8 | unix.ETH_P_IP&0xff<<8 // big-endian, see packet(7)
		c.ifi = ifi.Index
		if c.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol); err != nil {
			return err
		}
		return errors.Join(
			unix.Bind(c.fd, &unix.SockaddrLinklayer{Ifindex: c.ifi, Protocol: protocol}),
			unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}))
	})
	t.Cleanup(func() { unix.Close(c.fd) })
	return c
}

// send broadcasts a message of a machine's, a DISCOVER unless edit makes it
// another one, and returns its transaction.
func (c *bootClient) send(t *testing.T, mac string, edit func([]byte) []byte) uint32 {
	t.Helper()
	client := clientOf(t, machine{mac: mac, arch: "x64-uefi"})
	payload := client.message(1, netip.Addr{}, netip.Addr{})
	if edit != nil {
		payload = edit(payload)
	}
	c.xid++
	binary.BigEndian.PutUint32(payload[4:], c.xid)
	m := packet.Meta{
		SrcMAC: macOf(client.mac), DstMAC: [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		Src: netip.AddrPortFrom(netip.AddrFrom4([4]byte{}), packet.PortDHCPClient),
		Dst: netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), packet.PortDHCPServer),
	}
	if err := unix.Sendto(c.fd, frameOf(&m, payload), 0, &unix.SockaddrLinklayer{Ifindex: c.ifi}); err != nil {
		t.Fatal(err)
	}
	return c.xid
}

// replied reports whether a reply to a transaction comes within a time.
func (c *bootClient) replied(t *testing.T, xid uint32, within time.Duration) bool {
	t.Helper()
	var buf [2048]byte
	for end := time.Now().Add(within); ; {
		n, _, err := unix.Recvfrom(c.fd, buf[:], 0)
		if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			t.Fatal(err)
		}
		var p packet.Packet
		if err == nil && packet.Parse(buf[:n], &p) == packet.Answered && len(p.Payload) > 8 && p.Payload[0] == 2 && binary.BigEndian.Uint32(p.Payload[4:]) == xid {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// patience is never waited out in a test that passes.
const patience = 20 * time.Second

// answered sends one DISCOVER, which must be answered.
func (c *bootClient) answered(t *testing.T, d *daemonProcess, mac, when string) {
	t.Helper()
	if !c.replied(t, c.send(t, mac, nil), patience) {
		st, err := d.client.Status(t.Context())
		t.Fatalf("%s: DISCOVER of %s is not answered: %v, %+v", when, mac, err, st.Requests)
	}
}

// ignored sends one DISCOVER, which must get silence for a reason.
func (c *bootClient) ignored(t *testing.T, d *daemonProcess, mac, reason, when string) {
	t.Helper()
	before := d.awaitStatus(t, "counting", func(*control.Status) bool { return true })
	xid := c.send(t, mac, nil)
	d.awaitStatus(t, when+": counting a DISCOVER as "+reason, func(st *control.Status) bool { return counted(st, "", reason) > counted(before, "", reason) })
	if c.replied(t, xid, 0) {
		t.Fatalf("%s: DISCOVER of %s is answered", when, mac)
	}
}

// inKernel asks until the kernel decides such a DISCOVER by itself.
func (c *bootClient) inKernel(t *testing.T, d *daemonProcess, mac, reason string) {
	t.Helper()
	d.awaitStatus(t, "deciding in the kernel: "+reason, func(st *control.Status) bool {
		c.send(t, mac, nil)
		return counted(st, responder.TierKernel, reason) > 0
	})
}

// counted is how many DISCOVERs ended so, on a tier or (empty) all.
func counted(st *control.Status, tier, reason string) (n uint64) {
	for _, r := range st.Requests {
		if (tier == "" || r.Tier == tier) && r.Stage == "discover" && r.Reason == reason {
			n += r.Count
		}
	}
	return n
}

// lease lets the server see the machine's DHCPREQUEST to its DHCP server.
func (c *bootClient) lease(t *testing.T, d *daemonProcess, mac string) {
	t.Helper()
	others := func(st *control.Status) (n uint64) {
		for _, r := range st.Requests {
			if r.Stage == "other" {
				n += r.Count
			}
		}
		return n
	}
	before := d.awaitStatus(t, "counting", func(*control.Status) bool { return true })
	c.send(t, mac, func(payload []byte) []byte {
		payload = bytes.Replace(payload, []byte{53, 1, 1}, []byte{53, 1, 3}, 1)
		payload = append(payload[:len(payload)-1], 50, 4)
		payload = append(append(payload, clientAddr.AsSlice()...), 54, 4, 198, 51, 100, 1)
		return append(payload, 255)
	})
	d.awaitStatus(t, "hearing a DHCPREQUEST", func(st *control.Status) bool { return others(st) > others(before) })
}

// fetch reads a file of one block by TFTP, and acknowledges it.
func (c *bootClient) fetch(t *testing.T, name string) (content string, err error) {
	t.Helper()
	c.ns.inside(t, func() error {
		content, err = fetchBlock(name)
		return nil
	})
	return content, err
}

func fetchBlock(name string) (string, error) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: clientAddr.AsSlice()})
	if err != nil {
		return "", err
	}
	defer conn.Close()
	to := netip.AddrPortFrom(serverAddr, 69)
	if _, err := conn.WriteToUDPAddrPort([]byte("\x00\x01"+name+"\x00octet\x00"), to); err != nil {
		return "", err
	}
	conn.SetReadDeadline(time.Now().Add(patience))
	var buf [1024]byte
	n, from, err := conn.ReadFromUDPAddrPort(buf[:])
	switch {
	case err != nil:
		return "", err
	case n >= 4 && buf[1] == 5:
		return "", fmt.Errorf("ERROR %d: %s", buf[3], bytes.TrimRight(buf[4:n], "\x00"))
	case n < 4 || n >= 516 || !bytes.Equal(buf[:4], []byte{0, 3, 0, 1}):
		return "", fmt.Errorf("answer % x", buf[:n])
	}
	_, err = conn.WriteToUDPAddrPort([]byte{0, 4, 0, 1}, from)
	return string(buf[4:n]), err
}

// operate runs a command that asks the daemon, and wants it to succeed.
func (d *daemonProcess) operate(t *testing.T, args ...string) string {
	t.Helper()
	r := operator(t, "", append(args, "--socket", filepath.Join(d.dir, "run", "control.sock"))...)
	if r.code != 0 {
		t.Fatalf("xdpxe %v: %+v", args, r)
	}
	return r.stdout
}
