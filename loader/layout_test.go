package loader

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/xdpxe/xdpxe/bpf"
)

func spec(t *testing.T) *ebpf.CollectionSpec {
	t.Helper()
	s, err := bpf.LoadSpec()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The layout tells what a program must not share.
func TestLayout(t *testing.T) {
	base := layoutOf(spec(t))
	if again := layoutOf(spec(t)); again != base || strings.ContainsAny(base, "./") {
		t.Errorf("%s, then %s", base, again)
	}
	seen := map[string]string{base: "the spec"}
	for what, change := range map[string]func(*ebpf.CollectionSpec){
		"size": func(s *ebpf.CollectionSpec) { s.Maps[bpf.RequestsMap].MaxEntries *= 2 },
		"kind": func(s *ebpf.CollectionSpec) { s.Maps[bpf.AddrsMap].Type = ebpf.LRUHash },
		"flag": func(s *ebpf.CollectionSpec) { s.Maps[bpf.HeartbeatMap].Flags = 0 },
		"gone": func(s *ebpf.CollectionSpec) { delete(s.Maps, bpf.ScratchMap) },
		"member": func(s *ebpf.CollectionSpec) {
			m := s.Maps[bpf.SettingsMap]
			m.Value = typeNamed(t, spec(t), bpf.AddrsMap)
		},
	} {
		s := spec(t)
		change(s)
		got := layoutOf(s)
		if other, ok := seen[got]; ok {
			t.Errorf("%s: as %s", what, other)
		}
		seen[got] = fmt.Sprint("another ", what)
	}
	s := spec(t)
	if err := s.Variables[bpf.StaleNS].Set(uint64(1)); err != nil {
		t.Fatal(err)
	}
	if got := layoutOf(s); got != base {
		t.Error("constants are part of the layout")
	}
}

func typeNamed(t *testing.T, s *ebpf.CollectionSpec, name string) btf.Type {
	t.Helper()
	v := s.Maps[name].Value
	if v == nil {
		t.Fatalf("%s has no BTF", name)
	}
	return v
}
