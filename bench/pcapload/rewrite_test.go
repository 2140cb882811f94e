package pcapload

import (
	"bytes"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// who is an identity that has no byte in common with any captured one.
var who = identity{
	mac:  [6]byte{0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6},
	uuid: [16]byte{0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xbf},
	xid:  0xc0c1c2c3,
}

func TestRewrite(t *testing.T) {
	mac, guid := dhcptest.MAC[:], dhcptest.GUID[:]
	uuidOption := append([]byte{0}, who.uuid[:]...)
	join := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	for _, c := range []struct {
		name     string
		captured *dhcptest.Message
		want     func(m *dhcptest.Message) // changes a copy of it to what is to be sent, but for xid, MAC and UUID
	}{
		{"plain", dhcptest.Discover(x64), func(*dhcptest.Message) {}},
		{"client id with the MAC", dhcptest.Discover(x64).Add(61, join([]byte{1}, mac)...),
			func(m *dhcptest.Message) { m.Set(61, join([]byte{1}, who.mac[:])...) }},
		{"client id with a DUID-LLT", dhcptest.Discover(x64).Add(61, join([]byte{255, 1, 2, 3, 4, 0, 1, 0, 1, 9, 9, 9, 9}, mac)...),
			func(m *dhcptest.Message) {
				m.Set(61, join([]byte{255, 1, 2, 3, 4, 0, 1, 0, 1, 9, 9, 9, 9}, who.mac[:])...)
			}},
		{"client id with the UUID", dhcptest.Discover(x64).Add(61, join([]byte{0}, guid)...), func(m *dhcptest.Message) { m.Set(61, uuidOption...) }},
		{"client id with a name", dhcptest.Discover(x64).Add(61, []byte("\x00rack-7")...), func(*dhcptest.Message) {}},
		{"the captured server's id", dhcptest.Discover(x64).Add(54, bootServer.AsSlice()...),
			func(m *dhcptest.Message) { m.Set(54, underTest.AsSlice()...) }},
		{"another server's id", dhcptest.Discover(x64).Add(54, dhcpServer.AsSlice()...), func(*dhcptest.Message) {}},
		{"no UUID", dhcptest.Discover(x64).Drop(optUUID), func(m *dhcptest.Message) { m.Drop(optUUID) }},
		{"a UUID that is none", dhcptest.Discover(x64).Set(optUUID, 0, 1, 2), func(m *dhcptest.Message) { m.Set(optUUID, 0, 1, 2) }},
		{"a UUID in pieces", dhcptest.Discover(x64).Drop(optUUID).Add(optUUID, join([]byte{0}, guid[:5])...).Add(12, 'h').Add(optUUID, guid[5:]...),
			func(m *dhcptest.Message) {
				m.Drop(optUUID).Drop(12).Add(optUUID, uuidOption[:6]...).Add(12, 'h').Add(optUUID, uuidOption[6:]...)
			}},
	} {
		captured := capture{t: t}
		captured.broadcast(c.captured)
		want := *c.captured
		want.Options = slices.Clone(c.captured.Options)
		if slices.ContainsFunc(want.Options, func(o dhcptest.Option) bool { return o.Code == optUUID }) {
			want.Set(optUUID, uuidOption...)
		}
		want.XID = who.xid
		copy(want.CHAddr[:], who.mac[:])
		c.want(&want)
		to := target()
		to.Captured = bootServer
		frame := plan(t, &captured, to).Requests[0].appendFrame(make([]byte, 0, 1600), &who, serverMAC, routerMAC)
		wantFrame(t, c.name, frame, from("0.0.0.0:68", who.mac, "255.255.255.255:67", broadcastMAC), want.Bytes())
	}
}

// wantFrame holds a frame against its addressing and payload, byte by byte, and
// its lengths and checksums against gopacket's.
func wantFrame(t *testing.T, name string, frame []byte, meta packet.Meta, payload []byte) {
	t.Helper()
	var p packet.Packet
	if why := packet.Parse(frame, &p); why != packet.Answered {
		t.Fatalf("%s: %v", name, why)
	}
	if p.Meta != meta {
		t.Errorf("%s: sent as\n%+v, want\n%+v", name, p.Meta, meta)
	}
	if !bytes.Equal(p.Payload, payload) {
		t.Errorf("%s: payload\n%x, want\n%x", name, p.Payload, payload)
	}
	whole := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	ip, udp := whole.Layer(layers.LayerTypeIPv4).(*layers.IPv4), whole.Layer(layers.LayerTypeUDP).(*layers.UDP)
	got := [3]uint16{ip.Checksum, udp.Checksum, udp.Length}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, udp, gopacket.Payload(udp.Payload)); err != nil {
		t.Fatal(err)
	}
	if want := [3]uint16{ip.Checksum, udp.Checksum, udp.Length}; got != want {
		t.Errorf("%s: checksums and length %x, want %x", name, got, want)
	}
}

