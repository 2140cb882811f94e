package packet

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

var (
	macA = [6]byte{2, 0, 0, 0, 0, 0xa}
	macB = [6]byte{2, 0, 0, 0, 0, 0xb}
)

func meta(vlans ...VLAN) Meta {
	m := Meta{
		SrcMAC: macA, DstMAC: macB,
		Src: netip.MustParseAddrPort("192.0.2.1:67"), Dst: netip.MustParseAddrPort("255.255.255.255:68"),
		NumVLANs: uint8(len(vlans)),
	}
	copy(m.VLANs[:], vlans)
	return m
}

var tagSets = [][]VLAN{
	nil,
	{{TPID: 0x8100, TCI: 100}},
	{{TPID: 0x88a8, TCI: 0xe000 | 4094}, {TPID: 0x8100, TCI: 7}},
}

// build puts a payload of n bytes into a frame of its own.
func build(t testing.TB, m *Meta, n int) []byte {
	t.Helper()
	frame := bytes.Repeat([]byte{0xee}, max(HeaderLen(m)+n, 60)) // what padding must clear
	for i := range n {
		frame[HeaderLen(m)+i] = byte(i*7 + n)
	}
	size := Build(frame, m, n)
	if size == 0 {
		t.Fatalf("Build of %d bytes failed", n)
	}
	return frame[:size]
}

// gopacket is the oracle: it must read what Build wrote, and compute the same checksums.
func TestBuildAgainstGopacket(t *testing.T) {
	for _, tags := range tagSets {
		for _, n := range []int{0, 1, 2, 3, 17, 18, 19, 300, 547, 548, 1471, 1472} {
			m := meta(tags...)
			frame := build(t, &m, n)
			// Beyond UDP it tries DHCP, which this is not: its error layer says nothing here.
			p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.DecodeOptions{})
			eth := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
			if !bytes.Equal(eth.SrcMAC, macA[:]) || !bytes.Equal(eth.DstMAC, macB[:]) {
				t.Errorf("MACs %s and %s", eth.SrcMAC, eth.DstMAC)
			}
			var got []VLAN
			for _, l := range p.Layers() {
				if tag, ok := l.(*layers.Dot1Q); ok {
					got = append(got, VLAN{TCI: uint16(tag.Priority)<<13 | tag.VLANIdentifier})
				}
			}
			for i, v := range got {
				if v.TCI != tags[i].TCI {
					t.Errorf("tag %d has TCI %#x, want %#x", i, v.TCI, tags[i].TCI)
				}
			}
			ip, _ := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
			udp, _ := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
			if len(got) != len(tags) || ip == nil || udp == nil {
				t.Fatalf("%d tags, %d bytes: decoded as %v", len(tags), n, p)
			}
			if ip.SrcIP.String() != "192.0.2.1" || ip.DstIP.String() != "255.255.255.255" || ip.TTL != 64 || ip.Flags != 0 || ip.FragOffset != 0 {
				t.Errorf("IPv4 header: %+v", ip)
			}
			if udp.SrcPort != 67 || udp.DstPort != 68 || int(udp.Length) != 8+n || len(udp.Payload) != n {
				t.Errorf("UDP header: %+v", udp)
			}
			for i, b := range udp.Payload {
				if b != byte(i*7+n) {
					t.Fatalf("payload byte %d is %#x", i, b)
				}
			}
			wantChecksums(t, ip, udp)
			if pad := frame[HeaderLen(&m)+n:]; !bytes.Equal(pad, make([]byte, len(pad))) {
				t.Errorf("padding is not zero: %x", pad)
			}
			if len(frame) != max(60, HeaderLen(&m)+n) {
				t.Errorf("%d bytes in a frame of %d", n, len(frame))
			}
		}
	}
}

// wantChecksums serializes the headers anew with computed checksums and compares.
func wantChecksums(t *testing.T, ip *layers.IPv4, udp *layers.UDP) {
	t.Helper()
	ipSum, udpSum := ip.Checksum, udp.Checksum
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{ComputeChecksums: true}, ip, udp, gopacket.Payload(udp.Payload))
	if err != nil {
		t.Fatal(err)
	}
	if ip.Checksum != ipSum || udp.Checksum != udpSum {
		t.Errorf("checksums %#x and %#x, want %#x and %#x", ipSum, udpSum, ip.Checksum, udp.Checksum)
	}
}

// A UDP checksum that comes out as 0 goes out as 0xffff (RFC 768).
func TestUDPChecksumIsNeverZero(t *testing.T) {
	m := meta()
	head := HeaderLen(&m)
	frame := make([]byte, 60)
	Build(frame, &m, 2)
	sum := uint16(frame[head-2])<<8 | uint16(frame[head-1])
	// Adding the checksum to the payload makes the sum all ones.
	frame[head], frame[head+1] = byte(sum>>8), byte(sum)
	Build(frame, &m, 2)
	if got := uint16(frame[head-2])<<8 | uint16(frame[head-1]); got != 0xffff {
		t.Errorf("UDP checksum %#x", got)
	}
}

func TestBuildRefuses(t *testing.T) {
	v6 := meta()
	v6.Dst = netip.MustParseAddrPort("[2001:db8::1]:68")
	none := meta()
	none.Src = netip.AddrPort{}
	tags := meta()
	tags.NumVLANs = 3
	good := meta()
	for name, c := range map[string]struct {
		m             Meta
		frame, length int
	}{
		"IPv6":              {v6, 200, 10},
		"no source":         {none, 200, 10},
		"three tags":        {tags, 200, 10},
		"frame too short":   {good, 51, 10},
		"no frame":          {good, 0, 0},
		"negative":          {good, 200, -1},
		"beyond 64 KiB":     {good, 70000, 65508},
		"more than a frame": {good, 100, 1 << 40},
	} {
		frame := bytes.Repeat([]byte{0xee}, c.frame)
		if n := Build(frame, &c.m, c.length); n != 0 {
			t.Errorf("%s: built %d bytes", name, n)
		}
		if !bytes.Equal(frame, bytes.Repeat([]byte{0xee}, c.frame)) {
			t.Errorf("%s: frame was written to", name)
		}
	}
}

// A frame with room for the datagram but not for Ethernet's minimum is filled, not overrun.
func TestBuildWithoutRoomForPadding(t *testing.T) {
	m := meta()
	backing := bytes.Repeat([]byte{0xee}, 60)
	if n := Build(backing[:50:50], &m, 4); n != 50 {
		t.Errorf("built %d bytes in a frame of 50", n)
	}
	if backing[46] != 0 || backing[49] != 0 || backing[50] != 0xee {
		t.Errorf("padding: %x", backing[46:52])
	}
}

func TestIPv4MappedAddressesAreIPv4(t *testing.T) {
	plain, mapped := meta(), meta()
	mapped.Src = netip.MustParseAddrPort("[::ffff:192.0.2.1]:67")
	if !bytes.Equal(build(t, &plain, 30), build(t, &mapped, 30)) {
		t.Error("an IPv4-mapped source makes another frame")
	}
}
