package dhcp_test

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// relayed is DISC(7) as relay R forwards it.
func relayed() *dhcptest.Message {
	m := disc(x64)
	m.GIAddr, m.Hops, m.Flags = R, 1, 0
	return m
}

var info82 = []byte{1, 4, 'e', 't', 'h', '7', 2, 3, 's', 'w', '1'}

// relayStatements: requests through a relay agent.
var relayStatements = []statement{
	{"D1", func(t *testing.T, s *server) {
		r := s.send(relayed()).answered()
		if r.Meta.Dst != netip.AddrPortFrom(R, 67) || r.Meta.Src != netip.AddrPortFrom(S, 67) || r.Meta.DstMAC != routerMAC {
			t.Errorf("goes from %v to %v (%x)", r.Meta.Src, r.Meta.Dst, r.Meta.DstMAC)
		}
		if r.Relay != R {
			t.Errorf("relay %v", r.Relay)
		}
	}},
	{"D2", func(t *testing.T, s *server) {
		r := s.send(relayed()).answered()
		if !r.GatewayIPAddr.Equal(R.AsSlice()) || r.Flags != 0x8000 {
			t.Errorf("giaddr %v, flags %x", r.GatewayIPAddr, r.Flags)
		}
		// So the relay broadcasts it, and edk2 takes it.
		pkt, to, err := dhcptest.RelayForward(R, r.Payload)
		if err != nil || to.Addr() != bcast {
			t.Fatalf("dhcrelay sends it to %v: %v", to, err)
		}
		if _, err := edk2Of(relayed()).AcceptOffer(pkt); err != nil {
			t.Error(err)
		}
	}},
	{"D3", func(t *testing.T, s *server) {
		for _, info := range [][]byte{info82, {}, {151, 3, 0, 'v', 'r'}, bytes.Repeat([]byte{1, 1, 7}, 85)} {
			if r := s.send(relayed().Add(82, info...)).answered(); !bytes.Equal(r.option(82), info) || r.option(82) == nil {
				t.Errorf("82 %x, want %x", r.option(82), info)
			}
		}
		if r := s.send(relayed()).answered(); r.option(82) != nil {
			t.Errorf("82 %x out of nothing", r.option(82))
		}
		// A switch adds it without being a relay (RFC 3046 §2.1).
		if r := s.send(disc(x64).Add(82, info82...)).answered(); !bytes.Equal(r.option(82), info82) || r.Meta.Dst.Addr() != bcast {
			t.Errorf("82 %x, to %v", r.option(82), r.Meta.Dst)
		}
	}},
	{"D4", func(t *testing.T, s *server) {
		m := relayed().Drop(57).Add(61, make([]byte, 60)...).Add(82, append([]byte{1, 253}, make([]byte, 253)...)...)
		if r := s.send(m).answered(); r.option(82) != nil || r.Notes&dhcp.NoteRelayInfoDropped == 0 {
			t.Errorf("82 of %d bytes, notes %v", len(r.option(82)), r.Notes)
		}
		// In two pieces it is more than one option can carry, however long the reply may be.
		m = relayed().Add(82, append([]byte{1, 253}, make([]byte, 253)...)...).Add(82, 2, 1, 'r')
		if r := s.send(m).answered(); r.option(82) != nil || r.Notes&dhcp.NoteRelayInfoDropped == 0 || string(s.rack.asked.RemoteID) != "r" {
			t.Errorf("82 of %d bytes, notes %v, policy saw %+v", len(r.option(82)), r.Notes, s.rack.asked)
		}
	}},
	{"D5", func(t *testing.T, s *server) {
		link := netip.MustParseAddr("203.0.113.0")
		r := s.send(relayed().Add(82, 5, 4, 203, 0, 113, 0).Add(118, 10, 0, 0, 0)).answered()
		if s.rack.asked.Subnet != link || s.rack.asked.Relay != R || r.Meta.Dst != netip.AddrPortFrom(R, 67) {
			t.Errorf("subnet %v, relay %v, to %v", s.rack.asked.Subnet, s.rack.asked.Relay, r.Meta.Dst)
		}
		// RFC 3011: 118 comes next, and is echoed.
		r = s.send(relayed().Add(118, 10, 0, 0, 0)).answered()
		if s.rack.asked.Subnet != netip.MustParseAddr("10.0.0.0") || !bytes.Equal(r.option(118), []byte{10, 0, 0, 0}) {
			t.Errorf("subnet %v, 118 %x", s.rack.asked.Subnet, r.option(118))
		}
		r = s.send(relayed().Add(118, 10, 0, 0)).answered()
		if s.rack.asked.Subnet != R || r.option(118) != nil {
			t.Errorf("subnet %v, 118 %x", s.rack.asked.Subnet, r.option(118))
		}
	}},
	{"D6", func(t *testing.T, s *server) {
		info := append([]byte{11, 4}, R.AsSlice()...)
		r := s.send(relayed().Add(82, info...)).answered()
		if !bytes.Equal(r.option(54), S.AsSlice()) || r.Notes&dhcp.NoteServerIDOverride == 0 || r.Other != R {
			t.Errorf("54 %x, notes %v, other %v", r.option(54), r.Notes, r.Other)
		}
	}},
	{"D7", func(t *testing.T, s *server) {
		s.port67 = 33067
		r := s.send(relayed().Add(82, 1, 1, 'x', 19, 0)).answered()
		if r.Meta.Dst != netip.AddrPortFrom(R, 33067) || r.Notes&dhcp.NoteRelayPort == 0 {
			t.Errorf("goes to %v, notes %v", r.Meta.Dst, r.Notes)
		}
		if r := s.send(relayed()).answered(); r.Meta.Dst != netip.AddrPortFrom(R, 67) {
			t.Errorf("without 82.19 it goes to %v", r.Meta.Dst)
		}
		m := relayed().Add(82, 19, 0)
		meta := s.incoming(m)
		meta.Src = netip.AddrPortFrom(R, 0)
		if r := s.deliver(meta, m.Bytes()).answered(); r.Meta.Dst != netip.AddrPortFrom(R, 67) {
			t.Errorf("from port 0 it goes to %v", r.Meta.Dst)
		}
		// It is a relay's to say: nobody else moves the broadcast.
		if r := s.send(disc(x64).Add(82, 19, 0)).answered(); r.Meta.Dst != netip.AddrPortFrom(bcast, 68) || r.Notes != 0 {
			t.Errorf("without giaddr it goes to %v, notes %v", r.Meta.Dst, r.Notes)
		}
		m = binl().Add(82, 19, 0)
		m.GIAddr = R
		if r := s.ask4011(m).answered(); r.Notes != 0 {
			t.Errorf("on 4011: notes %v", r.Notes)
		}
	}},
	{"D8", func(t *testing.T, s *server) {
		s.link.Prefixes = append(s.link.Prefixes, netip.MustParsePrefix("192.0.2.201/32"), netip.MustParsePrefix("10.1.2.4/31"))
		for _, giaddr := range []string{"255.255.255.255", "224.0.0.1", "239.255.255.255", "127.0.0.1", "0.0.0.1",
			"192.0.2.10", "192.0.2.201", "192.0.2.255"} {
			m := relayed()
			m.GIAddr = netip.MustParseAddr(giaddr)
			s.send(m).none(packet.BadRelay)
		}
		plain := newServer(t)
		plain.link.Prefixes = nil
		m := relayed()
		m.GIAddr = S
		plain.send(m).none(packet.BadRelay)
		for _, giaddr := range []string{"192.0.2.1", "198.51.100.255", "10.1.2.4", "10.1.2.5", "240.0.0.1"} {
			m := relayed()
			m.GIAddr = netip.MustParseAddr(giaddr)
			s.send(m).answered()
		}
	}},
	{"D9", func(t *testing.T, s *server) {
		s.rack.allowed = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		s.send(relayed()).none(packet.ClientNotAllowed)
		s.rack.allowed = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
		s.send(relayed()).answered()
	}},
	{"D10", func(t *testing.T, s *server) {
		for _, bad := range [][]byte{{5, 4, 203, 0, 113, 0, 1, 9, 'x'}, {19, 0, 1}, {11, 4, 10, 0, 0, 1, 2, 1}, {1}} {
			r := s.send(relayed().Add(82, bad...)).answered()
			if !bytes.Equal(r.option(82), bad) || s.rack.asked.Subnet != R || s.rack.asked.CircuitID != nil {
				t.Errorf("82 %x echoed as %x, policy saw %+v", bad, r.option(82), s.rack.asked)
			}
			if r.Notes != dhcp.NoteBadRelayInfo || r.Meta.Dst != netip.AddrPortFrom(R, 67) {
				t.Errorf("82 %x: notes %v, to %v", bad, r.Notes, r.Meta.Dst)
			}
		}
	}},
	{"D11", func(t *testing.T, s *server) {
		s.send(relayed().Set(53, 3).Add(54, other.AsSlice()...).Add(50, C.AsSlice()...)).none(packet.OtherServer)
		s.send(relayed().Set(53, 3)).none(packet.LeaseRequest)
	}},
}
