package dhcp_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// seeds are messages of each kind. More, found by fuzzing, are in testdata/fuzz.
func seeds() [][]byte {
	overloaded := disc(x64).Add(52, 3)
	overloaded.File, overloaded.SName = "\x3d\x02ab\xff", "\x61\x01c\xff"
	open := disc(x64)
	open.NoEnd = true
	guid := disc(x64)
	guid.HLen, guid.CHAddr = 16, dhcptest.GUID
	var all [][]byte
	for _, m := range []*dhcptest.Message{
		disc(x64), disc(bios), disc(x64).Add(77, []byte("\x04iPXE")...), disc(x64).Add(175), dhcptest.DiscoverHTTP(x64HTTP),
		relayed().Add(82, info82...).Add(118, 10, 0, 0, 0), relayed().Add(82, 19, 0, 11, 4, 1, 2, 3, 4, 5, 4, 1, 2, 3, 4),
		leaseRequest().Add(54, S.AsSlice()...), binl(), binl().Add(43, 71, 4, 0x80, 1, 0, 0), overloaded, open, guid,
		disc(x64).Add(61, 1).Add(61, 2, 3), disc(x64).Drop(93).Add(93), dhcptest.Lease(disc(x64), other, C),
	} {
		all = append(all, m.Bytes())
	}
	return all
}

// Nothing that a View says of a message is outside of the message.
func FuzzView(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s)
	}
	var v dhcp.View
	f.Fuzz(func(t *testing.T, msg []byte) {
		before := bytes.Clone(msg)
		if v.Parse(msg) != packet.Answered {
			return
		}
		pieces := make(map[uint8][]byte)
		total := 0
		for code, data := range v.Options() {
			pieces[code] = append(pieces[code], data...)
			total += len(data)
		}
		if total > len(msg) {
			t.Fatalf("options of %d bytes in a message of %d", total, len(msg))
		}
		for code := range 256 {
			want, ok := pieces[uint8(code)]
			got := v.Option(uint8(code))
			if ok != (got != nil) || total <= 1472 && !bytes.Equal(got, want) {
				t.Errorf("option %d is %x, want %x", code, got, want)
			}
		}
		var arches [policy.MaxArches]policy.Arch
		for _, a := range arches[:v.Arches(&arches)] {
			if a == policy.ArchUnknown {
				t.Errorf("unknown among %v", arches)
			}
		}
		if class, _ := v.UserClass(); len(class) > len(msg) {
			t.Errorf("user class of %d bytes", len(class))
		}
		if id := v.UUID(); id != nil && len(id) != 16 || len(v.HardwareAddr()) > 16 || bytes.IndexByte(v.File(), 0) >= 0 {
			t.Errorf("UUID %x, chaddr %x, file %q", id, v.HardwareAddr(), v.File())
		}
		if info, ok := dhcp.ParseRelayInfo(v.Option(82)); ok && len(info.CircuitID)+len(info.RemoteID) > len(msg) {
			t.Errorf("%+v", info)
		}
		dhcp.InspectReply(msg)
		if !bytes.Equal(before, msg) {
			t.Error("the message was changed")
		}
	})
}

// The walk over the options agrees with insomniacslk/dhcp, but for what that
// does not do: it wants an END, and does not read overloaded fields.
func FuzzOptions(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s[240:])
	}
	f.Add([]byte{})
	f.Add([]byte{12})
	f.Add([]byte{12, 0})
	f.Add([]byte{12, 2, 'a'})
	f.Add([]byte{0, 0, 255, 12, 9})
	f.Add(bytes.Repeat([]byte{43, 3, 1, 2, 3}, 60))
	header := disc(x64).Bytes()[:240]
	var v dhcp.View
	f.Fuzz(func(t *testing.T, options []byte) {
		if len(options) > 1472-240 {
			return // then joining may have no room: TestViewJoinOverflow
		}
		msg := append(bytes.Clone(header), options...)
		reason := v.Parse(msg)
		if reason == packet.Answered && v.NoEnd() {
			msg = append(msg, 255)
		}
		p, err := dhcpv4.FromBytes(msg)
		// The header has empty file and sname fields, so overload adds nothing.
		if (err == nil) != (reason == packet.Answered) {
			t.Fatalf("%v, insomniacslk/dhcp says %v", reason, err)
		}
		if err != nil {
			return
		}
		for code := 1; code < 255; code++ {
			want, ok := p.Options[uint8(code)]
			if got := v.Option(uint8(code)); ok != (got != nil) || !bytes.Equal(got, want) {
				t.Errorf("option %d is %x, want %x", code, got, want)
			}
		}
		if kind, ok := v.Type(); ok && kind != 0 && byte(kind) != byte(p.MessageType()) {
			t.Errorf("type %d, want %d", kind, p.MessageType())
		}
	})
}

// Whatever comes in: no panic, and each reply is one that clients take, that is
// not longer than they asked for, and that goes where it may (judge).
func FuzzHandle(f *testing.F) {
	for _, s := range seeds() {
		f.Add(s, uint8(0), uint32(0))
		f.Add(s, uint8(1), binary.BigEndian.Uint32(C.AsSlice()))
		f.Add(s, uint8(0xfe), binary.BigEndian.Uint32(R.AsSlice()))
	}
	names := []string{"snponly.efi", string(bytes.Repeat([]byte{'n'}, 127)), string(bytes.Repeat([]byte{'n'}, 200)), string(bytes.Repeat([]byte{'n'}, 300))}
	plain, ports := newServer(f), newServer(f)
	ports.rack.circuit = "eth7"
	ports.r = dhcp.New(ports.rack, dhcp.Options{})
	ports.w = ports.r.NewWorker()
	f.Fuzz(func(t *testing.T, payload []byte, knobs uint8, src uint32) {
		s := plain
		if knobs&2 != 0 {
			s = ports
		}
		s.t, s.vlans = t, nil
		for a := range s.rack.files {
			s.rack.files[a] = names[knobs>>2&3]
		}
		if knobs&16 != 0 {
			s.vlans = []packet.VLAN{{TPID: 0x8100, TCI: 0x2007}}
		}
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, src))), uint16(src))
		meta := packet.Meta{IfIndex: 3, SrcMAC: routerMAC, Src: from, Dst: netip.AddrPortFrom(S, 67)}
		if knobs&1 != 0 {
			meta.Dst = netip.AddrPortFrom(S, 4011)
		}
		first := s.deliver(meta, payload) // judges
		if first.Reason >= packet.NumReasons || first.Stage >= dhcp.NumStages {
			t.Fatalf("%+v", first.Result)
		}
		if again := s.deliver(meta, payload); knobs&2 == 0 && (again.Reason != first.Reason || !bytes.Equal(again.Payload, first.Payload)) {
			t.Errorf("the same request again: %v %x, then %v %x", first.Reason, first.Payload, again.Reason, again.Payload)
		}
		_ = first.Client()
	})
}
