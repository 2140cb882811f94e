package deploy

import (
	"maps"
	"math/rand/v2"
	"testing"
)

// TestTrieIsAMap: against a map, with hashes that are good, alike in parts and
// all the same; and what a reader has does not change under it.
func TestTrieIsAMap(t *testing.T) {
	for name, hash := range map[string]func(int) uint64{
		"good": func(k int) uint64 { return uint64(k) * 0x9e3779b97f4a7c15 },
		"high": func(k int) uint64 { return uint64(k) << 58 },
		"few":  func(k int) uint64 { return uint64(k % 3) },
		"same": func(int) uint64 { return 7 },
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			now, want := trie[int, int]{hash: hash}, map[int]int{}
			var kept trie[int, int]
			var keptWant map[int]int
			for i := range 4000 {
				k := r.IntN(200)
				if r.IntN(3) == 0 {
					now = now.remove(k)
					delete(want, k)
				} else {
					now = now.set(k, i)
					want[k] = i
				}
				if i == 2000 {
					kept, keptWant = now, maps.Clone(want)
				}
				if i%100 == 0 || i > 3900 {
					sameMap(t, now, want)
				}
			}
			sameMap(t, kept, keptWant)
			for k := range want {
				now = now.remove(k)
			}
			if now.root != nil || now.n != 0 {
				t.Errorf("an empty trie has %d keys, root %v", now.n, now.root)
			}
		})
	}
}

func sameMap(t *testing.T, got trie[int, int], want map[int]int) {
	t.Helper()
	all := map[int]int{}
	for k, v := range got.all {
		if _, twice := all[k]; twice {
			t.Fatalf("key %d twice", k)
		}
		all[k] = v
	}
	if !maps.Equal(all, want) || got.n != len(want) {
		t.Fatalf("%d keys (n %d), want %d", len(all), got.n, len(want))
	}
	for k := range 200 {
		v, ok := got.get(k)
		if w, has := want[k]; ok != has || v != w {
			t.Fatalf("get(%d) = %d, %v, want %d, %v", k, v, ok, w, has)
		}
	}
}

func TestTrieStops(t *testing.T) {
	tr := trie[int, int]{hash: func(k int) uint64 { return uint64(k) * 0x9e3779b97f4a7c15 }}
	for k := range 100 {
		tr = tr.set(k, k)
	}
	n := 0
	for range tr.all {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("went on to %d", n)
	}
}
