package dhcpc

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/xdpxe/xdpxe/responder/packet"
)

func mustTemplate(t testing.TB, s Spec) *Template {
	t.Helper()
	tm, err := NewTemplate(s)
	if err != nil {
		t.Fatal(err)
	}
	return tm
}

func mustRelayInfo(t testing.TB) []byte {
	t.Helper()
	info, err := RelayInfo("eth0/7", "rack 3")
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// Another implementation reads in a message what was put in.
func TestAppend(t *testing.T) {
	s := FirmwareDiscover(11)
	s.ClientID, s.UserClass = true, "iPXE"
	s.Extra = []Option{{175, Bytes{0xb1, 1, 5}}}
	v := &Vars{ID: 0x0102030405, XID: 0xdeadbeef, Secs: 12,
		CIAddr: netip.MustParseAddr("198.51.100.9"), GIAddr: netip.MustParseAddr("198.51.100.1"), ServerID: netip.MustParseAddr("192.0.2.10"),
		RequestedIP: netip.MustParseAddr("198.51.100.10"), RelayInfo: mustRelayInfo(t)}
	raw := mustTemplate(t, s).Append([]byte("before"), v)
	raw, ok := bytes.CutPrefix(raw, []byte("before"))
	if !ok {
		t.Fatal("what stood in front is gone")
	}
	m, err := dhcpv4.FromBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	uuid := v.ID.UUID()
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"op", m.OpCode, dhcpv4.OpcodeBootRequest}, {"hops", m.HopCount, uint8(1)}, {"xid", m.TransactionID, dhcpv4.TransactionID{0xde, 0xad, 0xbe, 0xef}},
		{"secs", m.NumSeconds, uint16(12)}, {"broadcast", m.IsBroadcast(), true},
		{"ciaddr", m.ClientIPAddr.String(), "198.51.100.9"}, {"giaddr", m.GatewayIPAddr.String(), "198.51.100.1"},
		{"chaddr", m.ClientHWAddr.String(), "02:01:02:03:04:05"}, {"type", m.MessageType(), dhcpv4.MessageTypeDiscover},
		{"server", m.ServerIdentifier().String(), "192.0.2.10"}, {"requested", m.RequestedIPAddress().String(), "198.51.100.10"},
		{"class", m.ClassIdentifier(), "PXEClient:Arch:00011:UNDI:003016"}, {"arch", m.ClientArch()[0], iana.EFI_ARM64},
		{"uuid", string(m.GetOneOption(dhcpv4.OptionClientMachineIdentifier)), "\x00" + string(uuid[:])},
		{"client id", string(m.GetOneOption(dhcpv4.OptionClientIdentifier)), "\x01\x02\x01\x02\x03\x04\x05"},
		{"user class", string(m.GetOneOption(dhcpv4.OptionUserClassInformation)), "iPXE"},
		{"ipxe", string(m.GetOneOption(dhcpv4.GenericOptionCode(175))), "\xb1\x01\x05"},
		{"circuit", string(m.RelayAgentInfo().Get(dhcpv4.AgentCircuitIDSubOption)), "eth0/7"},
		{"remote", string(m.RelayAgentInfo().Get(dhcpv4.AgentRemoteIDSubOption)), "rack 3"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
	if size, err := m.MaxMessageSize(); err != nil || size != 1472 {
		t.Errorf("size %d, %v", size, err)
	}
	// RFC 3046 §2.1: option 82 stands last.
	info := append([]byte{82, byte(len(v.RelayInfo))}, v.RelayInfo...)
	if trimmed := bytes.TrimRight(raw, "\x00"); !bytes.HasSuffix(trimmed, append(info, 255)) {
		t.Errorf("ends with %x", trimmed[len(trimmed)-40:])
	}
}

// Without variables nothing is in a message that was not asked for, and it has the length of a BOOTP message.
func TestAppendPlain(t *testing.T) {
	raw := mustTemplate(t, Spec{Type: Request, VendorClass: "x"}).Append(nil, &Vars{ID: 1, XID: 2})
	m, err := dhcpv4.FromBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Options) != 2 || len(raw) != DefaultMinLen || m.IsBroadcast() || m.HopCount != 0 || !m.GatewayIPAddr.IsUnspecified() {
		t.Errorf("%d bytes: %v", len(raw), m)
	}
	if raw := mustTemplate(t, Spec{Type: Request, MinLen: 500}).Append(nil, &Vars{}); len(raw) != 500 {
		t.Errorf("%d bytes, want 500", len(raw))
	}
}

