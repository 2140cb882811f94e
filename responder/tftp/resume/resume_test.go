package resume

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/xdpxe/xdpxe/responder/mapfile"
)

func sample(port int) Transfer {
	return Transfer{
		Client: [16]byte{10: 0xff, 11: 0xff, 12: 192, 14: 2, 15: 1}, Port: uint16(port), Local: [16]byte{15: 2}, Socket: 3, TID: 40000,
		Blksize: 1000, Window: 16, Burst: 8, MTU: 1500, Timeout: 5, Options: 7, Size: 100_000, Request: 99, Started: 12345, Base: 17,
	}
}

var image = File{Path: "boot/image", Dev: 1, Ino: 2, Size: 100_000, Sec: 3, Nsec: 4}

func create(t testing.TB, path string, transfers int) *State {
	t.Helper()
	s, err := Create(path, transfers)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Publish(); err != nil {
		t.Fatal(err)
	}
	return s
}

// written returns the file of a process that was killed with two transfers running.
func written(t testing.TB) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state")
	s := create(t, path, 3)
	defer s.Close()
	for port := 1; port <= 2; port++ {
		tr := sample(port)
		if s.Add(&tr, image) == nil {
			t.Fatal("no room")
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSurvives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	s := create(t, path, 10)
	var records []*Record
	for port := range 4 {
		tr := sample(port + 1)
		records = append(records, s.Add(&tr, image))
	}
	records[1].SetBase(40)
	s.Remove(records[2])
	if _, _, err := Read(path); !errors.Is(err, mapfile.ErrInUse) {
		t.Errorf("read under a living process: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	got, torn, err := Read(path)
	if err != nil || torn != 0 {
		t.Fatalf("%d torn, %v", torn, err)
	}
	var want []Saved
	for _, port := range []int{1, 2, 4} {
		w := Saved{sample(port), image}
		if port == 2 {
			w.Base = 40
		}
		want = append(want, w)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// Until Publish the last process's file is the one that counts.
func TestPublish(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	old := create(t, path, 1)
	tr := sample(1)
	old.Add(&tr, image)
	old.Close()
	for range 2 { // killed before it published
		s, err := Create(path, 5)
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	if got, _, err := Read(path); err != nil || len(got) != 1 {
		t.Errorf("%d transfers, %v; want the one of before", len(got), err)
	}
	create(t, path, 5).Close()
	if got, _, err := Read(path); err != nil || len(got) != 0 {
		t.Errorf("%d transfers, %v; want none of the new file", len(got), err)
	}
}

func TestRoom(t *testing.T) {
	s := create(t, filepath.Join(t.TempDir(), "state"), 3)
	defer s.Close()
	var records []*Record
	for i := range 3 {
		tr, f := sample(i+1), image
		f.Ino = uint64(i)
		records = append(records, s.Add(&tr, f))
	}
	tr := sample(9)
	if s.Add(&tr, image) != nil {
		t.Error("a fourth of three")
	}
	for _, r := range records {
		s.Remove(r)
	}
	if len(s.index) != 0 || len(s.freeFiles) != 3 || len(s.free) != 3 {
		t.Errorf("left over: %d files, %d free, %d records free", len(s.index), len(s.freeFiles), len(s.free))
	}
	long := image
	long.Path = strings.Repeat("x", maxPath+1)
	if s.Add(&tr, long) != nil {
		t.Error("kept a path that does not fit")
	}
	long.Path = long.Path[:maxPath]
	if s.Add(&tr, long) == nil {
		t.Error("no room for a path that fits")
	}
}

func TestRefused(t *testing.T) {
	boot, err := mapfile.BootID()
	if err != nil {
		t.Fatal(err)
	}
	good := written(t)
	var h header
	for _, c := range []struct {
		name   string
		change func([]byte) []byte
		want   string
	}{
		{"empty", func([]byte) []byte { return nil }, "is truncated: 0 bytes"},
		{"header cut", func(b []byte) []byte { return b[:headerSize-1] }, "is truncated"},
		{"tables cut", func(b []byte) []byte { return b[:len(b)-1] }, "is truncated: it has"},
		{"longer", func(b []byte) []byte { return append(b, 0) }, "should have"},
		{"foreign", func(b []byte) []byte { copy(b, "SQLite f"); return b }, "is none of xdpxe's"},
		{"newer", func(b []byte) []byte { b[unsafe.Offsetof(h.version)]++; return b }, "written by a newer xdpxe (layout 2, this one has 1)"},
		{"older", func(b []byte) []byte { b[unsafe.Offsetof(h.version)]--; return b }, "written by an older xdpxe"},
		{"other record size", func(b []byte) []byte { b[unsafe.Offsetof(h.recordSize)] += 8; return b }, "damaged header"},
		{"tables of other sizes", func(b []byte) []byte { b[unsafe.Offsetof(h.records)+3] = 0xff; return b }, "damaged header"},
		{"other boot", func(b []byte) []byte {
			hh, _, _ := tables(b, 0, 0)
			hh.boot[0]++
			hh.sum = hh.checksum()
			return b
		}, "before the machine was started"},
	} {
		t.Run(c.name, func(t *testing.T) {
			all, _, err := parse(c.change(bytes.Clone(good)), boot)
			if err == nil || !strings.Contains(err.Error(), c.want) || len(all) != 0 {
				t.Errorf("%d transfers, %v; want %q", len(all), err, c.want)
			}
		})
	}
	if _, _, err := Read(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, _, err := Read(t.TempDir()); err == nil {
		t.Error("read a directory")
	}
}

// One record that is not whole is left out; the others count.
func TestTorn(t *testing.T) {
	boot, err := mapfile.BootID()
	if err != nil {
		t.Fatal(err)
	}
	good := written(t)
	record := func(b []byte) *Record {
		h, _, _ := tables(b, 0, 0)
		_, _, records := tables(b, h.files, h.records)
		return &records[0]
	}
	reseal := func(r *Record) { r.live.Store(r.fixed.checksum()) }
	for name, change := range map[string]func(b []byte, r *Record){
		"any byte":         func(_ []byte, r *Record) { r.fixed.mtu++ },
		"half published":   func(_ []byte, r *Record) { r.fixed.port = 0 },
		"file beyond":      func(_ []byte, r *Record) { r.fixed.file = 3; reseal(r) },
		"file free":        func(_ []byte, r *Record) { r.fixed.file = 1; reseal(r) },
		"base beyond end":  func(_ []byte, r *Record) { r.base.Store(102) },
		"base huge":        func(_ []byte, r *Record) { r.base.Store(1 << 63) },
		"blksize 0":        func(_ []byte, r *Record) { r.fixed.blksize = 0; reseal(r) },
		"blksize too big":  func(_ []byte, r *Record) { r.fixed.blksize = 65465; reseal(r) },
		"window 0":         func(_ []byte, r *Record) { r.fixed.window = 0; reseal(r) },
		"other size":       func(_ []byte, r *Record) { r.fixed.size++; reseal(r) },
		"negative size":    func(_ []byte, r *Record) { r.fixed.size = -1; reseal(r) },
		"no port":          func(_ []byte, r *Record) { r.fixed.port = 0; reseal(r) },
		"no OACK, base 0":  func(_ []byte, r *Record) { r.fixed.options = 0; r.base.Store(0); reseal(r) },
		"no transfer id":   func(_ []byte, r *Record) { r.fixed.tid = 0; reseal(r) },
		"live without sum": func(_ []byte, r *Record) { r.live.Store(1) },
	} {
		t.Run(name, func(t *testing.T) {
			b := bytes.Clone(good)
			change(b, record(b))
			all, torn, err := parse(b, boot)
			if err != nil || torn != 1 || len(all) != 1 {
				t.Errorf("%d transfers, %d torn, %v; want 1 and 1", len(all), torn, err)
			}
		})
	}
	b := bytes.Clone(good)
	h, _, _ := tables(b, 0, 0)
	_, entries, _ := tables(b, h.files, h.records)
	entries[record(b).fixed.file].path[0]++
	if all, torn, err := parse(b, boot); err != nil || torn != 2 || len(all) != 0 {
		t.Errorf("damaged file entry: %d transfers, %d torn, %v", len(all), torn, err)
	}
}

func FuzzParse(f *testing.F) {
	boot, err := mapfile.BootID()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(written(f), false)
	f.Fuzz(func(t *testing.T, data []byte, seal bool) {
		if seal && len(data) >= headerSize { // let it into the tables
			h, _, _ := tables(data, 0, 0)
			h.magic, h.version, h.boot = magic, Version, boot
			h.headerSize, h.fileSize, h.recordSize = uint32(headerSize), uint32(entrySize), uint32(recordSize)
			h.sum = h.checksum()
		}
		all, _, err := parse(data, boot)
		for _, s := range all {
			if err != nil || !s.valid(&s.File) || s.File.Path == "" || len(s.File.Path) > maxPath {
				t.Errorf("%+v, %v", s, err)
			}
		}
	})
}
