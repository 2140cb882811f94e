package dhcptest

import (
	"bytes"
	"net/netip"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// Vantage is the boot server that requests come in at.
type Vantage struct {
	Server    netip.Addr // in a /24
	ServerMAC [6]byte
	IfIndex   int
}

// Relay is whom Relayed messages come from.
var Relay = netip.MustParseAddr("198.18.0.1")

// From67 addresses a DISCOVER as its client does, or its relay.
func (v Vantage) From67(m *Message) packet.Packet {
	meta := packet.Meta{
		IfIndex: v.IfIndex, SrcMAC: MAC, DstMAC: [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		Src: netip.AddrPortFrom(netip.IPv4Unspecified(), 68), Dst: netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), 67),
	}
	if m.GIAddr.IsValid() {
		meta.SrcMAC, meta.DstMAC = [6]byte{2, 0, 0, 0, 0, 1}, v.ServerMAC
		meta.Src, meta.Dst = netip.AddrPortFrom(m.GIAddr, 67), netip.AddrPortFrom(v.Server, 67)
	}
	return packet.Packet{Meta: meta, Payload: m.Bytes()}
}

// From4011 addresses a boot server request from src.
func (v Vantage) From4011(m *Message, src netip.Addr) packet.Packet {
	return packet.Packet{Meta: packet.Meta{
		IfIndex: v.IfIndex, SrcMAC: MAC, DstMAC: v.ServerMAC,
		Src: netip.AddrPortFrom(src, 4011), Dst: netip.AddrPortFrom(v.Server, 4011),
	}, Payload: m.Bytes()}
}

// Relayed is a DISCOVER that Relay passes on with its option 82.
func Relayed(arch uint16) *Message {
	m := Discover(arch)
	m.GIAddr, m.Hops = Relay, 1
	return m.Add(82, 1, 4, 'e', 't', 'h', '1', 2, 2, 'r', '1', 5, 4, 198, 51, 100, 9)
}

// Tagged is p in VLANs, the outermost first.
func Tagged(p packet.Packet, ids ...uint16) packet.Packet {
	for i, id := range ids {
		p.VLANs[i] = packet.VLAN{TPID: 0x8100, TCI: 0x6000 | id}
	}
	p.NumVLANs = uint8(len(ids))
	return p
}

// Kinds are requests of all the kinds that a boot server decides on, by name.
func (v Vantage) Kinds() map[string]packet.Packet {
	host := func(n byte) netip.Addr {
		a := v.Server.As4()
		a[3] = n
		return netip.AddrFrom4(a)
	}
	client, none, far := host(100), netip.IPv4Unspecified(), netip.MustParseAddr("198.51.103.77")
	secs := Discover(7)
	secs.Secs, secs.Flags = 12, 0
	ib := Discover(7)
	ib.HType, ib.HLen = 32, 0
	guid := Discover(7)
	guid.HLen, guid.CHAddr = 16, GUID
	bare := Relayed(7).Drop(82)
	return map[string]packet.Packet{
		"uefi":         v.From67(Discover(7)),
		"bios":         v.From67(Discover(0)),
		"http":         v.From67(DiscoverHTTP(16)),
		"ipxe":         v.From67(Discover(7).Add(77, []byte("iPXE")...).Add(175, 1, 2, 3)),
		"secs":         v.From67(secs),
		"infiniband":   v.From67(ib),
		"guid":         v.From67(guid),
		"no uuid":      v.From67(Discover(7).Drop(97)),
		"short uuid":   v.From67(Discover(7).Set(97, 0, 1, 2)),
		"odd uuid":     v.From67(Discover(7).Set(97, append([]byte{255}, GUID[:]...)...)),
		"split uuid":   v.From67(Discover(7).Drop(97).Add(97, append([]byte{0}, GUID[:7]...)...).Add(97, GUID[7:]...)),
		"client id":    v.From67(Discover(7).Add(61, 1, 0x52, 0x54, 0, 1, 2, 3)),
		"long id":      v.From67(Discover(7).Add(61, bytes.Repeat([]byte{7}, 200)...)),
		"short id":     v.From67(Discover(7).Add(61, 1)),
		"split id":     v.From67(Discover(7).Add(61, 1).Add(61, 2, 3)),
		"small":        v.From67(Discover(7).Set(57, 2, 64)),
		"long":         v.From67(Discover(7).Add(43, make([]byte, 240)...)),
		"relayed":      v.From67(Relayed(7)),
		"relayed bios": v.From67(Relayed(0)),
		"relayed bare": v.From67(bare),
		"118":          v.From67(Discover(7).Add(118, 10, 0, 0, 0)),
		"vlan":         Tagged(v.From67(Discover(7)), 100),
		"qinq":         Tagged(v.From67(Discover(7)), 100, 7),
		"priority":     Tagged(v.From67(Discover(7)), 0),
		"4011":         v.From4011(BootServerRequest(7, client), client),
		"4011 bios":    v.From4011(BootServerRequest(0, none).Add(61, 1, 2, 3), client),
		"4011 server":  v.From4011(BootServerRequest(7, client).Add(54, v.Server.AsSlice()...), client),
		"4011 routed":  v.From4011(BootServerRequest(7, far), far),
		"4011 ciaddr":  v.From4011(BootServerRequest(7, client), host(101)),
		"unknown arch": v.From67(Discover(7).Drop(93).Set(60, []byte("PXEClient")...)),
		"no file":      v.From67(Discover(11)),
	}
}
