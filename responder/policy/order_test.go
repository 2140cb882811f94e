package policy

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// firstByTurn is first without the index: what the documentation says.
func firstByTurn(s *Snapshot, m *Machine) string {
	var digits hardwareDigits
	digits.set(m.MAC)
	for i := range s.rules {
		if r := &s.rules[i]; r.fails(m, digits.bytes(), s.namesMAC(i, m.MAC)) == fieldNone {
			return r.action.Rule
		}
	}
	return ""
}

// drawSpec makes rules of a small world out of bytes, so that they overlap.
func drawSpec(data []byte) Spec {
	spec := Spec{Default: "full", Profiles: testProfiles}
	boots := []string{Ignore, "full", "bare", "tftp"}
	patterns := []string{"", "02:00:00:00:00:00", "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:*", "*:01", "02:00:00:00:00:0?", "02-00-00-00-00-01"}
	for ; len(data) >= 4 && len(spec.Rules) < 40; data = data[4:] {
		r := Rule{Boot: boots[data[0]&3]}
		for _, p := range []string{patterns[data[1]&7], patterns[data[1]>>3&7]} {
			if p != "" {
				r.Match.MAC = append(r.Match.MAC, p)
			}
		}
		if data[2]&7 == 1 {
			r.Match.Arch = []string{Arch(data[2] >> 3).String()}
		}
		if data[3]&7 == 1 {
			r.Match.Subnet = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, data[3] >> 6}), 16)}
		}
		if data[3]&7 == 2 {
			r.Match.VendorClass = []string{"HTTPClient*"}
		}
		spec.Rules = append(spec.Rules, r)
	}
	return spec
}

// drawMachine makes a machine that may meet such rules.
func drawMachine(data []byte) Machine {
	data = append(slices.Clone(data), make([]byte, 24)...)
	m := Machine{MAC: []byte{2, 0, 0, 0, 0, data[0] & 3}, NumArches: int(data[1] & 3), HTTP: data[1]&4 != 0, IPXE: data[1]&8 != 0}
	if data[1]&0x70 == 0x70 {
		m.MAC = data[2:][:data[0]%16]
	}
	for i := range m.Arches {
		m.Arches[i] = Arch(binary.BigEndian.Uint16(data[2+2*i:])) & 0x3f
	}
	if data[10]&1 != 0 {
		m.Subnet = netip.AddrFrom4([4]byte{10, data[10] >> 6, 0, 1})
	}
	m.VendorClass = []byte("PXEClient")
	if m.HTTP {
		m.VendorClass = []byte("HTTPClient")
	}
	return m
}

// FuzzDecide: the first rule wins whatever the index does, a decision has what
// its reason promises, and iPXE is never given a binary.
func FuzzDecide(f *testing.F) {
	f.Add([]byte("\x01\x01\x00\x00\x02\x04\x00\x00"), []byte("\x00\x01\x00\x07"))
	f.Add([]byte("\x01\x0a\x39\x00\x02\x00\x00\x41\x00\x25\x00\x02"), []byte("\x01\x06\x00\x10\x00\x07\x00\x00\x00\x00\x01"))
	f.Add([]byte("\x02\x2f\x00\x00\x03\x03\x00\x00"), []byte("\x01\x09\x00\x07"))
	f.Add([]byte{}, []byte("\x09\x71\x4c\x4c\x45\x44\x00\x44\x48\x10\x80"))
	f.Fuzz(func(t *testing.T, rules, machine []byte) {
		s, err := Compile(drawSpec(rules))
		if err != nil {
			t.Fatal(err)
		}
		m := drawMachine(machine)
		d := s.Decide(&m)
		if want := firstByTurn(s, &m); d.Rule != want {
			t.Errorf("rule %q, want %q", d.Rule, want)
		}
		if (d.Reason == packet.Answered) != (d.File != "") || d.Reason == packet.Answered && d.Profile == "" {
			t.Errorf("%+v", d)
		}
		if m.IPXE && d.File != "" && d.File != script && d.File != "boot.ipxe" {
			t.Errorf("iPXE gets %q", d.File)
		}
		if m.HTTP && d.File != "" && (d.Style != StyleHTTP || !isHTTPURL(d.File)) {
			t.Errorf("an HTTP client gets %q in style %d", d.File, d.Style)
		}
		steps := s.Explain(&m)
		if last := steps[len(steps)-1]; last.OK != (d.Reason == packet.Answered) {
			if d.Profile != "" || last.OK != (d.Reason == packet.RuleIgnore) {
				t.Errorf("%+v explained by %+v", d, steps)
			}
		}
	})
}

