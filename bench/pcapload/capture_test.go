package pcapload

import (
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"

	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/pcapfile"
)

// The captured network (RFC 5737): a boot server, a DHCP server, a client and its relay.
var (
	bootServer = netip.MustParseAddr("192.0.2.10")
	dhcpServer = netip.MustParseAddr("192.0.2.2")
	leased     = netip.MustParseAddr("192.0.2.100")
	relay      = netip.MustParseAddr("192.0.2.1")
)

// The network of the replay.
var (
	underTest = netip.MustParseAddr("203.0.113.10")
	generator = netip.MustParseAddr("203.0.113.77")
)

// target is what tests replay against.
func target() Target { return Target{Server: underTest, Source: generator} }

const x64 = 7

// capture is built frame by frame, a millisecond apart.
type capture struct {
	t      testing.TB
	frames []pcapfile.Frame
}

func (c *capture) add(m packet.Meta, payload []byte) int {
	c.t.Helper()
	b := make([]byte, packet.MaxHeader+len(payload)+60)
	n := packet.Build(b, &m, 0)
	if n == 0 {
		c.t.Fatalf("no headers for %+v", m)
	}
	copy(b[packet.HeaderLen(&m):], payload)
	n = packet.Build(b, &m, len(payload))
	at := time.Unix(1_750_000_000, 0).Add(time.Duration(len(c.frames)) * time.Millisecond)
	c.frames = append(c.frames, pcapfile.Frame{CaptureInfo: gopacket.CaptureInfo{Timestamp: at, CaptureLength: n, Length: n}, Data: b[:n]})
	return len(c.frames)
}

func from(src string, srcMAC [6]byte, dst string, dstMAC [6]byte) packet.Meta {
	return packet.Meta{Src: netip.MustParseAddrPort(src), SrcMAC: srcMAC, Dst: netip.MustParseAddrPort(dst), DstMAC: dstMAC}
}

var (
	serverMAC = [6]byte{2, 0, 0, 0, 0, 0x10}
	routerMAC = [6]byte{2, 0, 0, 0, 0, 0x01}
)

// broadcast is a client without an address.
func (c *capture) broadcast(m *dhcptest.Message) int {
	return c.add(from("0.0.0.0:68", [6]byte(m.CHAddr[:]), "255.255.255.255:67", broadcastMAC), m.Bytes())
}

// ask4011 is a client with an address.
func (c *capture) ask4011(m *dhcptest.Message) int {
	return c.add(from("192.0.2.100:4011", [6]byte(m.CHAddr[:]), "192.0.2.10:4011", serverMAC), m.Bytes())
}

func (c *capture) offer(request *dhcptest.Message) int {
	return c.add(from("192.0.2.10:67", serverMAC, "255.255.255.255:68", broadcastMAC), proxyOffer(request, bootServer).Bytes())
}

func (c *capture) ack4011(request *dhcptest.Message) int {
	return c.add(from("192.0.2.10:4011", serverMAC, "192.0.2.100:4011", [6]byte(request.CHAddr[:])), bootACK(request, bootServer).Bytes())
}

// proxyOffer is what a boot server answers to a DISCOVER.
func proxyOffer(request *dhcptest.Message, server netip.Addr) *dhcptest.Message {
	m := &dhcptest.Message{Op: 2, HType: 1, HLen: request.HLen, XID: request.XID, Flags: request.Flags, SIAddr: server,
		GIAddr: request.GIAddr, CHAddr: request.CHAddr, File: "boot/x64.efi"}
	m.Add(53, 2).Add(54, server.AsSlice()...).Add(60, []byte("PXEClient")...)
	return echoUUID(m, request)
}

func bootACK(request *dhcptest.Message, server netip.Addr) *dhcptest.Message {
	m := proxyOffer(request, server).Set(53, 5)
	m.CIAddr = request.CIAddr
	return m
}

func echoUUID(m, request *dhcptest.Message) *dhcptest.Message {
	for _, o := range request.Options {
		if o.Code == optUUID {
			m.Add(optUUID, o.Data...)
		}
	}
	return m
}

// machine is a client's DISCOVER and 4011 request: of the n-th machine.
func machine(n byte) (discover, ask *dhcptest.Message) {
	discover, ask = dhcptest.Discover(x64), dhcptest.BootServerRequest(x64, leased)
	for _, m := range []*dhcptest.Message{discover, ask} {
		m.CHAddr[5] = n
		uuid := append([]byte{0}, dhcptest.GUID[:]...)
		uuid[16] = n
		m.Set(optUUID, uuid...)
		m.XID += uint32(n) << 8
	}
	ask.XID++
	return discover, ask
}

func plan(t testing.TB, c *capture, to Target) *Plan {
	t.Helper()
	p, err := NewPlan(c.frames, to)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func session(t testing.TB, p *Plan, pace Pace) *Session {
	t.Helper()
	if pace.Late == 0 {
		pace.Late = time.Second
	}
	s, err := NewSession(p, pace)
	if err != nil {
		t.Fatal(err)
	}
	s.First, s.FirstXID = 100, 0xfffffff0 // so that numbers wrap
	s.Hop, s.Own = serverMAC, [6]byte{2, 0, 0, 0, 0, 0x77}
	return s
}
