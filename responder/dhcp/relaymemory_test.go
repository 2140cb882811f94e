package dhcp_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// routed is a client that a relay serves.
var routed = netip.MustParseAddrPort("198.51.100.50:4011")

// portServer boots machines behind circuit eth7 only.
func portServer(t *testing.T) *server {
	p := newRack()
	p.circuit = "eth7"
	return serverWith(t, p)
}

func TestRelayFactsReach4011(t *testing.T) {
	s := portServer(t)
	ask := dhcptest.BootServerRequest(x64, routed.Addr())
	r := s.ask(ask, routed)
	r.none(packet.DefaultIgnore)
	if r.Notes != dhcp.NoteRelayFactsMissing {
		t.Errorf("notes %v", r.Notes)
	}
	s.send(relayed().Add(82, info82...)).answered()
	r = s.ask(ask, routed).answered()
	if s.rack.asked.CircuitID == nil || string(s.rack.asked.RemoteID) != "sw1" || r.Notes != dhcp.NoteRelayFactsRecall || r.option(82) != nil {
		t.Errorf("policy saw %+v, notes %v, 82 %x", s.rack.asked, r.Notes, r.option(82))
	}
	// Workers share it.
	s.w = s.r.NewWorker()
	s.ask(ask, routed).answered()
	// Another machine does not, nor the same address with another UUID.
	stranger := dhcptest.BootServerRequest(x64, routed.Addr())
	stranger.CHAddr[5]++
	s.ask(stranger, routed).none(packet.DefaultIgnore)
	s.ask(dhcptest.BootServerRequest(x64, routed.Addr()).Set(97, append([]byte{0}, make([]byte, 16)...)...), routed).none(packet.DefaultIgnore)
	s.ask(dhcptest.BootServerRequest(x64, routed.Addr()).Drop(97), routed).answered()
}

func TestRelayFactsExpire(t *testing.T) {
	s := portServer(t)
	ask := dhcptest.BootServerRequest(x64, routed.Addr())
	s.send(relayed().Add(82, info82...)).answered()
	s.now = start.Add(5 * time.Minute)
	s.ask(ask, routed).answered()
	s.now = start.Add(5*time.Minute + 1)
	s.ask(ask, routed).none(packet.DefaultIgnore)
	// A new DISCOVER renews them, from another port of the switch if need be.
	s.send(relayed().Add(82, info82...)).answered()
	s.ask(ask, routed).answered()
}

// The last DISCOVER that was answered counts; one without 82 says nothing: it may
// be the same broadcast, heard directly.
func TestRelayFactsFollowTheLastAnswer(t *testing.T) {
	s := portServer(t)
	ask := dhcptest.BootServerRequest(x64, routed.Addr())
	s.send(relayed().Add(82, info82...)).answered()
	s.send(disc(x64)).none(packet.DefaultIgnore)
	s.send(relayed().Add(82, 1, 1, 'x')).none(packet.DefaultIgnore)
	s.ask(ask, routed).answered()
	s.send(relayed().Add(82, 1, 4, 'e', 't', 'h', '7')).answered()
	if s.ask(ask, routed).answered(); s.rack.asked.RemoteID != nil {
		t.Errorf("remote id %q of an older DISCOVER", s.rack.asked.RemoteID)
	}
}

// An option 82 of several pieces may hold more than is remembered. Its machine
// is served while the request carries it, and no half of it is believed later.
func TestRelayFactsTooLong(t *testing.T) {
	s := portServer(t)
	long := append([]byte{2, 251}, make([]byte, 251)...)
	s.send(relayed().Add(82, 1, 4, 'e', 't', 'h', '7').Add(82, long...)).answered()
	s.ask(dhcptest.BootServerRequest(x64, routed.Addr()), routed).none(packet.DefaultIgnore)
}

// A flood of invented clients neither grows the memory nor is remembered in place of a new client.
func TestRelayFactsAreBounded(t *testing.T) {
	s := portServer(t)
	m := relayed().Add(82, info82...)
	for i := range 40_000 {
		binary.BigEndian.PutUint32(m.CHAddr[2:], uint32(i))
		s.now = start.Add(time.Duration(i))
		in := packet.Packet{Meta: s.incoming(m), Payload: m.Bytes()}
		out := packet.Packet{Payload: make([]byte, 0, 1472)}
		s.w.Handle(s.now, s.link, &in, &out)
	}
	kept := 0
	for i := range 40_000 {
		ask := dhcptest.BootServerRequest(x64, routed.Addr())
		binary.BigEndian.PutUint32(ask.CHAddr[2:], uint32(i))
		in := packet.Packet{Meta: packet.Meta{Src: routed, Dst: netip.AddrPortFrom(S, 4011)}, Payload: ask.Bytes()}
		out := packet.Packet{Payload: make([]byte, 0, 1472)}
		if s.w.Handle(s.now, s.link, &in, &out).Reason == packet.Answered {
			kept++
		} else if i == 39_999 {
			t.Error("the last client was forgotten")
		}
	}
	if kept > 8192 || kept < 4096 {
		t.Errorf("%d clients are remembered", kept)
	}
}

func TestRelayFactsSurviveReload(t *testing.T) {
	s := portServer(t)
	s.send(relayed().Add(82, info82...)).answered()
	s.r = dhcp.New(s.rack, dhcp.Options{Previous: s.r})
	s.w = s.r.NewWorker()
	s.ask(dhcptest.BootServerRequest(x64, routed.Addr()), routed).answered()
	// A policy that does not use them keeps none.
	plain := newServer(t)
	plain.r = dhcp.New(plain.rack, dhcp.Options{Previous: s.r})
	plain.w = plain.r.NewWorker()
	plain.ask(dhcptest.BootServerRequest(x64, routed.Addr()), routed).answered()
	if plain.rack.asked.CircuitID != nil {
		t.Errorf("policy saw %+v", plain.rack.asked)
	}
}
