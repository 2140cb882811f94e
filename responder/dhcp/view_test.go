package dhcp_test

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
)

func parse(t *testing.T, msg []byte) *dhcp.View {
	t.Helper()
	v := new(dhcp.View)
	if reason := v.Parse(msg); reason != packet.Answered {
		t.Fatal(reason)
	}
	return v
}

func TestViewHeader(t *testing.T) {
	m := disc(x64)
	m.Secs, m.CIAddr, m.YIAddr, m.SIAddr, m.GIAddr, m.File = 28, C, S, other, R, "name"
	v := parse(t, m.Bytes())
	kind, ok := v.Type()
	if v.Op() != 1 || v.XID() != m.XID || v.Secs() != 28 || v.Flags() != 0x8000 || kind != dhcp.TypeDiscover || !ok ||
		!bytes.Equal(v.HardwareAddr(), dhcptest.MAC[:]) || string(v.File()) != "name" || v.NoEnd() {
		t.Errorf("%d %x %d %x %v %x %q", v.Op(), v.XID(), v.Secs(), v.Flags(), kind, v.HardwareAddr(), v.File())
	}
	if v.ClientIP() != C || v.YourIP() != S || v.NextServer() != other || v.Relay() != R {
		t.Errorf("%v %v %v %v", v.ClientIP(), v.YourIP(), v.NextServer(), v.Relay())
	}
}

// An absent option and an empty one differ.
func TestViewAbsentAndEmpty(t *testing.T) {
	v := parse(t, disc(x64).Add(12).Bytes())
	if got := v.Option(12); got == nil || len(got) != 0 {
		t.Errorf("empty: %v", got)
	}
	for _, code := range []uint8{0, 13, 255} {
		if got := v.Option(code); got != nil {
			t.Errorf("%d: %x", code, got)
		}
	}
}

// Pieces are joined in the order of RFC 3396 §5: options, file, sname.
func TestViewJoins(t *testing.T) {
	m := disc(x64).Add(43, 1).Add(12, 'a').Add(43, 2).Add(52, 3).Add(43)
	m.File = "\x2b\x01\x03\x0c\x01b\xff\x2b\x01\x09" // nothing counts behind END
	m.SName = "\x00\x2b\x02\x04\x05\xff"
	v := parse(t, m.Bytes())
	for range 500 { // joining is done once
		if got := v.Option(43); !bytes.Equal(got, []byte{1, 2, 3, 4, 5}) {
			t.Errorf("43 %x", got)
		}
		if got := v.Option(12); string(got) != "ab" {
			t.Errorf("12 %x", got)
		}
	}
	if v.File() != nil {
		t.Errorf("options were taken for the file name %q", v.File())
	}
	var codes []byte
	for code := range v.Options() {
		codes = append(codes, code)
	}
	if want := []byte{53, 57, 55, 97, 94, 93, 60, 43, 12, 43, 52, 43, 43, 12, 43}; !slices.Equal(codes, want) {
		t.Errorf("options %v, want %v", codes, want)
	}
	for code := range v.Options() {
		if code == 97 {
			break // an iteration may end early
		}
	}
}

// A message beyond any Ethernet frame cannot be joined: its first piece stands, and nothing overflows.
func TestViewJoinOverflow(t *testing.T) {
	m := disc(x64)
	for i := range 10 {
		m.Add(43, bytes.Repeat([]byte{byte(i)}, 255)...).Add(61, byte(i))
	}
	v := parse(t, m.Bytes())
	if got := v.Option(43); !bytes.Equal(got, make([]byte, 255)) {
		t.Errorf("%d bytes: %x", len(got), got[:4])
	}
	if got := v.Option(61); !bytes.Equal(got, []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Errorf("61 %x", got)
	}
}

// A value that is none of 1 to 3, or a second one, or one in an overloaded field does not overload.
func TestViewOverload(t *testing.T) {
	for value, want := range map[string]string{"\x01": "file", "\x02": "sname", "\x00": "", "\x04": "", "\xff": "", "\x01\x01": "", "": ""} {
		m := disc(x64).Add(52, []byte(value)...)
		m.File, m.SName = "\x0c\x04file\x34\x01\x02\xff", "\x0c\x05sname\xff"
		v := parse(t, m.Bytes())
		if got := v.Option(12); string(got) != want || v.OddOverload() != (want == "") {
			t.Errorf("52=%x: 12 %q, want %q; odd: %v", value, got, want, v.OddOverload())
		}
	}
}

// Of two overloads the first counts, and END in an overloaded field ends only that.
func TestViewOverloadTwice(t *testing.T) {
	m := disc(x64).Add(52, 1).Add(52, 2)
	m.NoEnd = true
	m.File, m.SName = "\x0c\x04file\x34\x01\x02\xff", "\x0c\x05sname\xff"
	v := parse(t, m.Bytes())
	if got := v.Option(12); string(got) != "file" || !v.NoEnd() {
		t.Errorf("12 %q, NoEnd %v", got, v.NoEnd())
	}
}

