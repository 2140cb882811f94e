package packet

import (
	"bytes"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// FuzzParse: what Parse accepts, gopacket must read alike, and Build must
// write so that Parse gives it back.
func FuzzParse(f *testing.F) {
	for _, tags := range tagSets {
		m := meta(tags...)
		f.Add(build(f, &m, 300))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		var p Packet
		if Parse(frame, &p) != Answered {
			return
		}
		oracle := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.DecodeOptions{NoCopy: true})
		ip, _ := oracle.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		udp, _ := oracle.Layer(layers.LayerTypeUDP).(*layers.UDP)
		if ip == nil || udp == nil {
			t.Fatalf("gopacket sees no UDP in %x", frame)
		}
		src, dst := p.Src.Addr().As4(), p.Dst.Addr().As4()
		if !bytes.Equal(ip.SrcIP, src[:]) || !bytes.Equal(ip.DstIP, dst[:]) ||
			uint16(udp.SrcPort) != p.Src.Port() || uint16(udp.DstPort) != p.Dst.Port() || !bytes.Equal(udp.Payload, p.Payload) {
			t.Fatalf("parsed %+v, gopacket says %v", p, oracle)
		}
		out := make([]byte, max(HeaderLen(&p.Meta)+len(p.Payload), 60))
		copy(out[HeaderLen(&p.Meta):], p.Payload)
		n := Build(out, &p.Meta, len(p.Payload))
		var again Packet
		if n == 0 || Parse(out[:n], &again) != Answered || again.Meta != p.Meta || !bytes.Equal(again.Payload, p.Payload) {
			t.Fatalf("built %x of %+v", out[:n], p)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	m := meta()
	frame := build(b, &m, 347)
	var p Packet
	for b.Loop() {
		Parse(frame, &p)
	}
}

func BenchmarkBuild(b *testing.B) {
	m := meta()
	frame := build(b, &m, 347)
	for b.Loop() {
		Build(frame, &m, 347)
	}
}
