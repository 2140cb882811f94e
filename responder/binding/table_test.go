package binding

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/xdpxe/xdpxe/responder/mapfile"
)

func open(t testing.TB, path string, size int) *Table {
	t.Helper()
	tab, err := Open(path, size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tab.Close() })
	return tab
}

// written returns the file of a process that was killed with three machines known.
func written(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bindings")
	tab := open(t, path, 8)
	for n := 1; n <= 3; n++ {
		tab.Answered(mac(n), uuid(n), "x64-uefi", "linux", fmt.Sprintf("d-%d", n), []byte("port"), t0)
		tab.Bind(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), mac(n), uuid(n), t0)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSurvives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "bindings")
	tab := open(t, path, 4)
	now := t0
	for n := 1; n <= 3; n++ {
		now = now.Add(time.Second)
		tab.Answered(mac(n), uuid(n), "x64-uefi", "linux", fmt.Sprintf("d-%d", n), []byte("port"), now)
		tab.Bind(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), mac(n), nil, now)
	}
	tab.Bind(netip.MustParseAddr("192.0.2.3"), mac(4), nil, now) // contested
	if _, err := Open(path, 4); !errors.Is(err, mapfile.ErrInUse) {
		t.Errorf("opened under a living process: %v", err)
	}
	want, _ := tab.Who(netip.MustParseAddr("192.0.2.2"), now)

	for _, size := range []int{4, 8, 3} { // of what was heard last, as much as there is room for
		if err := tab.Close(); err != nil {
			t.Fatal(err)
		}
		tab.Bind(netip.MustParseAddr("192.0.2.5"), mac(5), nil, now) // a worker that is late
		if _, ok := tab.Who(netip.MustParseAddr("192.0.2.1"), now); ok {
			t.Error("a closed table knows somebody")
		}
		tab = open(t, path, size)
		if r := tab.Restored(); r.Machines != min(size, 4) || r.Torn != 0 || r.Lost != nil {
			t.Errorf("size %d: restored %+v", size, r)
		}
		check(t, tab)
		if got, ok := tab.Who(netip.MustParseAddr("192.0.2.2"), now); !ok || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("size %d: got  %+v\nwant %+v", size, got, want)
		}
		if got := who(tab, "192.0.2.3", now); got != 0 {
			t.Errorf("size %d: the contest is forgotten: %d", size, got)
		}
	}
	if got := who(tab, "192.0.2.1", now); got != 0 {
		t.Errorf("the longest unheard is still there: %d", got)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("left over: %v", files)
	}
}

