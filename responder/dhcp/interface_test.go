package dhcp_test

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// interfaceStatements: destination and interface.
var interfaceStatements = []statement{
	{"E1", func(t *testing.T, s *server) {
		m := disc(x64)
		m.Flags = 0
		r := s.send(m).answered()
		if r.Meta.Dst != netip.AddrPortFrom(bcast, 68) || r.Meta.DstMAC != allMACs || r.Meta.IfIndex != 3 {
			t.Errorf("goes to %v (%x) on %d", r.Meta.Dst, r.Meta.DstMAC, r.Meta.IfIndex)
		}
		// Even a client that has an address already listens for the broadcast only.
		m.CIAddr = C
		if r := s.send(m).answered(); r.Meta.Dst != netip.AddrPortFrom(bcast, 68) {
			t.Errorf("with ciaddr it goes to %v", r.Meta.Dst)
		}
	}},
	{"E2", func(t *testing.T, s *server) {
		second := lan()
		second.IfIndex, second.MAC[5] = 9, 0x99
		second.Addr = netip.MustParseAddr("203.0.113.10")
		second.Prefixes = []netip.Prefix{netip.MustParsePrefix("203.0.113.10/24")}
		meta := s.incoming(disc(x64))
		meta.IfIndex = 9
		s.link = second
		r := s.deliver(meta, disc(x64).Bytes()).answered()
		if !bytes.Equal(r.option(54), second.Addr.AsSlice()) || r.Meta.IfIndex != 9 || r.Meta.SrcMAC != second.MAC {
			t.Errorf("54 %x, leaves by %d as %x", r.option(54), r.Meta.IfIndex, r.Meta.SrcMAC)
		}
	}},
	{"E3", func(t *testing.T, s *server) {
		for _, r := range []*reply{s.send(disc(x64)), s.send(relayed()), s.ask4011(binl())} {
			if r.answered(); !bytes.Equal(r.option(54), r.Meta.Src.Addr().AsSlice()) || r.Meta.Src.Addr() != S {
				t.Errorf("source %v, 54 %x", r.Meta.Src, r.option(54))
			}
		}
	}},
	{"E4", func(t *testing.T, s *server) {
		if r := s.send(disc(x64)).answered(); r.Meta.Src.Port() != 67 {
			t.Errorf("67 is answered from %v", r.Meta.Src)
		}
		if r := s.ask4011(binl()).answered(); r.Meta.Src.Port() != 4011 {
			t.Errorf("4011 is answered from %v", r.Meta.Src)
		}
	}},
	{"E5", func(t *testing.T, s *server) {
		s.link = nil
		s.send(disc(x64)).none(packet.NoAddress)
		s.send(relayed()).none(packet.NoAddress)
		s.ask4011(binl()).none(packet.NoAddress)
		s.ask4011(binl().Add(54, other.AsSlice()...)).none(packet.NoAddress)
		s.send(leaseRequest().Add(54, S.AsSlice()...)).none(packet.OtherServer)
		s.link = lan()
		for _, a := range []netip.Addr{{}, zero, netip.MustParseAddr("2001:db8::1")} {
			s.link.Addr = a
			s.send(disc(x64)).none(packet.NoAddress)
		}
	}},
	{"E6", func(t *testing.T, s *server) {
		// The reply keeps the tags, priority included.
		for _, tags := range [][]packet.VLAN{{{TPID: 0x8100, TCI: 0xa064}}, {{TPID: 0x88a8, TCI: 7}, {TPID: 0x8100, TCI: 100}}} {
			s.vlans = tags
			for _, r := range []*reply{s.send(disc(x64)), s.send(relayed()), s.ask4011(binl())} {
				if r.answered(); int(r.Meta.NumVLANs) != len(tags) || r.Meta.VLANs[0] != tags[0] {
					t.Errorf("tags %v, want %v", r.Meta.VLANs[:r.Meta.NumVLANs], tags)
				}
			}
		}
	}},
}

// A group address is nobody's source: answering it would reach all of them.
func TestGroupSource(t *testing.T) {
	s := newServer(t)
	meta := s.incoming(relayed())
	meta.SrcMAC = [6]byte{0x01, 0, 0x5e, 0, 0, 1}
	s.deliver(meta, relayed().Bytes()).none(packet.BadFrame)
}

// Only 67 and 4011 are answered.
func TestOtherPort(t *testing.T) {
	s := newServer(t)
	meta := s.incoming(disc(x64))
	meta.Dst = netip.AddrPortFrom(S, 68)
	s.deliver(meta, disc(x64).Bytes()).none(packet.WrongType)
}

// A reply buffer that is too small is no reason to write beyond it.
func TestSmallBuffer(t *testing.T) {
	s := newServer(t)
	in := packet.Packet{Meta: s.incoming(disc(x64)), Payload: disc(x64).Bytes()}
	for _, size := range []int{0, 1, 240, 299} {
		out := packet.Packet{Payload: make([]byte, 0, size)}
		if res := s.w.Handle(start, s.link, &in, &out); res.Reason != packet.ReplyTooLong || len(out.Payload) != 0 {
			t.Errorf("%d bytes of room: %v", size, res.Reason)
		}
	}
}

// With a boot server address on another network, the client is still where
// the interface is: for `clients:` and for the rules.
func TestAddressOfAnotherNetwork(t *testing.T) {
	s := newServer(t)
	s.link.Addr = netip.MustParseAddr("203.0.113.2")
	s.rack.allowed = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	r := s.send(disc(x64)).answered()
	if !bytes.Equal(r.option(54), s.link.Addr.AsSlice()) {
		t.Errorf("54 is %x, want %v", r.option(54), s.link.Addr)
	}
	if s.rack.asked.Subnet != S {
		t.Errorf("the policy was asked about %v, want an address of the interface, %v", s.rack.asked.Subnet, S)
	}
	s.rack.allowed = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
	s.send(disc(x64)).none(packet.ClientNotAllowed)
}
