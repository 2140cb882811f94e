package responder

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/responder/conn"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// witness keeps what it is shown.
type witness struct {
	events   []Event
	machines []bool // the policy was asked
}

func (w *witness) Observe(e *Event, m *policy.Machine) {
	w.events, w.machines = append(w.events, *e), append(w.machines, m != nil)
}

// lease is a DHCPREQUEST for an address on port 67.
func lease(mac byte, addr netip.Addr) packet.Packet {
	p := discover(2, mac)
	p.Payload[242] = 3
	p.Payload = append(append(p.Payload[:len(p.Payload)-1], 50, 4), addr.AsSlice()...)
	p.Payload = append(p.Payload, 255)
	return p
}

// Observers hear of each request: of those that are no news to the journal, of
// those that no frame is there to answer, and of requests that are others' business.
func TestObserversHearOfAll(t *testing.T) {
	s := New(zap.NewNop())
	s.SetAnswers(answersOf(t, bootAll("a.efi")))
	s.SetLinks(eth0)
	one, two := &witness{}, &witness{}
	s.SetObservers(one, two)
	w := &worker{server: s, iface: "eth0", tier: "native", counts: s.countersFor("eth0", "native")}
	addr := netip.MustParseAddr("192.0.2.77")
	in := []packet.Packet{discover(2, 1), discover(2, 1), lease(1, addr), discover(2, 2), lease(2, addr), discover(3, 1)}
	out := []packet.Packet{{Payload: make([]byte, 0, conn.MaxPayload)}, {Payload: make([]byte, 0, conn.MaxPayload)}}
	now := time.Unix(1_700_000_000, 0)
	if used := w.handle(now, in, out); used != 2 {
		t.Fatalf("%d answers, there was room for 2", used)
	}
	want := []struct {
		reason packet.Reason
		asked  bool
	}{{packet.Answered, true}, {packet.Answered, true}, {packet.LeaseRequest, false}, {packet.NoBuffer, true}, {packet.LeaseRequest, false}, {packet.NoAddress, false}}
	if !slices.Equal(one.machines, two.machines) || len(one.events) != len(want) {
		t.Fatalf("%d and %d events, want %d", len(one.events), len(two.events), len(want))
	}
	for i, e := range one.events {
		if e.Reason != want[i].reason || one.machines[i] != want[i].asked || !e.Time.Equal(now) || e.Iface != "eth0" || e.Tier != "native" {
			t.Errorf("request %d: %+v, the policy was asked: %v", i, e, one.machines[i])
		}
		if got := e.Address; (e.Reason == packet.LeaseRequest) != (got == addr) {
			t.Errorf("request %d: %v, address %v", i, e.Reason, got)
		}
	}
	if got := s.Counts(); len(got) != 4 || got[3] != (Count{"eth0", "native", dhcp.StageDiscover, packet.NoBuffer, 1}) {
		t.Errorf("%+v", got)
	}
}

// counter is an observer that allocates nothing.
type counter struct{ n int }

func (c *counter) Observe(e *Event, _ *policy.Machine) { c.n += int(e.MACLen) }

func TestObservedHandleDoesNotAllocate(t *testing.T) {
	s := New(zap.NewNop())
	s.SetAnswers(answersOf(t, bootAll("a.efi")))
	s.SetLinks(eth0)
	seen := &counter{}
	s.SetObservers(seen)
	w := &worker{server: s, iface: "eth0", tier: "native", counts: s.countersFor("eth0", "native")}
	in := []packet.Packet{discover(2, 1), lease(2, eth0[LinkKey{Port: 2}].Addr), discover(2, 3)}
	out := make([]packet.Packet, 1)
	buf := make([]byte, 0, conn.MaxPayload)
	now := time.Unix(1_700_000_000, 0)
	if n := testing.AllocsPerRun(100, func() {
		out[0].Payload = buf
		w.handle(now, in, out)
	}); n != 0 || seen.n == 0 {
		t.Errorf("%v allocations, %d bytes of addresses seen", n, seen.n)
	}
}