// A file that cannot be gone on with is told of, and replaced.
func TestBeginsAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bindings")
	if err := os.WriteFile(path, []byte(strings.Repeat("not ours ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	tab := open(t, path, 4)
	if r := tab.Restored(); r.Lost == nil || !strings.Contains(r.Lost.Error(), path+" is none of xdpxe's") || r.Machines != 0 {
		t.Errorf("%+v", r)
	}
	tab.Bind(netip.MustParseAddr("192.0.2.1"), mac(1), nil, t0)
	tab.Close()
	if tab = open(t, path, 4); tab.Restored().Lost != nil || who(tab, "192.0.2.1", t0) != 1 {
		t.Errorf("the new file is not gone on with: %+v", tab.Restored())
	}
	if _, err := Open(filepath.Join(path, "below a file"), 4); err == nil {
		t.Error("made a file where there can be none")
	}
	if _, err := Open("", MaxSize+1); err == nil {
		t.Error("made a table of any size")
	}
}

func TestRefused(t *testing.T) {
	boot, err := mapfile.BootID()
	if err != nil {
		t.Fatal(err)
	}
	good := written(t)
	var h header
	reseal := func(b []byte, change func(*header)) []byte {
		h, _ := view(b, 0)
		change(h)
		h.sum = h.checksum()
		return b
	}
	for _, c := range []struct {
		name   string
		change func([]byte) []byte
		want   string
	}{
		{"empty", func([]byte) []byte { return nil }, "is truncated: 0 bytes"},
		{"header cut", func(b []byte) []byte { return b[:headerSize-1] }, "is truncated"},
		{"slots cut", func(b []byte) []byte { return b[:len(b)-1] }, "is truncated: it has"},
		{"longer", func(b []byte) []byte { return append(b, 0) }, "should have"},
		{"foreign", func(b []byte) []byte { copy(b, "SQLite f"); return b }, "is none of xdpxe's"},
		{"newer", func(b []byte) []byte { b[unsafe.Offsetof(h.version)]++; return b }, "written by a newer xdpxe (layout 2, this one has 1)"},
		{"older", func(b []byte) []byte { b[unsafe.Offsetof(h.version)]--; return b }, "written by an older xdpxe"},
		{"other slot size", func(b []byte) []byte { return reseal(b, func(h *header) { h.slotSize += 8 }) }, "damaged header"},
		{"slots without number", func(b []byte) []byte { return reseal(b, func(h *header) { h.slots = MaxSize + 1 }) }, "damaged header"},
		{"a bit of the header", func(b []byte) []byte { b[unsafe.Offsetof(h.slots)] ^= 1; return b }, "damaged header"},
		{"other boot", func(b []byte) []byte { return reseal(b, func(h *header) { h.boot[0]++ }) }, "before the machine was started"},
	} {
		t.Run(c.name, func(t *testing.T) {
			all, _, err := parse(c.change(bytes.Clone(good)), boot)
			if err == nil || !strings.Contains(err.Error(), c.want) || len(all) != 0 {
				t.Errorf("%d machines, %v; want %q", len(all), err, c.want)
			}
		})
	}
}

// One slot that is not whole is left out; the others count.
func TestTorn(t *testing.T) {
	boot, err := mapfile.BootID()
	if err != nil {
		t.Fatal(err)
	}
	good := written(t)
	for name, change := range map[string]func(s *slot){
		"any byte":        func(s *slot) { s.circuit[maxCircuit-1]++ },
		"half written":    func(s *slot) { s.profile[0] = 'X' },
		"another address": func(s *slot) { s.addr[15]++ },
		"live, no sum":    func(s *slot) { s.live.Store(1) },
		"name too long":   func(s *slot) { s.profileLen = maxName + 1; s.live.Store(s.record.checksum()) },
		"arch too long":   func(s *slot) { s.archLen = maxArch + 1; s.live.Store(s.record.checksum()) },
		"circuit id":      func(s *slot) { s.circuitLen = maxCircuit + 1; s.live.Store(s.record.checksum()) },
		"hardware":        func(s *slot) { s.macLen = 17; s.live.Store(s.record.checksum()) },
		"nobody":          func(s *slot) { s.macLen, s.flags = 0, 0; s.live.Store(s.record.checksum()) },
		"no address":      func(s *slot) { s.addr = [16]byte{}; s.live.Store(s.record.checksum()) },
	} {
		t.Run(name, func(t *testing.T) {
			b := bytes.Clone(good)
			_, slots := view(b, 8)
			change(&slots[0])
			all, torn, err := parse(b, boot)
			if err != nil || torn != 1 || len(all) != 2 {
				t.Errorf("%d machines, %d torn, %v; want 2 and 1", len(all), torn, err)
			}
		})
	}
}

// Whatever is in a file, what is taken over is a table that holds together.
func FuzzParse(f *testing.F) {
	boot, err := mapfile.BootID()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(written(f), false)
	f.Add(written(f), true)
	f.Fuzz(func(t *testing.T, data []byte, seal bool) {
		data = mapfile.Aligned(data)
		if slots := (len(data) - headerSize) / slotSize; seal && len(data) >= headerSize { // let it into the slots
			data = data[:length(slots)]
			h, all := view(data, slots)
			*h = header{magic: magic, version: Version, headerSize: uint32(headerSize), slotSize: uint32(slotSize), slots: uint32(slots), boot: boot}
			h.sum = h.checksum()
			for i := range all {
				all[i].live.Store(all[i].record.checksum())
			}
		}
		all, _, err := parse(data, boot)
		if err != nil {
			return
		}
		tab := table(t, 4)
		tab.restore(all)
		check(t, tab)
		tab.Bind(netip.MustParseAddr("192.0.2.1"), mac(1), uuid(1), t0)
		check(t, tab)
	})
}

func TestConcurrent(t *testing.T) {
	tab := open(t, filepath.Join(t.TempDir(), "bindings"), 64)
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 2000 {
				n := w*1000 + i%100
				addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})
				now := t0.Add(time.Duration(i) * time.Minute)
				tab.Answered(mac(n), nil, "bios", "linux", "d", []byte("port"), now)
				tab.Bind(addr, mac(n), nil, now)
				if m, ok := tab.Who(addr, now); ok && m.MAC.IsZero() {
					t.Error("a machine without a name")
				}
				tab.Stats()
			}
		})
	}
	all.Wait()
	check(t, tab)
}

func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	tab := table(t, 1024)
	id, circuit, m, u := netip.MustParseAddr("192.0.2.1"), []byte("port 7"), mac(1), uuid(1)
	var n int
	if got := testing.AllocsPerRun(2000, func() {
		n++
		now := t0.Add(time.Duration(n) * time.Second)
		m[5] = byte(n)
		m[4] = byte(n >> 8) // new ones, and more than fit
		tab.Answered(m, u, "x64-uefi", "linux", "d-1", circuit, now)
		tab.Bind(id, m, u, now)
		id = id.Next()
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
	tab.Answered(mac(9999), u, "x64-uefi", "linux", "d-1", nil, t0) // without a circuit id, which is copied
	tab.Bind(id, mac(9999), u, t0)
	if got := testing.AllocsPerRun(100, func() { tab.Who(id, t0) }); got != 0 {
		t.Errorf("%v allocations of Who", got)
	}
}

func BenchmarkAnswered(b *testing.B) {
	tab := open(b, filepath.Join(b.TempDir(), "bindings"), 0)
	for _, c := range []struct {
		name     string
		machines int
	}{{"known", 10_000}, {"new", 1 << 24}} {
		b.Run(c.name, func(b *testing.B) {
			u := uuid(1)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m := [6]byte{2, 0, 0, byte(i % c.machines >> 16), byte(i % c.machines >> 8), byte(i % c.machines)}
				tab.Answered(m[:], u, "x64-uefi", "linux", "d-1", nil, t0.Add(time.Duration(i)))
			}
		})
	}
}

func BenchmarkBind(b *testing.B) {
	tab := open(b, filepath.Join(b.TempDir(), "bindings"), 0)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		n := i % 10_000
		m := [6]byte{2, 0, 0, byte(n >> 16), byte(n >> 8), byte(n)}
		tab.Bind(netip.AddrFrom4([4]byte{10, m[3], m[4], m[5]}), m[:], nil, t0.Add(time.Duration(i)))
	}
}
