package dhcp_test

import (
	"net/netip"
	"testing"

	"github.com/xdpxe/xdpxe/responder/conn"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// TestClaimedAddress: what a client says is its address, answered or not.
func TestClaimedAddress(t *testing.T) {
	lease := func() *dhcptest.Message {
		return dhcptest.BootServerRequest(x64, netip.Addr{}).Add(50, C.AsSlice()...)
	}
	far := netip.MustParseAddr("198.51.100.77")
	s := newServer(t)
	for _, c := range []struct {
		name   string
		got    *reply
		reason packet.Reason
		want   netip.Addr
	}{
		{"lease", s.send(lease()), packet.LeaseRequest, C},
		{"another server's lease", s.send(lease().Add(54, other.AsSlice()...)), packet.OtherServer, C},
		{"our lease", s.send(lease().Add(54, S.AsSlice()...)), packet.LeaseRequest, C},
		{"boot item", s.send(lease().Add(43, 71, 4, 0, 0, 0, 0, 255)), packet.BootItem, C},
		{"no option 50", s.send(lease().Drop(50)), packet.LeaseRequest, netip.Addr{}},
		{"option 50 of 5 bytes", s.send(lease().Set(50, 192, 0, 2, 100, 1)), packet.LeaseRequest, netip.Addr{}},
		{"option 50 twice", s.send(lease().Add(50, C.AsSlice()...)), packet.LeaseRequest, netip.Addr{}},
		{"0.0.0.0", s.send(lease().Set(50, 0, 0, 0, 0)), packet.LeaseRequest, netip.Addr{}},
		{"broadcast", s.send(lease().Set(50, 255, 255, 255, 255)), packet.LeaseRequest, netip.Addr{}},
		{"multicast", s.send(lease().Set(50, 224, 0, 0, 1)), packet.LeaseRequest, netip.Addr{}},
		{"not PXE", s.send(lease().Set(60, []byte("MSFT 5.0")...)), packet.NotPXE, netip.Addr{}},
		{"DISCOVER", s.send(disc(x64).Add(50, C.AsSlice()...)), packet.Answered, netip.Addr{}},
		{"4011", s.ask4011(dhcptest.BootServerRequest(x64, C)), packet.Answered, C},
		{"4011 without ciaddr", s.ask4011(dhcptest.BootServerRequest(x64, zero)), packet.Answered, C},
		{"4011 with another", s.ask4011(dhcptest.BootServerRequest(x64, far)), packet.Answered, far},
		{"4011 ignores option 50", s.ask4011(dhcptest.BootServerRequest(x64, C).Add(50, far.AsSlice()...)), packet.Answered, C},
		{"4011 of another server", s.ask4011(dhcptest.BootServerRequest(x64, C).Add(54, other.AsSlice()...)), packet.OtherServer, C},
	} {
		if c.got.Reason != c.reason || c.got.Address != c.want {
			t.Errorf("%s: %v, address %v, want %v, %v", c.name, c.got.Reason, c.got.Address, c.reason, c.want)
		}
	}
}

// TestWhatPolicyIsTold: when, at which step and how patient; and that it was asked at all.
func TestWhatPolicyIsTold(t *testing.T) {
	s := newServer(t)
	late := disc(x64)
	late.Secs = 0x0c00
	s.send(late)
	if m := s.w.Machine(); m == nil || !m.Discover || m.Secs != 0x0c00 || !m.Now.Equal(s.now) || m.Trial {
		t.Errorf("DISCOVER: %+v", m)
	}
	s.send(dhcptest.BootServerRequest(x64, C))
	if m := s.w.Machine(); m != nil {
		t.Errorf("a lease request: the policy is not asked about %+v", m)
	}
	s.ask4011(dhcptest.BootServerRequest(x64, C))
	if m := s.w.Machine(); m == nil || m.Discover {
		t.Errorf("4011: %+v", m)
	}
}

// A trial leaves nothing behind: what a relay says in one is not remembered for 4011.
func TestTrial(t *testing.T) {
	p := newRack()
	p.circuit = "eth1"
	s := serverWith(t, p)
	onPort := relayed().Add(82, 1, 4, 'e', 't', 'h', '1')
	in := packet.Packet{Meta: s.incoming(onPort), Payload: onPort.Bytes()}
	out := packet.Packet{Payload: make([]byte, 0, conn.MaxPayload)}
	if res := s.r.NewTrial().Handle(s.now, s.link, &in, &out); res.Reason != packet.Answered || !p.asked.Trial {
		t.Fatalf("%v, of a trial: %v", res.Reason, p.asked.Trial)
	}
	far := netip.AddrPortFrom(netip.MustParseAddr("198.51.100.77"), 4011)
	if got := s.ask(dhcptest.BootServerRequest(x64, far.Addr()), far); got.Notes&dhcp.NoteRelayFactsRecall != 0 {
		t.Error("remembered of a trial")
	}
	s.send(onPort)
	if got := s.ask(dhcptest.BootServerRequest(x64, far.Addr()), far); got.Notes&dhcp.NoteRelayFactsRecall == 0 || got.Reason != packet.Answered {
		t.Errorf("not remembered of a request: %v, %v", got.Reason, got.Notes)
	}
}