// A client with an address sends from the generator's, to the server under test.
func TestRewriteOf4011(t *testing.T) {
	_, ask := machine(1)
	ask.Add(54, bootServer.AsSlice()...)
	c := capture{t: t}
	c.ask4011(ask)
	frame := plan(t, &c, target()).Requests[0].appendFrame(make([]byte, 0, 1600), &who, serverMAC, routerMAC)
	ask.XID, ask.CIAddr = who.xid, generator
	copy(ask.CHAddr[:], who.mac[:])
	ask.Set(optUUID, append([]byte{0}, who.uuid[:]...)...).Set(54, underTest.AsSlice()...)
	wantFrame(t, "4011", frame, from("203.0.113.77:4011", routerMAC, "203.0.113.10:4011", serverMAC), ask.Bytes())
}

// edk2 with SendGUID puts the UUID where the MAC would be.
func TestRewriteOfGUIDAsHardwareAddress(t *testing.T) {
	m := dhcptest.Discover(x64)
	m.HType, m.HLen, m.CHAddr = 0, 16, dhcptest.GUID
	c := capture{t: t}
	c.add(from("0.0.0.0:68", dhcptest.MAC, "255.255.255.255:67", broadcastMAC), m.Bytes())
	frame := plan(t, &c, target()).Requests[0].appendFrame(make([]byte, 0, 1600), &who, serverMAC, routerMAC)
	m.XID, m.CHAddr = who.xid, who.uuid
	m.Set(optUUID, append([]byte{0}, who.uuid[:]...)...)
	wantFrame(t, "GUID", frame, from("0.0.0.0:68", who.mac, "255.255.255.255:67", broadcastMAC), m.Bytes())
}

func TestTagsAreKeptOrNot(t *testing.T) {
	tagged := from("0.0.0.0:68", dhcptest.MAC, "255.255.255.255:67", broadcastMAC)
	tagged.VLANs, tagged.NumVLANs = [2]packet.VLAN{{TPID: 0x8100, TCI: 7}}, 1
	c := capture{t: t}
	c.add(tagged, dhcptest.Discover(x64).Bytes())
	for _, untag := range []bool{false, true} {
		to := target()
		to.Untag = untag
		var p packet.Packet
		if packet.Parse(plan(t, &c, to).Requests[0].appendFrame(make([]byte, 0, 1600), &who, serverMAC, routerMAC), &p) != packet.Answered {
			t.Fatal("no frame")
		}
		if want := tagged.NumVLANs; !untag && (p.NumVLANs != want || p.VLANs != tagged.VLANs) || untag && p.NumVLANs != 0 {
			t.Errorf("untag %v: %d tags %v", untag, p.NumVLANs, p.VLANs)
		}
	}
}

