package dhcp_test

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

var disc = dhcptest.Discover

// uuid97 is option 97 of every DISC.
var uuid97 = append([]byte{0}, dhcptest.GUID[:]...)

func edk2Of(m *dhcptest.Message) *dhcptest.EDK2 { return &dhcptest.EDK2{XID: m.XID, CHAddr: m.CHAddr} }

// discoverStatements: DISCOVER => OFFER on UDP 67.
var discoverStatements = []statement{
	{"A1", func(t *testing.T, s *server) {
		r := s.send(disc(x64)).answered()
		if string(r.option(60)) != "PXEClient" || !bytes.Equal(r.option(54), S.AsSlice()) || !r.ServerIPAddr.Equal(S.AsSlice()) {
			t.Errorf("60 %q, 54 %v, siaddr %v", r.option(60), r.option(54), r.ServerIPAddr)
		}
		if r.Payload[0] != 2 || !bytes.Equal(r.option(53), []byte{2}) || !r.YourIPAddr.Equal(zero.AsSlice()) || !r.ClientIPAddr.Equal(zero.AsSlice()) {
			t.Errorf("not an OFFER without lease: %v", r.Summary())
		}
		if r.Stage != dhcp.StageDiscover {
			t.Errorf("stage %v", r.Stage)
		}
	}},
	{"A2", func(t *testing.T, s *server) {
		for _, flags := range []uint16{0, 0x8000} {
			m := disc(x64)
			m.Flags, m.Hops, m.Secs, m.HType, m.CHAddr[15] = flags, 3, 12, 6, 0xee
			r := s.send(m).answered()
			want := bytes.Clone(m.Bytes()[:44])
			want[0], want[3], want[8], want[9] = 2, 0, 0, 0
			copy(want[20:], S.AsSlice())
			if !bytes.Equal(r.Payload[:44], want) {
				t.Errorf("header %x, want %x", r.Payload[:44], want)
			}
		}
	}},
	{"A3", func(t *testing.T, s *server) {
		for _, arch := range []uint16{ia32, x64, arm64} {
			if r := s.send(disc(arch)).answered(); r.option(43) != nil {
				t.Errorf("arch %d: option 43 %x", arch, r.option(43))
			}
		}
	}},
	{"A4", func(t *testing.T, s *server) {
		if r := s.send(disc(x64)).answered(); !bytes.Equal(r.option(97), uuid97) {
			t.Errorf("option 97 %x", r.option(97))
		}
	}},
	{"A5", func(t *testing.T, s *server) {
		if r := s.send(disc(x64).Drop(97)).answered(); r.option(97) != nil || r.HasUUID {
			t.Errorf("option 97 %x", r.option(97))
		}
	}},
	{"A6", func(t *testing.T, s *server) {
		for _, id := range [][]byte{{}, {0}, {0, 1}, uuid97[1:], append([]byte{1}, dhcptest.GUID[:]...), append(uuid97, 0), make([]byte, 255)} {
			r := s.send(disc(x64).Set(97, id...)).answered()
			if got := r.option(97); got != nil && !bytes.Equal(got, id) {
				t.Errorf("option 97 %x echoed as %x", id, got)
			}
			if r.HasUUID || s.rack.asked.UUID != nil {
				t.Errorf("%x was taken for a UUID", id)
			}
		}
	}},
	{"A7", func(t *testing.T, s *server) {
		for _, id := range [][]byte{{1, 0x52, 0x54, 0, 0x12, 0x34, 0x56}, {0, 'x'}, bytes.Repeat([]byte{7}, 255)} {
			if r := s.send(disc(x64).Add(61, id...)).answered(); !bytes.Equal(r.option(61), id) {
				t.Errorf("option 61 %x, want %x", r.option(61), id)
			}
		}
		if r := s.send(disc(x64)).answered(); r.option(61) != nil {
			t.Errorf("option 61 %x out of nothing", r.option(61))
		}
		// Less than two bytes is no client identifier, and edk2 would drop the reply (A9).
		if r := s.send(disc(x64).Add(61, 7)).answered(); r.option(61) != nil {
			t.Errorf("option 61 %x", r.option(61))
		}
	}},
	{"A8", func(t *testing.T, s *server) {
		r := s.send(disc(x64)).answered()
		if end := bytes.IndexByte(r.Payload[240:], 255); len(r.Payload) != 300 || end < 0 {
			t.Errorf("%d bytes, END at %d", len(r.Payload), end)
		}
	}},
	{"A9", func(t *testing.T, s *server) {
		for _, arch := range []uint16{bios, ia32, x64, arm64} {
			m := disc(arch)
			if _, err := edk2Of(m).AcceptOffer(s.send(m).answered().Payload); err != nil {
				t.Errorf("arch %d: %v", arch, err)
			}
		}
	}},
	{"A10", func(t *testing.T, s *server) {
		// A reply as long as can be: the 82 of 255 bytes just fits or just does not.
		for _, c := range []struct {
			size []byte
			want int
		}{
			{nil, 548}, {[]byte{2, 64}, 548}, {[]byte{1, 44}, 548}, {[]byte{5, 192}, 1444},
			{[]byte{0xff, 0xff}, 1472}, {[]byte{5}, 548}, {[]byte{0, 5, 192}, 548},
		} {
			m := disc(x64).Set(57, c.size...).Add(61, make([]byte, 100)...)
			if c.size == nil {
				m.Drop(57)
			}
			m.GIAddr = R
			// What stands in front of 82: header, 53, 54, 61, 60, 97; 82's own header; END.
			rest := 240 + 3 + 6 + 102 + 11 + 19 + 2 + 1
			room := min(c.want-rest, 255)
			if r := s.send(m.Add(82, make([]byte, room)...)).answered(); r.option(82) == nil || len(r.Payload) > c.want {
				t.Errorf("57=%x: %d bytes, 82 %d bytes", c.size, len(r.Payload), len(r.option(82)))
			}
			if room == 255 {
				continue
			}
			if r := s.send(m.Drop(82).Add(82, make([]byte, room+1)...)).answered(); r.option(82) != nil || r.Notes&dhcp.NoteRelayInfoDropped == 0 {
				t.Errorf("57=%x: %d bytes with an 82 too many", c.size, len(r.Payload))
			}
		}
	}},
	{"A11", func(t *testing.T, s *server) {
		// The request overloads both fields: read them, do not answer in kind.
		m := disc(x64).Drop(93).Drop(97).Add(52, 3)
		m.File = "\x5d\x02\x00\x0b\xff"
		m.SName = "\x61\x11" + string(uuid97) + "\xff"
		r := s.send(m).answered()
		if r.file() != "snponly-arm64.efi" || !bytes.Equal(r.option(97), uuid97) {
			t.Errorf("file %q, 97 %x: overloaded fields were not read", r.file(), r.option(97))
		}
	}},
	{"A12", func(t *testing.T, s *server) {
		// judgeOptions looks for them in every reply; here the client asks for all of them.
		s.send(disc(x64).Set(55, 1, 3, 6, 13, 50, 51, 58, 59)).answered()
	}},
	{"A13", func(t *testing.T, s *server) {
		r := s.send(disc(bios)).answered()
		if !bytes.Equal(r.option(43), []byte("\x06\x01\x08\x0a\x04\x00PXE\xff")) || r.file() != "undionly.kpxe" {
			t.Errorf("43 %x, file %q", r.option(43), r.file())
		}
		if at, name, err := dhcptest.AcceptBIOS(r.Payload); err != nil || at != S || name != "undionly.kpxe" {
			t.Errorf("a ROM boots %q from %v: %v", name, at, err)
		}
	}},
	{"A14", func(t *testing.T, s *server) { acceptIPXE(t, s, disc(x64).Add(77, []byte("iPXE")...)) }},
	{"A15", func(t *testing.T, s *server) {
		acceptIPXE(t, s, disc(x64).Add(77, []byte("\x04iPXE")...))
		acceptIPXE(t, s, disc(x64).Add(77, []byte("\x03lab\x04iPXE")...))
		for _, class := range []string{"iPXEx", "ipxe", "\x05iPXE", "\x04iPX", "\x00iPXE", "\x00\x04iPXE"} {
			if s.send(disc(x64).Add(77, []byte(class)...)).answered(); s.rack.asked.IPXE {
				t.Errorf("user class %q was taken for iPXE", class)
			}
		}
	}},
	{"A16", func(t *testing.T, s *server) {
		acceptIPXE(t, s, disc(x64).Add(175, 0xb1, 5, 1, 0x80, 0x86, 0x10, 0x0e))
		acceptIPXE(t, s, disc(x64).Add(175))
	}},
	{"A17", func(t *testing.T, s *server) {
		if r := s.send(disc(9)).answered(); r.file() != "snponly.efi" {
			t.Errorf("file %q", r.file())
		}
	}},
	{"A18", func(t *testing.T, s *server) {
		delete(s.rack.files, arm64)
		for list, want := range map[string]string{
			"\x00\x0b\x00\x07":                         "snponly.efi", // the first is not configured
			"\x00\x10\x00\x06\x00\x07":                 "ipxe32.efi",  // the first is HTTP, the class PXEClient
			"\x00\x07\x00\x06":                         "snponly.efi",
			"\x00\x07\x00\x06\x00\x00\x00\x0b\x00\x10": "snponly.efi",
		} {
			if r := s.send(disc(x64).Set(93, []byte(list)...)).answered(); r.file() != want {
				t.Errorf("93=%x: file %q, want %q", list, r.file(), want)
			}
		}
	}},
	{"A19", func(t *testing.T, s *server) {
		m := disc(x64).Drop(93).Set(60, []byte("PXEClient:Arch:00011:UNDI:003016")...)
		if r := s.send(m).answered(); r.file() != "snponly-arm64.efi" {
			t.Errorf("file %q", r.file())
		}
	}},
	{"A20", func(t *testing.T, s *server) {
		for _, list := range [][]byte{{}, {7}, {0, 0, 0}, {0, 7, 0}} {
			m := disc(arm64).Set(93, list...)
			if r := s.send(m).answered(); r.file() != "snponly-arm64.efi" {
				t.Errorf("93=%x: file %q", list, r.file())
			}
			for _, class := range []string{"PXEClient", "PXEClient:Arch:", "PXEClient:Arch:0001", "PXEClient:Arch:0000x:UNDI",
				"PXEClient:Arch:000007", "PXEClient:Arch:99999:UNDI:003016", "PXEClient:Arch:65535:UNDI:003016"} {
				s.send(m.Set(60, []byte(class)...)).none(packet.UnknownArch)
			}
		}
	}},
	{"A21", func(t *testing.T, s *server) {
		if r := s.send(disc(x64).Set(60, []byte("PXEClient:Arch:00000:UNDI:002001")...)).answered(); r.file() != "snponly.efi" {
			t.Errorf("file %q", r.file())
		}
	}},
	{"A22", func(t *testing.T, s *server) {
		s.send(disc(27)).none(packet.NoFileForArch)
		s.send(disc(0xffff)).none(packet.UnknownArch)
	}},
	{"A23", func(t *testing.T, s *server) {
		s.send(disc(x64).Drop(60)).none(packet.NotPXE)
		for _, class := range []string{"", "MSFT 5.0", "AAPLBSDPC", "PXEClien", "pxeclient", " PXEClient"} {
			s.send(disc(x64).Set(60, []byte(class)...)).none(packet.NotPXE)
		}
	}},
	{"A24", func(t *testing.T, s *server) {
		m := dhcptest.DiscoverHTTP(x64HTTP)
		r := s.send(m).answered()
		if string(r.option(60)) != "HTTPClient" || r.option(43) != nil {
			t.Errorf("60 %q, 43 %x", r.option(60), r.option(43))
		}
		if uri, err := edk2Of(m).AcceptHTTP(r.Payload); err != nil || uri != s.rack.files[x64HTTP] {
			t.Errorf("edk2 boots %q: %v", uri, err)
		}
	}},
	{"A25", func(t *testing.T, s *server) {
		url := "http://192.0.2.10/" + strings.Repeat("d/", 60) + "boot.efi"
		s.rack.files[x64HTTP] = url
		m := dhcptest.DiscoverHTTP(x64HTTP)
		m.GIAddr = R
		r := s.send(m.Add(82, 1, 1, 'x')).answered()
		if r.file() != "" || string(r.option(67)) != url+"\x00" {
			t.Errorf("file %q, 67 %q", r.file(), r.option(67))
		}
		if uri, err := edk2Of(m).AcceptHTTP(r.Payload); err != nil || uri != url {
			t.Errorf("edk2 boots %q: %v", uri, err)
		}
	}},
	{"A26", func(t *testing.T, s *server) {
		s.send(dhcptest.DiscoverHTTP(arm64HTTP)).none(packet.NoFileForArch)
		s.send(dhcptest.DiscoverHTTP(x64)).none(packet.NoFileForArch)
		// Nor if the policy should mix them up.
		s.rack.ipxe = "boot.ipxe"
		s.send(dhcptest.DiscoverHTTP(x64HTTP).Add(77, []byte("iPXE")...)).none(packet.NoFileForArch)
	}},
	{"A27", func(t *testing.T, s *server) {
		for n, option := range map[int]bool{1: false, 126: false, 127: false, 128: true, 254: true} {
			name := strings.Repeat("n", n)
			s.rack.files[x64] = name
			m := disc(x64)
			r := s.send(m).answered()
			if got := r.option(67) != nil; got != option || !option && r.file() != name {
				t.Errorf("%d bytes: file %q, 67 %q", n, r.file(), r.option(67))
			}
			// What shim and GRUB find later is whole (PROTOCOL 2.4).
			o, err := edk2Of(m).AcceptOffer(r.Payload)
			if err != nil || o.File != name || !bytes.Equal(o.Mode, o.Packet) {
				t.Errorf("%d bytes: edk2 boots %v: %v", n, o, err)
			}
		}
		s.rack.files[x64] = strings.Repeat("n", 255)
		s.send(disc(x64)).none(packet.ReplyTooLong)
		// What does not fit the client's size is no answer, not half of one.
		s.rack.files[x64] = strings.Repeat("n", 254)
		s.send(disc(x64).Drop(57).Add(61, make([]byte, 255)...)).none(packet.ReplyTooLong)
		s.send(disc(x64).Add(61, make([]byte, 255)...)).answered()
	}},
	{"A28", func(t *testing.T, s *server) {
		first := s.send(disc(x64)).answered()
		again := disc(x64)
		again.Secs = 4
		if r := s.send(again).answered(); !bytes.Equal(r.Payload, first.Payload) {
			t.Errorf("%x, then %x", first.Payload, r.Payload)
		}
	}},
	{"A29", func(t *testing.T, s *server) {
		m := disc(x64)
		m.HLen, m.CHAddr = 16, dhcptest.GUID
		r := s.send(m).answered()
		if r.Payload[2] != 16 || !bytes.Equal(r.Payload[28:44], dhcptest.GUID[:]) || !bytes.Equal(s.rack.asked.MAC, dhcptest.GUID[:]) {
			t.Errorf("hlen %d, chaddr %x, policy saw %x", r.Payload[2], r.Payload[28:44], s.rack.asked.MAC)
		}
	}},
	{"A30", func(t *testing.T, s *server) {
		for _, hw := range [][2]byte{{1, 17}, {1, 255}, {0, 6}, {0, 16}} {
			m := disc(x64)
			m.HType, m.HLen = hw[0], hw[1]
			s.send(m).none(packet.BadHardware)
		}
	}},
	{"A31", func(t *testing.T, s *server) {
		m := disc(x64)
		m.Op = 2
		s.send(m).none(packet.NotRequest)
		whole := disc(x64).Bytes()
		meta := s.incoming(disc(x64))
		for n := range whole {
			if r := s.deliver(meta, whole[:n]); n < 240 && r.Reason != packet.Truncated || n == 240 && r.Reason != packet.BOOTP {
				t.Errorf("%d bytes: %v", n, r.Reason)
			}
		}
		bad := bytes.Clone(whole)
		bad[239]++
		s.deliver(meta, bad).none(packet.BadMagic)
		for _, tail := range []string{"\x0c", "\x0c\x01", "\x0c\xffname", "\x34\x01\x01\x0c\x02x"} {
			m := disc(x64)
			m.NoEnd = true
			s.deliver(meta, append(m.Bytes(), tail...)).none(packet.Truncated)
		}
		// In an overloaded field no option may run over its end either.
		m = disc(x64).Add(52, 1)
		m.File = "\x0c\x80"
		s.send(m).none(packet.Truncated)
	}},
	{"A32", func(t *testing.T, s *server) {
		m := disc(x64)
		want := s.send(m).answered()
		m.NoEnd = true
		r := s.send(m).answered()
		if r.Notes&dhcp.NoteNoEnd == 0 || want.Notes&dhcp.NoteNoEnd != 0 || !bytes.Equal(r.Payload, want.Payload) {
			t.Errorf("without END: notes %v, %x", r.Notes, r.Payload)
		}
		// The same with nothing but pads behind the options.
		if p := s.deliver(s.incoming(m), append(m.Bytes(), 0, 0, 0)).answered(); p.Notes&dhcp.NoteNoEnd == 0 {
			t.Errorf("pads were taken for END")
		}
	}},
	{"A33", func(t *testing.T, s *server) {
		// No answer depends on the clock or on an earlier packet.
		want := s.send(disc(x64)).answered()
		s2 := newServer(t)
		s2.now = start.Add(-1e9)
		if r := s2.send(disc(x64)).answered(); !bytes.Equal(r.Payload, want.Payload) {
			t.Errorf("%x, want %x", r.Payload, want.Payload)
		}
	}},
	{"A34", func(t *testing.T, s *server) {
		for _, why := range []packet.Reason{packet.RuleIgnore, packet.DefaultIgnore} {
			s.rack.silence = why
			s.send(disc(x64)).none(why)
		}
	}},
	{"A35", func(t *testing.T, s *server) { s.send(disc(x64).Drop(53)).none(packet.BOOTP) }},
	{"A36", func(t *testing.T, s *server) {
		// A repeated option of the request is one option (RFC 3396), and one in the reply.
		m := disc(x64).Drop(97).Add(61, 1, 2).Add(97, uuid97[:5]...).Add(61, 3).Add(97, uuid97[5:]...)
		r := s.send(m).answered()
		if !bytes.Equal(r.option(61), []byte{1, 2, 3}) || !bytes.Equal(r.option(97), uuid97) {
			t.Errorf("61 %x, 97 %x", r.option(61), r.option(97))
		}
		s.send(disc(x64).Add(53, 1)).none(packet.WrongType)
		s.send(disc(x64).Add(54, S.AsSlice()...).Add(54, S.AsSlice()...)).none(packet.OtherServer)
	}},
	{"A37", twoResponders},
}

