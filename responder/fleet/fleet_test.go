package fleet

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func members(n int) (all []Member) {
	for i := range n {
		all = append(all, Member{Name: fmt.Sprintf("boot%d", i+1)})
	}
	return all
}

// view is a fleet as its member i knows it.
func view(all []Member, i int) *View { return NewView(all[i], all) }

// fleets are machines as they are bought.
var fleets = map[string]func(i int) []byte{
	"one after another": func(i int) []byte { return []byte{0x52, 0x54, 0, byte(i >> 16), byte(i >> 8), byte(i)} },
	"every fourth":      func(i int) []byte { i *= 4; return []byte{0x52, 0x54, 0, byte(i >> 16), byte(i >> 8), byte(i)} },
	"first bytes": func(i int) []byte {
		return []byte{byte(i), byte(i >> 8), 0, 0, 0, 1}
	},
	"random": func(i int) []byte {
		r := rand.New(rand.NewPCG(1, uint64(i)))
		return binary.BigEndian.AppendUint64(nil, r.Uint64())[:6]
	},
	"GUIDs": func(i int) []byte {
		return binary.BigEndian.AppendUint64(make([]byte, 8), uint64(i))
	},
}

const machines = 10_000

func TestEven(t *testing.T) {
	for _, n := range []int{2, 3, 4, 8} {
		for name, mac := range fleets {
			v := view(members(n), 0)
			owned := map[string]int{}
			for i := range machines {
				owned[v.Owner(KeyOf(mac(i))).Name]++
			}
			even := machines / n
			for _, m := range v.Members() {
				if got := owned[m.Name]; got < even*9/10 || got > even*11/10 {
					t.Errorf("%d members, %s: %s owns %d of %d machines, even is %d", n, name, m.Name, got, machines, even)
				}
			}
		}
	}
}

// Members agree: for each machine there is one of each rank, and the owner is rank 0.
func TestRanks(t *testing.T) {
	all := members(5)
	all[1].Draining, all[4].Draining = true, true
	for i := range 1000 {
		k := KeyOf(fleets["random"](i))
		var ranks [5]int
		for j := range all {
			v := view(all, j)
			rank := v.Rank(k)
			ranks[rank]++
			if (rank == 0) != (v.Owner(k).Name == all[j].Name) {
				t.Fatalf("%s has rank %d, the owner is %s", all[j].Name, rank, v.Owner(k).Name)
			}
			if all[j].Draining != (rank >= 3) {
				t.Fatalf("%s has rank %d, draining: %v", all[j].Name, rank, all[j].Draining)
			}
			for n := 1; n <= 5; n++ {
				if v.Answers(k, n) != (rank < n) {
					t.Fatal(rank, n)
				}
			}
		}
		if ranks != [5]int{1, 1, 1, 1, 1} {
			t.Fatal(ranks)
		}
	}
}

// When a member goes, its machines go to those that were next, evenly, and no
// other machine moves; when it comes back, all is as it was.
func TestMoves(t *testing.T) {
	all := members(4)
	for name, without := range map[string][]Member{
		"dies":   all[:3],
		"drains": append(members(3), Member{Name: "boot4", Draining: true}),
	} {
		before, after := view(all, 0), view(without, 0)
		moved := map[string]int{}
		for i := range machines {
			k := KeyOf(fleets["one after another"](i))
			was, is := before.Owner(k).Name, after.Owner(k).Name
			if was == is {
				continue
			}
			if was != "boot4" {
				t.Fatalf("%s: a machine of %s moved to %s", name, was, is)
			}
			moved[is]++
			for j := range 3 {
				if next := view(all, j).Rank(k) == 1; next != (all[j].Name == is) {
					t.Fatalf("%s: %s was next: %v; it went to %s", name, all[j].Name, next, is)
				}
			}
		}
		for _, m := range all[:3] {
			if n := moved[m.Name]; n < machines/12*8/10 || n > machines/12*12/10 {
				t.Errorf("%s: %s took %d of the machines", name, m.Name, n)
			}
		}
	}
}

func TestView(t *testing.T) {
	names := func(v *View) string {
		var out []string
		for _, m := range v.Members() {
			out = append(out, m.Name)
		}
		return strings.Join(out, " ")
	}
	alone := NewView(Member{Name: "b"}, nil)
	if names(alone) != "b" || !alone.Answers(KeyOf([]byte{1}), 1) || alone.Owner(1).Name != "b" {
		t.Error(names(alone))
	}
	// What a member knows of itself counts, not what it hears.
	v := NewView(Member{Name: "b", Version: "mine"}, []Member{{Name: "c"}, {Name: "b", Draining: true}, {Name: "a"}, {Name: "a"}})
	if names(v) != "a b c" || v.Self().Draining || v.Self().Version != "mine" {
		t.Error(names(v), v.Self())
	}
	var many []Member
	for i := range 200 {
		many = append(many, Member{Name: fmt.Sprintf("m%03d", i)})
	}
	if v := NewView(many[150], many); len(v.Members()) != MaxMembers || v.Self().Name != "m150" || v.Rank(1) >= MaxMembers {
		t.Error(len(v.Members()), v.Self())
	}
	// All drain: then there is still an order.
	v = NewView(Member{Name: "a", Draining: true}, []Member{{Name: "b", Draining: true}})
	other := NewView(Member{Name: "b", Draining: true}, []Member{{Name: "a", Draining: true}})
	if v.Rank(7)+other.Rank(7) != 1 {
		t.Error(v.Rank(7), other.Rank(7))
	}
}

// Servers of different releases must agree. The first ones are published: FNV's
// by its authors, the first output of SplitMix64 from 0.
func TestHashIsFixed(t *testing.T) {
	for _, c := range []struct {
		what      string
		got, want uint64
	}{
		{`fnv1a("")`, fnv1a(""), 0xcbf29ce484222325},
		{`fnv1a("a")`, fnv1a("a"), 0xaf63dc4c8601ec8c},
		{`fnv1a("foobar")`, fnv1a([]byte("foobar")), 0x85944171f73967e8},
		{"mix", mix(0x9e3779b97f4a7c15), 0xe220a8397b1dcdaf},
		{"key", uint64(KeyOf([]byte{0x52, 0x54, 0, 0x12, 0x34, 0x56})), 0xa493647bfea79543},
		{"weight", weight(mix(fnv1a("boot1")), 0x123456789abcdef0), 0x6c95cda88d333c76},
	} {
		if c.got != c.want {
			t.Errorf("%s: %#x, want %#x", c.what, c.got, c.want)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	v, mac := view(members(4), 1), []byte{1, 2, 3, 4, 5, 6}
	if n := testing.AllocsPerRun(100, func() { v.Answers(KeyOf(mac), 1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkRank(b *testing.B) {
	v, mac := view(members(8), 1), []byte{1, 2, 3, 4, 5, 6}
	for i := 0; b.Loop(); i++ {
		mac[5] = byte(i)
		v.Rank(KeyOf(mac))
	}
}