// Copies are machines of their own, each the same in all that it sends.
func TestIdentities(t *testing.T) {
	c := capture{t: t}
	for n := range byte(3) {
		discover, ask := machine(n)
		c.broadcast(discover)
		c.ask4011(ask)
		c.broadcast(discover) // once more
	}
	const copies = 5
	s := session(t, plan(t, &c, target()), Pace{Copies: copies})
	if s.Machines() != 3 || s.Total() != 9*copies {
		t.Fatalf("%d machines, %d requests", s.Machines(), s.Total())
	}
	uuids := map[[6]byte][16]byte{}
	xids := map[uint32][6]byte{}
	for i, r := range s.Requests {
		for k := range copies {
			id := s.identify(r, k)
			if u, known := uuids[id.mac]; known && u != id.uuid {
				t.Errorf("request %d, copy %d: machine %x has two UUIDs", i, k, id.mac)
			}
			if mac, known := xids[id.xid]; known && mac != id.mac {
				t.Errorf("request %d, copy %d: machines %x and %x share a transaction", i, k, id.mac, mac)
			}
			uuids[id.mac], xids[id.xid] = id.uuid, id.mac
		}
	}
	if len(uuids) != 3*copies || len(xids) != 6*copies {
		t.Errorf("%d machines, %d transactions; want %d and %d", len(uuids), len(xids), 3*copies, 6*copies)
	}
}

func TestAppendFrameDoesNotAllocate(t *testing.T) {
	c := capture{t: t}
	c.broadcast(dhcptest.Discover(x64).Add(61, append([]byte{1}, dhcptest.MAC[:]...)...))
	s := session(t, plan(t, &c, target()), Pace{Copies: 1})
	room := make([]byte, 0, 1600)
	if n := testing.AllocsPerRun(100, func() { s.Append(room, 0) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
	if s.Append(make([]byte, 0, 100), 0) != nil {
		t.Error("a frame without room")
	}
}

// Whatever a request holds: it keeps its length and options, and is another client's.
func FuzzRewrite(f *testing.F) {
	f.Add(dhcptest.Discover(x64).Bytes())
	f.Add(dhcptest.Discover(x64).Add(61, append([]byte{1}, dhcptest.MAC[:]...)...).Add(54, bootServer.AsSlice()...).Bytes())
	overloaded := dhcptest.Discover(x64).Drop(optUUID).Add(52, 3)
	overloaded.File = "\x61\x11\x00" + string(dhcptest.GUID[:]) + "\xff"
	f.Add(overloaded.Bytes())
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) > 1400 {
			return
		}
		c := capture{t: t}
		c.add(from("0.0.0.0:68", dhcptest.MAC, "255.255.255.255:67", broadcastMAC), payload)
		to := target()
		to.Captured = bootServer
		p, err := NewPlan(c.frames, to)
		if err != nil {
			return
		}
		frame := p.Requests[0].appendFrame(make([]byte, 0, 1600), &who, serverMAC, routerMAC)
		var got packet.Packet
		if packet.Parse(frame, &got) != packet.Answered || len(got.Payload) != len(payload) {
			t.Fatalf("%d bytes became %d", len(payload), len(got.Payload))
		}
		var before, after dhcp.View
		if before.Parse(payload) != packet.Answered || after.Parse(got.Payload) != packet.Answered {
			t.Fatal("not readable any more")
		}
		if after.XID() != who.xid || len(before.HardwareAddr()) == macLen && [6]byte(after.HardwareAddr()) != who.mac {
			t.Errorf("xid %x, chaddr %x", after.XID(), after.HardwareAddr())
		}
		for code := range before.Options() {
			was, is := before.Option(code), after.Option(code)
			switch {
			case len(was) != len(is):
				t.Errorf("option %d: %d bytes became %d", code, len(was), len(is))
			case code == optUUID && len(was) == 17 && [16]byte(is[1:]) != who.uuid:
				t.Errorf("UUID %x", is)
			case code != optUUID && code != optClientID && code != optServerID && !bytes.Equal(was, is):
				t.Errorf("option %d: %x became %x", code, was, is)
			}
		}
	})
}