// acceptIPXE checks that a DISCOVER of iPXE is answered with the script.
func acceptIPXE(t *testing.T, s *server, m *dhcptest.Message) {
	t.Helper()
	r := s.send(m).answered()
	judge := dhcptest.IPXE{XID: m.XID, MAC: dhcptest.MAC}
	o, err := judge.AcceptOffer(r.Payload, r.Meta.Src)
	if err != nil || o.AskBootServer || o.File != "boot.ipxe" || o.Next != S {
		t.Errorf("iPXE understands %+v: %v", o, err)
	}
	if !s.rack.asked.IPXE || r.option(43) != nil {
		t.Errorf("asked %+v, 43 %x", s.rack.asked, r.option(43))
	}
}

// What the policy is asked about a client is what its DISCOVER says.
func TestMachine(t *testing.T) {
	s := newServer(t)
	m := disc(x64).Set(93, 0, 11, 0, 7).Add(77, []byte("\x03lab\x05rack7")...).Add(82, 1, 2, 'e', '1', 2, 1, 'r')
	m.GIAddr = R
	s.send(m).answered()
	got := s.rack.asked
	if !bytes.Equal(got.MAC, dhcptest.MAC[:]) || !bytes.Equal(got.UUID, dhcptest.GUID[:]) ||
		!slices.Equal(got.Arches[:got.NumArches], []policy.Arch{arm64, x64}) ||
		got.HTTP || got.IPXE || string(got.VendorClass) != "PXEClient:Arch:00007:UNDI:003016" ||
		string(got.UserClass) != "lab" || got.Subnet != R || got.Relay != R ||
		string(got.CircuitID) != "e1" || string(got.RemoteID) != "r" {
		t.Errorf("%+v", got)
	}
	s.send(disc(x64).Add(77, []byte("plain")...)).answered()
	if got := s.rack.asked; string(got.UserClass) != "plain" || got.Subnet != S || got.Relay != (netip.Addr{}) || got.CircuitID != nil {
		t.Errorf("%+v", got)
	}
}
