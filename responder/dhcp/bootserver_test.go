package dhcp_test

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// binl is edk2's request on 4011, which C sends from port 4011.
func binl() *dhcptest.Message { return dhcptest.BootServerRequest(x64, C) }

// bootServerStatements: UDP 4011.
var bootServerStatements = []statement{
	{"C1", func(t *testing.T, s *server) {
		m := binl()
		m.XID = 0xfeedf00d
		r := s.ask4011(m).answered()
		o, err := edk2Of(m).AcceptBootServer(r.Payload)
		if err != nil || o.Kind != dhcptest.ProxyBINL || o.File != "snponly.efi" || o.Server() != S || o.ServerID != S {
			t.Errorf("edk2 understands %+v: %v", o, err)
		}
		if !bytes.Equal(r.option(53), []byte{5}) || string(r.option(60)) != "PXEClient" || !bytes.Equal(r.option(97), uuid97) {
			t.Errorf("53 %x, 60 %q, 97 %x", r.option(53), r.option(60), r.option(97))
		}
		if r.Meta.Dst != netip.AddrPortFrom(C, 4011) || r.Meta.Src != netip.AddrPortFrom(S, 4011) || r.Meta.DstMAC != routerMAC {
			t.Errorf("goes from %v to %v (%x)", r.Meta.Src, r.Meta.Dst, r.Meta.DstMAC)
		}
		if r.Stage != dhcp.StageBootServer {
			t.Errorf("stage %v", r.Stage)
		}
	}},
	{"C2", func(t *testing.T, s *server) {
		// iPXE goes to 4011 if the offer has no boot information; whatever the offer, the answer must suit.
		d := disc(x64).Add(77, []byte("iPXE")...)
		judge := dhcptest.IPXE{XID: d.XID, MAC: dhcptest.MAC}
		r := s.send(d).answered()
		offer, err := judge.AcceptOffer(r.Payload, r.Meta.Src)
		if err != nil {
			t.Fatal(err)
		}
		m := binl().Add(77, []byte("iPXE")...).Add(54, S.AsSlice()...)
		ack := s.ask(m, netip.AddrPortFrom(C, 68)).answered()
		if ack.Meta.Dst != netip.AddrPortFrom(C, 68) {
			t.Errorf("goes to %v", ack.Meta.Dst)
		}
		if o, err := judge.AcceptBootServer(offer, ack.Payload, ack.Meta.Src); err != nil || o.File != "boot.ipxe" {
			t.Errorf("iPXE understands %+v: %v", o, err)
		}
	}},
	{"C3", func(t *testing.T, s *server) {
		r := s.ask4011(binl()).answered()
		if !r.YourIPAddr.Equal(zero.AsSlice()) || !r.ClientIPAddr.Equal(C.AsSlice()) {
			t.Errorf("yiaddr %v, ciaddr %v", r.YourIPAddr, r.ClientIPAddr)
		}
	}},
	{"C4", func(t *testing.T, s *server) {
		for _, arch := range []uint16{bios, x64} {
			if r := s.ask4011(dhcptest.BootServerRequest(arch, C)).answered(); r.option(43) != nil {
				t.Errorf("arch %d: option 43 %x", arch, r.option(43))
			}
		}
	}},
	{"C5", func(t *testing.T, s *server) {
		r := s.ask4011(binl().Add(54, other.AsSlice()...))
		r.none(packet.OtherServer)
		if r.Notes&dhcp.NoteOtherServer4011 == 0 || r.Other != other {
			t.Errorf("notes %v, other %v", r.Notes, r.Other)
		}
		if r := s.ask4011(binl().Add(54, 0, 0, 0, 0)).answered(); r.Notes&dhcp.NoteOtherServer4011 != 0 {
			t.Errorf("0.0.0.0 is another server: %v", r.Notes)
		}
	}},
	{"C6", func(t *testing.T, s *server) {
		s.ask4011(dhcptest.BootServerRequest(27, C)).none(packet.NoFileForArch)
		s.rack.files[x64] = ""
		s.ask4011(binl()).none(packet.NoFileForArch)
	}},
	{"C7", func(t *testing.T, s *server) {
		s.ask4011(disc(x64)).none(packet.WrongType)
		for _, kind := range []byte{2, 4, 5, 7, 8} {
			s.ask4011(binl().Set(53, kind)).none(packet.WrongType)
		}
	}},
	{"C9", func(t *testing.T, s *server) {
		want := s.ask4011(binl()).answered()
		for secs := range uint16(4) {
			m := binl()
			m.Secs = secs
			if r := newServer(t).ask4011(m).answered(); !bytes.Equal(r.Payload, want.Payload) {
				t.Errorf("secs %d: %x, want %x", secs, r.Payload, want.Payload)
			}
		}
	}},
	{"C10", func(t *testing.T, s *server) {
		m := binl()
		m.GIAddr = R
		if r := s.ask4011(m).answered(); r.Meta.Dst != netip.AddrPortFrom(C, 4011) || r.Flags != 0 {
			t.Errorf("goes to %v, flags %x", r.Meta.Dst, r.Flags)
		}
	}},
	{"C12", func(t *testing.T, s *server) {
		m := dhcptest.BootServerRequest(x64, zero)
		if r := s.ask(m, netip.AddrPortFrom(C, 1025)).answered(); r.Meta.Dst != netip.AddrPortFrom(C, 1025) || s.rack.asked.Subnet != C {
			t.Errorf("goes to %v, subnet %v", r.Meta.Dst, s.rack.asked.Subnet)
		}
		for _, src := range []string{"0.0.0.0:68", "0.0.0.7:68", "192.0.2.100:0", "255.255.255.255:68", "224.0.1.2:4011", "192.0.2.255:4011", "127.0.0.1:4011"} {
			s.ask(m, netip.MustParseAddrPort(src)).none(packet.NoSource)
		}
	}},
	{"C13", func(t *testing.T, s *server) {
		// Every client is answered, whatever its address hashes to.
		for i := range 256 {
			m := binl()
			m.CHAddr[5] = byte(i)
			s.ask4011(m).answered()
		}
	}},
	{"C14", func(t *testing.T, s *server) {
		name := strings.Repeat("n", 128)
		s.rack.files[x64] = name
		m := binl()
		r := s.ask4011(m).answered()
		if r.file() != "" || string(r.option(67)) != name+"\x00" || !r.ServerIPAddr.Equal(S.AsSlice()) {
			t.Errorf("file %q, 67 %q, siaddr %v", r.file(), r.option(67), r.ServerIPAddr)
		}
		if o, err := edk2Of(m).AcceptBootServer(r.Payload); err != nil || o.File != name || !bytes.Equal(o.Mode, o.Packet) {
			t.Errorf("edk2 understands %+v: %v", o, err)
		}
	}},
	{"C15", func(t *testing.T, s *server) {
		s.ask4011(dhcptest.DiscoverHTTP(x64HTTP).Set(53, 3)).none(packet.HTTPOn4011)
	}},
}

// `clients:` is asked for the source on 4011, the relay or our own network on 67.
func TestAllowed(t *testing.T) {
	s := newServer(t)
	s.rack.allowed = []netip.Prefix{netip.MustParsePrefix("192.0.2.100/32")}
	s.ask4011(binl()).answered()
	s.ask(binl(), netip.MustParseAddrPort("192.0.2.101:4011")).none(packet.ClientNotAllowed)
	s.send(disc(x64)).none(packet.ClientNotAllowed)
	s.rack.allowed = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	s.send(disc(x64)).answered()
	m := disc(x64)
	m.GIAddr = R
	s.send(m).none(packet.ClientNotAllowed)
}