// TestFirstMatchWins draws what FuzzDecide would be given.
func TestFirstMatchWins(t *testing.T) {
	source := rand.NewChaCha8([32]byte{1})
	var rules [80]byte
	var machine [16]byte
	hits := make(map[string]int)
	for range 500 {
		source.Read(rules[:])
		s := compile(t, drawSpec(rules[:]))
		for range 20 {
			source.Read(machine[:])
			m := drawMachine(machine[:])
			got, want := s.Decide(&m).Rule, firstByTurn(s, &m)
			if got != want {
				t.Fatalf("rule %q, want %q (rules %x, machine %x)", got, want, rules, machine)
			}
			hits[got]++
		}
	}
	if len(hits) < 10 {
		t.Errorf("only %d different outcomes: the draw is too narrow", len(hits))
	}
}

// manyRules has rules that all have to be looked at before the last one matches.
func manyRules(n int, rule func(i int) Match) Spec {
	spec := Spec{Profiles: testProfiles}
	for i := range n {
		spec.Rules = append(spec.Rules, Rule{Match: rule(i), Boot: Ignore})
	}
	spec.Rules = append(spec.Rules, Rule{Name: "last", Boot: "full"})
	return spec
}

var manyKinds = map[string]func(i int) Match{
	"exact-mac": func(i int) Match { return Match{MAC: []string{fmt.Sprintf("02:00:00:00:%02x:%02x", i>>8, i&0xff)}} },
	"mac-glob":  func(i int) Match { return Match{MAC: []string{fmt.Sprintf("02:00:00:%02x:%02x:*", i>>8, i&0xff)}} },
	"uuid":      func(i int) Match { return Match{UUID: []string{fmt.Sprintf("%032x", i+1)}} },
	"subnet": func(i int) Match {
		return Match{Subnet: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i)}), 24)}}
	},
	"circuit-id": func(i int) Match { return Match{CircuitID: []string{fmt.Sprintf("*/%d", i)}} },
}

func benchMachine() Machine {
	return with(arches(11, 7), func(m *Machine) {
		m.MAC, m.UUID = []byte{0x52, 0x54, 0, 0x12, 0x34, 0x56}, []byte(strings.Repeat("\xee", 16))
		m.Subnet, m.VendorClass, m.CircuitID = netip.MustParseAddr("198.51.100.7"), []byte("PXEClient:Arch:00007:UNDI:003016"), []byte("Ethernet1/x")
	})
}

func TestDecideDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector's own allocations are not counted")
		return
	}
	m := benchMachine()
	h := http(arches(16))
	for kind, rule := range manyKinds {
		s := compile(t, manyRules(100, rule))
		if n := testing.AllocsPerRun(100, func() {
			if d := s.Decide(&m); d.Rule != "last" {
				t.Fatalf("%+v", d)
			}
			s.Decide(&h)
			s.VendorClass(m.VendorClass)
			s.Allowed(m.Subnet)
		}); n != 0 {
			t.Errorf("%s: %v allocations", kind, n)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	for kind, rule := range manyKinds {
		b.Run(kind+"-1000", func(b *testing.B) {
			s, m := compile(b, manyRules(1000, rule)), benchMachine()
			b.ReportAllocs()
			for b.Loop() {
				s.Decide(&m)
			}
		})
	}
}
