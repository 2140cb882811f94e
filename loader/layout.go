package loader

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"

	"github.com/xdpxe/xdpxe/bpf"
)

// lasting reports whether a map outlives its program: all do but the constants
// of a program, whose names begin with a dot.
func lasting(name string) bool { return !strings.HasPrefix(name, ".") }

// layoutOf names what two programs must agree on to share maps: bpf.Version,
// and of each map kind, sizes, flags and, member by member, the types of keys
// and values.
func layoutOf(spec *ebpf.CollectionSpec) string {
	h := sha256.New()
	fmt.Fprintln(h, bpf.Version)
	for _, name := range slices.Sorted(maps.Keys(spec.Maps)) {
		if m := spec.Maps[name]; lasting(name) {
			fmt.Fprintln(h, name, m.Type, m.KeySize, m.ValueSize, m.MaxEntries, m.Flags)
			writeType(h, m.Key)
			writeType(h, m.Value)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// writeType writes a type with all that it is made of. Kinds that are not
// spelled out (there are none in values of maps) count by their names.
func writeType(h hash.Hash, t btf.Type) {
	switch t := t.(type) {
	case nil:
	case *btf.Struct:
		writeMembers(h, "struct", t.Size, t.Members)
	case *btf.Union:
		writeMembers(h, "union", t.Size, t.Members)
	case *btf.Array:
		fmt.Fprintln(h, "array", t.Nelems)
		writeType(h, t.Type)
	case *btf.Enum:
		fmt.Fprintln(h, "enum", t.Size, t.Values)
	case *btf.Typedef:
		writeType(h, t.Type)
	case *btf.Const:
		writeType(h, t.Type)
	case *btf.Volatile:
		writeType(h, t.Type)
	default:
		fmt.Fprintf(h, "%T %s\n", t, t.TypeName())
	}
}

func writeMembers(h hash.Hash, kind string, size uint32, members []btf.Member) {
	fmt.Fprintln(h, kind, size, len(members))
	for _, m := range members {
		fmt.Fprintln(h, m.Name, m.Offset, m.BitfieldSize)
		writeType(h, m.Type)
	}
}
