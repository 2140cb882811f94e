package policy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
)

func TestDepends(t *testing.T) {
	lan := netip.MustParsePrefix("10.0.0.0/24")
	for _, tc := range []struct {
		name  string
		rules []Rule
		on    Machine
		want  Dependence
	}{
		{"no rules", nil, Machine{}, Dependence{}},
		{"somebody's mac", []Rule{{Match: Match{MAC: []string{"02:00:00:00:00:09"}}}}, Machine{}, Dependence{Identity: true}},
		{"somebody's uuid", []Rule{{Match: Match{UUID: []string{"4c4c4544-0044-4810-8031-b4c04f4a4e31"}}}}, Machine{}, Dependence{Identity: true}},
		{"a mac of another architecture", []Rule{{Match: Match{MAC: []string{"02:*"}, Arch: []string{"bios"}}}}, Machine{}, Dependence{}},
		{"a mac of another user class", []Rule{{Match: Match{MAC: []string{"02:*"}, UserClass: []string{"x"}}}}, Machine{}, Dependence{}},
		{"a mac behind one for all", []Rule{{Match: Match{Arch: []string{"x64-uefi"}}}, {Match: Match{MAC: []string{"02:*"}}}}, Machine{}, Dependence{}},
		{"its own mac ends it", []Rule{{Match: Match{MAC: []string{"02:00:00:00:00:01"}}}, {Match: Match{Subnet: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/25")}}}},
			Machine{}, Dependence{Identity: true}},
		{"another's mac does not", []Rule{{Match: Match{MAC: []string{"02:00:00:00:00:09"}}}, {Match: Match{Subnet: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/25")}}}},
			Machine{}, Dependence{Identity: true, Subnet: true}},
		{"a part of the network", []Rule{{Match: Match{Subnet: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/25")}}}}, Machine{}, Dependence{Subnet: true}},
		{"all of the network", []Rule{{Match: Match{Subnet: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}}}}, Machine{}, Dependence{}},
		{"another network", []Rule{{Match: Match{Subnet: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}}}, Machine{}, Dependence{}},
		{"a mac of another network", []Rule{{Match: Match{Subnet: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, MAC: []string{"02:*"}}}}, Machine{}, Dependence{}},
		{"a circuit", []Rule{{Match: Match{CircuitID: []string{"a*"}}}}, Machine{CircuitID: []byte("b")}, Dependence{CircuitID: true}},
		{"a circuit without one", []Rule{{Match: Match{CircuitID: []string{"*"}}}}, Machine{}, Dependence{}},
		{"a mac on another circuit", []Rule{{Match: Match{CircuitID: []string{"a*"}, MAC: []string{"02:*"}}}}, Machine{CircuitID: []byte("b")}, Dependence{CircuitID: true}},
		{"a remote id on a circuit", []Rule{{Match: Match{CircuitID: []string{"b*"}, RemoteID: []string{"r"}}}}, Machine{CircuitID: []byte("b"), RemoteID: []byte("q")},
			Dependence{CircuitID: true, RemoteID: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for i := range tc.rules {
				tc.rules[i].Boot = "full"
			}
			s := compile(t, Spec{Rules: tc.rules, Profiles: testProfiles})
			m := tc.on
			m.MAC, m.Subnet = []byte{2, 0, 0, 0, 0, 1}, netip.MustParseAddr("10.0.0.7")
			m.Arches[0], m.NumArches = ArchX64UEFI, 1
			if got := s.Depends(&m, lan); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

// drawPlaces adds to rules what drawSpec leaves out.
func drawPlaces(rng *rand.Rand, spec *Spec) {
	for i := range spec.Rules {
		m := &spec.Rules[i].Match
		switch rng.IntN(8) {
		case 0:
			m.UUID = []string{fmt.Sprintf("00000000-0000-0000-0000-00000000000%d", rng.IntN(3))}
		case 1:
			m.CircuitID = []string{[]string{"a", "b*", "*"}[rng.IntN(3)]}
		case 2:
			m.RemoteID = []string{[]string{"a", "b*", "*"}[rng.IntN(3)]}
		case 3:
			m.Subnet = append(m.Subnet, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(rng.IntN(2)), 0, byte(rng.IntN(4) << 6)}), 24+rng.IntN(3)).Masked())
		case 4:
			m.UserClass = []string{[]string{"a", "b*"}[rng.IntN(2)]}
		}
	}
}

// Machines that differ only in what Depends does not name get the same
// decision, from random policies whose rules overlap.
func TestDependsNamesAllThatADecisionRestsOn(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 5))
	lan := netip.MustParsePrefix("10.0.0.0/24")
	ids := [][]byte{nil, []byte("a"), []byte("bb"), []byte("b")}
	named := map[Dependence]int{}
	differed := 0
	for range 3000 {
		rules, machine := make([]byte, 4*(1+rng.IntN(8))), make([]byte, 24)
		for _, b := range [][]byte{rules, machine} {
			for i := range b {
				b[i] = byte(rng.Uint32())
			}
		}
		spec := drawSpec(rules)
		drawPlaces(rng, &spec)
		s := compile(t, spec)
		m := drawMachine(machine)
		m.Subnet = netip.AddrFrom4([4]byte{10, 0, 0, byte(rng.Uint32())})
		m.UserClass, m.CircuitID, m.RemoteID = ids[rng.IntN(4)], ids[rng.IntN(4)], ids[rng.IntN(4)]
		d := s.Depends(&m, lan)
		named[d]++
		want := s.Decide(&m)
		for range 20 {
			other := m
			mac, uuid := append([]byte(nil), m.MAC...), make([]byte, 16)
			if len(mac) > 0 {
				mac[len(mac)-1] = byte(rng.IntN(4))
			}
			uuid[15] = byte(rng.IntN(3))
			other.MAC, other.UUID = mac, uuid
			if d.Identity {
				other.MAC, other.UUID = m.MAC, m.UUID
			}
			if !d.Subnet {
				other.Subnet = netip.AddrFrom4([4]byte{10, 0, 0, byte(rng.Uint32())})
			}
			if !d.CircuitID && m.CircuitID != nil {
				other.CircuitID = ids[1+rng.IntN(3)]
			}
			if !d.RemoteID && m.RemoteID != nil {
				other.RemoteID = ids[1+rng.IntN(3)]
			}
			if got := s.Decide(&other); got != want {
				t.Fatalf("%+v: %+v for %+v, but %+v for %+v\nrules %+v", d, want, m, got, other, spec.Rules)
			}
			// What it names does make a difference now and then, or naming it costs for nothing.
			all := other
			all.MAC, all.UUID = mac, uuid
			if d.Identity && s.Decide(&all) != want {
				differed++
			}
		}
	}
	if len(named) < 12 || differed == 0 {
		t.Errorf("only %d kinds of dependence drawn, %d decisions differed by identity", len(named), differed)
	}
}