// No UDP datagram is longer, and no offset in a View can be.
func TestViewTooLong(t *testing.T) {
	if reason := new(dhcp.View).Parse(append(disc(x64).Bytes(), make([]byte, 1<<16)...)); reason != packet.Truncated {
		t.Error(reason)
	}
}

// A View does not remember the message before.
func TestViewReuse(t *testing.T) {
	v := new(dhcp.View)
	for range 500 {
		v.Parse(disc(x64).Add(61, 1).Add(61, 2, 3, 4).Bytes())
		if got := v.Option(61); !bytes.Equal(got, []byte{1, 2, 3, 4}) {
			t.Fatalf("61 %x", got)
		}
	}
	m := disc(x64)
	m.NoEnd = true
	v.Parse(m.Bytes())
	if got := v.Option(61); got != nil || !v.NoEnd() {
		t.Errorf("61 %x, NoEnd %v", got, v.NoEnd())
	}
	if reason := v.Parse(nil); reason != packet.Truncated || v.Option(53) != nil {
		t.Errorf("%v, 53 %x", reason, v.Option(53))
	}
}

func TestInspectReply(t *testing.T) {
	lease := dhcptest.Lease(disc(x64), other, C)
	lease.SIAddr, lease.File = R, "theirs.efi"
	f, ok := dhcp.InspectReply(lease.Add(60, []byte("PXEClient")...).Bytes())
	if !ok || f.Type != dhcp.TypeOffer || f.Server != other || f.NextServer != R || f.YourIP != C || f.Relay != zero || !f.ClaimsPXE ||
		f.ClaimsHTTP || f.File != "theirs.efi" || f.XID != disc(x64).XID || !bytes.Equal(f.MAC[:f.MACLen], dhcptest.MAC[:]) {
		t.Errorf("%+v, %v", f, ok)
	}
	// Windows DHCP and others terminate 67, and put options into file.
	lease = dhcptest.Lease(disc(x64), other, C).Drop(54).Add(67, []byte("in67\x00")...).Add(52, 1).Set(60, []byte("HTTPClient")...)
	lease.SIAddr, lease.File = R, "\x0c\x01x\xff"
	if f, ok := dhcp.InspectReply(lease.Bytes()); !ok || f.Server != R || f.File != "in67" || f.ClaimsPXE || !f.ClaimsHTTP {
		t.Errorf("%+v, %v", f, ok)
	}
	if f, ok := dhcp.InspectReply(lease.Drop(67).Bytes()); !ok || f.File != "" {
		t.Errorf("%+v, %v", f, ok)
	}
	// Our own offer: no lease.
	if f, ok := dhcp.InspectReply(newServer(t).send(disc(x64)).Payload); !ok || f.Server != S || f.YourIP != zero || !f.ClaimsPXE || f.File != "snponly.efi" {
		t.Errorf("%+v, %v", f, ok)
	}
	for _, none := range [][]byte{nil, disc(x64).Bytes(), lease.Bytes()[:200], append(lease.Bytes()[:240], 12, 200)} {
		if f, ok := dhcp.InspectReply(none); ok {
			t.Errorf("%x: %+v", none, f)
		}
	}
}

func TestResultNamesTheClient(t *testing.T) {
	r := newServer(t).send(disc(x64).Set(60, 'x'))
	if got, want := r.Client(), "52:54:00:12:34:56 uuid=4c4c4544004a351080385ac04f334d32 xid=2a01b2c3"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if r.Type != dhcp.TypeDiscover {
		t.Errorf("type %v", r.Type)
	}
	m := disc(x64).Drop(97)
	m.HLen = 0
	if got := newServer(t).send(m).Client(); got != " xid=2a01b2c3" {
		t.Errorf("%q", got)
	}
}

func TestNamesAndRelayInfo(t *testing.T) {
	for got, want := range map[string]string{
		dhcp.StageDiscover.String(): "discover", dhcp.StageBootServer.String(): "boot_server", dhcp.StageOther.String(): "other",
		dhcp.TypeACK.String(): "ACK", dhcp.MessageType(0).String(): "unknown", dhcp.MessageType(200).String(): "unknown",
		(dhcp.NoteNoEnd | dhcp.NoteRelayFactsMissing).String(): "no_end,relay_facts_missing", dhcp.Note(0).String(): "",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if _, ok := dhcp.ParseRelayInfo(nil); !ok {
		t.Error("an empty option 82 is malformed")
	}
	info, ok := dhcp.ParseRelayInfo([]byte("\x01\x01a\x02\x01b\x01\x01c\x02\x01d\x05\x04\x0a\x00\x00\x01\x05\x04\x0a\x00\x00\x02\x0b\x01x\x0b\x04\x0a\x00\x00\x03"))
	if !ok || string(info.CircuitID) != "a" || string(info.RemoteID) != "b" || info.SourcePort ||
		info.LinkSelection != netip.MustParseAddr("10.0.0.1") || info.ServerIDOverride != netip.MustParseAddr("10.0.0.3") {
		t.Errorf("%+v, %v", info, ok)
	}
}
