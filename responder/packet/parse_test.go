package packet

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

func TestParseReadsWhatBuildWrote(t *testing.T) {
	for _, tags := range tagSets {
		for _, n := range []int{0, 1, 18, 300, 1472} {
			m := meta(tags...)
			frame := build(t, &m, n)
			p := Packet{Token: 77, Meta: Meta{IfIndex: 5, NumVLANs: 2, VLANs: [2]VLAN{{1, 1}, {2, 2}}}} // of an earlier packet
			if r := Parse(frame, &p); r != Answered {
				t.Fatalf("%d tags, %d bytes: %v", len(tags), n, r)
			}
			m.IfIndex = 5
			if p.Meta != m || p.Token != 77 {
				t.Errorf("parsed %+v, want %+v", p.Meta, m)
			}
			if len(p.Payload) != n || cap(p.Payload) != n {
				t.Errorf("payload of %d bytes has len %d and cap %d", n, len(p.Payload), cap(p.Payload))
			}
			if n > 0 && &p.Payload[0] != &frame[HeaderLen(&m)] {
				t.Error("payload is a copy")
			}
		}
	}
}

// edit returns a good frame, changed, and with its IPv4 checksum made right again.
func edit(t *testing.T, change func(ip []byte)) []byte {
	t.Helper()
	m := meta()
	frame := build(t, &m, 100)
	ip := frame[ethLen:]
	change(ip)
	binary.BigEndian.PutUint16(ip[10:], 0)
	binary.BigEndian.PutUint16(ip[10:], checksum(0, ip[:ipLen]))
	return frame
}

func TestParseRefuses(t *testing.T) {
	be := binary.BigEndian
	untagged, tagged := meta(), meta(tagSets[2]...)
	good, double := build(t, &untagged, 100), build(t, &tagged, 100)
	raw := func(change func(frame []byte)) []byte {
		frame := slices.Clone(good)
		change(frame)
		return frame
	}
	triple := append(slices.Clone(double[:22]), append([]byte{0x81, 0, 0, 1}, double[22:]...)...)
	be.PutUint16(triple[20:], 0x8100)
	be.PutUint16(triple[24:], etherIPv4)
	for name, frame := range map[string][]byte{
		"empty":                      {},
		"Ethernet only":              good[:14],
		"ARP":                        raw(func(f []byte) { be.PutUint16(f[12:], 0x0806) }),
		"IPv6":                       raw(func(f []byte) { be.PutUint16(f[12:], 0x86dd) }),
		"802.3 length":               raw(func(f []byte) { be.PutUint16(f[12:], 100) }),
		"three tags":                 triple,
		"tag cut":                    append(slices.Clone(good[:12]), 0x81, 0, 0),
		"version 6":                  edit(t, func(ip []byte) { ip[0] = 0x65 }),
		"IP options":                 edit(t, func(ip []byte) { ip[0] = 0x46 }),
		"IHL 4":                      edit(t, func(ip []byte) { ip[0] = 0x44 }),
		"TCP":                        edit(t, func(ip []byte) { ip[9] = 6 }),
		"more fragments":             edit(t, func(ip []byte) { ip[6] = 0x20 }),
		"last fragment":              edit(t, func(ip []byte) { ip[7] = 1 }),
		"total length past frame":    edit(t, func(ip []byte) { be.PutUint16(ip[2:], 129) }),
		"total length below a UDP":   edit(t, func(ip []byte) { be.PutUint16(ip[2:], 27) }),
		"UDP length past datagram":   edit(t, func(ip []byte) { be.PutUint16(ip[24:], 109) }),
		"UDP length below header":    edit(t, func(ip []byte) { be.PutUint16(ip[24:], 7) }),
		"UDP length 0":               edit(t, func(ip []byte) { be.PutUint16(ip[24:], 0) }),
		"header checksum":            raw(func(f []byte) { f[ethLen+10] ^= 0x10 }),
		"changed under its checksum": raw(func(f []byte) { f[ethLen+12] ^= 1 }),
	} {
		if r := Parse(frame, new(Packet)); r != BadFrame {
			t.Errorf("%s: %v", name, r)
		}
	}
	for _, frame := range [][]byte{good, double} {
		for n := range frame {
			if r := Parse(frame[:n], new(Packet)); r != BadFrame {
				t.Errorf("cut to %d bytes of %d: %v", n, len(frame), r)
			}
		}
	}
}

func TestParseAccepts(t *testing.T) {
	be := binary.BigEndian
	untagged := meta()
	for name, c := range map[string]struct {
		frame   []byte
		payload int
	}{
		"Don't Fragment":                       {edit(t, func(ip []byte) { ip[6] = 0x40 }), 100},
		"TTL 1, any TOS":                       {edit(t, func(ip []byte) { ip[8], ip[1] = 1, 0xc0 }), 100},
		"no UDP checksum":                      {edit(t, func(ip []byte) { be.PutUint16(ip[26:], 0) }), 100},
		"partial UDP checksum of a veth":       {edit(t, func(ip []byte) { be.PutUint16(ip[26:], 0x1234) }), 100},
		"UDP shorter than the IP payload":      {edit(t, func(ip []byte) { be.PutUint16(ip[24:], 50) }), 42},
		"Ethernet padding behind the datagram": {append(build(t, &untagged, 100), 1, 2, 3), 100},
	} {
		var p Packet
		if r := Parse(c.frame, &p); r != Answered || len(p.Payload) != c.payload || cap(p.Payload) != c.payload {
			t.Errorf("%s: %v with a payload of %d", name, r, len(p.Payload))
		}
	}
}

func TestVID(t *testing.T) {
	if got := (VLAN{TCI: 0xf064}).VID(); got != 100 {
		t.Errorf("VID %d", got)
	}
}

func TestReasonNames(t *testing.T) {
	seen := make(map[string]Reason)
	for r := range NumReasons {
		name := r.String()
		if other, double := seen[name]; name == "" || name == "invalid" || double {
			t.Errorf("reason %d has the name %q of reason %d, or none", r, name, other)
		}
		seen[name] = r
	}
	if NumReasons.String() != "invalid" {
		t.Errorf("no such reason is %q", NumReasons)
	}
}

func TestNoAllocation(t *testing.T) {
	m := meta(tagSets[2]...)
	frame := build(t, &m, 548)
	var p Packet
	allocs := testing.AllocsPerRun(100, func() {
		if Parse(frame, &p) != Answered || Build(frame, &p.Meta, len(p.Payload)) == 0 {
			t.Fatal("not a round trip")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// checksum against the plain definition of RFC 1071, word by word.
func TestChecksum(t *testing.T) {
	b := bytes.Repeat([]byte{0xff, 0xfe, 0x80, 0x01, 0x00}, 300)
	for n := range b {
		var sum uint32
		for i := 0; i < n; i += 2 {
			w := uint32(b[i]) << 8
			if i+1 < n {
				w |= uint32(b[i+1])
			}
			if sum += w; sum > 0xffff {
				sum -= 0xffff
			}
		}
		if got := checksum(0, b[:n]); got != ^uint16(sum) {
			t.Fatalf("%d bytes: %#x, want %#x", n, got, ^uint16(sum))
		}
	}
}
