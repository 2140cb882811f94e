package pcapload

import (
	"errors"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
)

// Which requests there are, which of them the boot server answered, and what is left out.
func TestPlan(t *testing.T) {
	c := capture{t: t}
	discover, ask := machine(1)
	other, _ := machine(2)
	lease := dhcptest.Lease(discover, dhcpServer, leased)
	first := c.broadcast(discover)
	again := c.broadcast(discover) // the client's second try: the answer is to that
	c.add(from("192.0.2.2:67", serverMAC, "255.255.255.255:68", broadcastMAC), lease.Bytes())
	c.offer(discover)
	unanswered := c.broadcast(other)
	request := *discover
	request.Options = append([]dhcptest.Option(nil), discover.Options...)
	request.Set(53, 3).Add(54, dhcpServer.AsSlice()...)
	leaseRequest := c.broadcast(&request)
	c.add(from("192.0.2.2:67", serverMAC, "255.255.255.255:68", broadcastMAC), dhcptest.Lease(&request, dhcpServer, leased).Set(53, 5).Bytes())
	boot := c.ask4011(ask)
	c.ack4011(ask)

	relayed, _ := machine(3)
	relayed.GIAddr = relay
	c.add(from("192.0.2.1:67", routerMAC, "192.0.2.10:67", serverMAC), relayed.Bytes())
	c.add(from("192.0.2.100:4011", dhcptest.MAC, "192.0.2.2:4011", serverMAC), ask.Bytes())                     // another boot server's
	c.add(from("192.0.2.100:2000", dhcptest.MAC, "192.0.2.10:69", serverMAC), []byte("\x00\x01f\x00octet\x00")) // TFTP
	c.add(from("0.0.0.0:68", dhcptest.MAC, "255.255.255.255:67", broadcastMAC), []byte("no DHCP"))
	short := &c.frames[c.broadcast(discover)-1]
	short.Data, short.CaptureLength = short.Data[:200], 200
	c.frames = append(c.frames, c.frames[0])
	c.frames[len(c.frames)-1].Data = nil // not Ethernet

	p := plan(t, &c, target())
	type want struct {
		frame   int
		kind    dhcp.MessageType
		answers int
	}
	var got []want
	for _, r := range p.Requests {
		got = append(got, want{r.Frame, r.Type, len(r.Want)})
	}
	expected := []want{{first, 1, 0}, {again, 1, 1}, {unanswered, 1, 0}, {leaseRequest, 3, 0}, {boot, 3, 1}}
	if len(got) != len(expected) {
		t.Fatalf("requests %v, want %v", got, expected)
	}
	for i := range got {
		if got[i] != expected[i] {
			t.Errorf("request %d: %v, want %v", i, got[i], expected[i])
		}
	}
	if p.Captured != bootServer || p.Machines() != 2 || p.Silent() != 3 || !p.Needs() {
		t.Errorf("server %v, %d machines, %d silent", p.Captured, p.Machines(), p.Silent())
	}
	if at := p.Requests[4].At; at != time.Duration(boot-1)*time.Millisecond {
		t.Errorf("frame %d at %v", boot, at)
	}
	left := map[string]int{
		"relayed by 192.0.2.1, which is no address of the generator (--relay)": 1,
		"sent to another server":                      1,
		"TFTP requests: xdpxe-bench tftp sends those": 1,
		"malformed": 1,
		"cut short by the capture (tcpdump -s 0 takes all)": 1,
	}
	if !maps.Equal(p.LeftOut, left) {
		t.Errorf("left out %v, want %v", p.LeftOut, left)
	}
	offer, ack := p.Requests[1].Want[0], p.Requests[4].Want[0]
	if offer.Type != dhcp.TypeOffer || offer.File != "boot/x64.efi" || offer.NextServer != theServer || offer.ServerID != theServer ||
		offer.Class != "PXEClient" || offer.Dest != everybody || offer.SourcePort != 67 || offer.DestPort != 68 || !offer.Broadcast {
		t.Errorf("offer %+v", offer)
	}
	if ack.Type != dhcp.TypeACK || ack.SourcePort != 4011 || ack.DestPort != 4011 || ack.Dest != another {
		t.Errorf("answer on 4011 %+v", ack)
	}
}

func TestPlanRelayed(t *testing.T) {
	discover, _ := machine(1)
	discover.GIAddr = relay
	c := capture{t: t}
	c.add(from("198.51.100.1:67", routerMAC, "192.0.2.10:67", serverMAC), discover.Bytes()) // from its other side
	c.add(from("192.0.2.10:67", serverMAC, "192.0.2.1:67", routerMAC), proxyOffer(discover, bootServer).Bytes())
	to := target()
	to.Relays = []netip.Addr{relay}
	p := plan(t, &c, to)
	frame := p.Requests[0].appendFrame(make([]byte, 0, 1600), &who, serverMAC, routerMAC)
	discover.XID = who.xid
	copy(discover.CHAddr[:], who.mac[:])
	discover.Set(optUUID, append([]byte{0}, who.uuid[:]...)...)
	wantFrame(t, "relayed", frame, from("192.0.2.1:67", routerMAC, "203.0.113.10:67", serverMAC), discover.Bytes())
	if len(p.Requests[0].Want) != 1 {
		t.Errorf("%d answers", len(p.Requests[0].Want))
	}
}

func TestPlanRefuses(t *testing.T) {
	_, ask := machine(1)
	only4011 := capture{t: t}
	only4011.ask4011(ask)
	noSource := target()
	noSource.Source = netip.Addr{}

	two := capture{t: t}
	discover, _ := machine(1)
	two.broadcast(discover)
	two.offer(discover)
	two.add(from("192.0.2.11:67", serverMAC, "255.255.255.255:68", broadcastMAC), proxyOffer(discover, bootServer.Next()).Bytes())

	for _, c := range []struct {
		name    string
		capture capture
		to      Target
		want    string
	}{
		{"nothing", capture{t: t}, target(), "no DHCP request to port 67 or 4011"},
		{"no source", only4011, noSource, "the generator's interface has none to send from"},
		{"two servers", two, target(), "more than one boot server answers in the capture: 192.0.2.10, 192.0.2.11"},
	} {
		if p, err := NewPlan(c.capture.frames, c.to); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v", c.name, p, err)
		}
	}
	if _, err := NewPlan(two.frames, target()); !errors.Is(err, errManyServers) {
		t.Errorf("two servers: %v", err)
	}
	to := target()
	to.Captured = bootServer
	if p := plan(t, &two, to); len(p.Requests[0].Want) != 1 {
		t.Errorf("%d answers of the server that was named", len(p.Requests[0].Want))
	}
}