func TestFrame(t *testing.T) {
	tm := mustTemplate(t, FirmwareBootServer(7))
	m := &packet.Meta{SrcMAC: [6]byte{2, 1}, DstMAC: [6]byte{2, 2}, NumVLANs: 1, VLANs: [2]packet.VLAN{{TPID: 0x8100, TCI: 42}},
		Src: netip.MustParseAddrPort("198.51.100.9:4011"), Dst: netip.MustParseAddrPort("192.0.2.10:4011")}
	v := &Vars{ID: 77, XID: 3, CIAddr: m.Src.Addr(), RelayInfo: mustRelayInfo(t)}
	frame := tm.Frame(make([]byte, 0, 1600), m, v)
	var p packet.Packet
	if packet.Parse(frame, &p) != packet.Answered || p.Meta != *m || !bytes.Equal(p.Payload, tm.Append(nil, v)) {
		t.Errorf("%+v of %x", p, frame)
	}
	// Just too little room, and just enough.
	for room, want := range map[int]bool{len(frame) - 1: false, 1600: true} {
		if got := tm.Frame(make([]byte, 0, room), m, v); (got != nil) != want {
			t.Errorf("room %d: frame of %d bytes", room, len(got))
		}
	}
	if tm.Frame(make([]byte, 1600), &packet.Meta{}, v) != nil {
		t.Error("a frame without addresses")
	}
}

func TestSpecMistakes(t *testing.T) {
	for _, c := range []struct {
		spec Spec
		want string
	}{
		{Spec{VendorClass: strings.Repeat("x", 256)}, "option 60 has 256 bytes"},
		{Spec{Extra: []Option{{200, make(Bytes, 300)}}}, "option 200 has 300 bytes"},
		{Spec{Extra: []Option{{82, Bytes{1}}}}, "extra option 82"},
		{Spec{Extra: []Option{{255, nil}}}, "extra option 255"},
		{Spec{MinLen: 1473}, "1473 bytes"},
	} {
		if _, err := NewTemplate(c.spec); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	if _, err := RelayInfo(strings.Repeat("x", 200), strings.Repeat("y", 60)); err == nil {
		t.Error("option 82 of 264 bytes")
	}
	if info, err := RelayInfo("", ""); info != nil || err != nil {
		t.Error(info, err)
	}
}

func TestIdentities(t *testing.T) {
	seen := map[[16]byte]bool{}
	for id := range Identity(100_000) {
		uuid := id.UUID()
		if seen[uuid] {
			t.Fatalf("machine %d has another's UUID", id)
		}
		seen[uuid] = true
		if mac := id.MAC(); mac[0]&3 != 2 || uuid[6]>>4 != 4 || uuid[8]>>6 != 2 {
			t.Fatalf("machine %d: MAC %x, UUID %x", id, mac, uuid)
		}
	}
	if a, b := Identity(1<<40-1).MAC(), Identity(1<<39-1).MAC(); a == b {
		t.Error("the MAC loses the number's upper bits")
	}
}

func TestNoAllocation(t *testing.T) {
	tm := mustTemplate(t, FirmwareDiscover(7))
	buf := make([]byte, 0, 1600)
	m := &packet.Meta{Src: netip.MustParseAddrPort("0.0.0.0:68"), Dst: netip.MustParseAddrPort("255.255.255.255:67")}
	v := &Vars{GIAddr: netip.MustParseAddr("198.51.100.1"), RelayInfo: mustRelayInfo(t)}
	if n := testing.AllocsPerRun(100, func() {
		v.XID++
		v.ID++
		buf = tm.Frame(buf, m, v)[:0]
	}); n != 0 {
		t.Errorf("Frame allocates %g times", n)
	}
	j, c := new(Judge), relayedOffer(t)
	if n := testing.AllocsPerRun(100, func() {
		if why := j.Reply(c.msg, &c.expect); why != Valid {
			t.Fatal(why)
		}
		if why := Addressing(&c.request, &c.reply, &c.expect); why != Valid {
			t.Fatal(why)
		}
	}); n != 0 {
		t.Errorf("the judge allocates %g times", n)
	}
}
