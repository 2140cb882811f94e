package content

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tree lays files (path -> content; a path ending in "/" is a directory) in a fresh root.
func tree(t *testing.T, files map[string]string) (*Root, string) {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(path, 0o755))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(data), 0o644))
	}
	root, err := Open(dir)
	must(t, err)
	t.Cleanup(func() { root.Close() })
	return root, dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, f *File) string {
	t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
	must(t, err)
	return string(b)
}

func TestLookupNames(t *testing.T) {
	root, dir := tree(t, map[string]string{
		"Boot/BCD": "bcd", "boot/x64/wdsnbp.com": "nbp", "pick/Mixed": "mixed", "pick/MIXED": "upper", "pick/mixed": "lower",
		"two/a": "1", "TWO/b": "2", "é": "e", "sub/": "",
	})
	must(t, os.Symlink("Boot/BCD", filepath.Join(dir, "inside")))
	must(t, os.Symlink("sub/../Boot", filepath.Join(dir, "insidedir")))
	must(t, os.Symlink("/etc/passwd", filepath.Join(dir, "outside")))
	must(t, os.Symlink("../"+filepath.Base(dir)+"/Boot/BCD", filepath.Join(dir, "outandin")))
	must(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	must(t, os.Symlink("nothing", filepath.Join(dir, "dangling")))
	must(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644))

	for _, c := range []struct {
		name string
		want string // content, when err is nil
		err  error
	}{
		{`\Boot\BCD`, "bcd", nil},
		{`/Boot/BCD`, "bcd", nil},
		{`Boot\bcd`, "bcd", nil},
		{`//boot//BCD`, "bcd", nil},
		{`/\boot\BCD`, "bcd", nil},
		{`./Boot/./BCD`, "bcd", nil},
		{"Boot/BCD\xff", "bcd", nil},
		{"Boot/BCD\r\n", "bcd", nil},
		{"Boot/BCD\x80\xff\x01", "bcd", nil},
		{"é", "e", nil},
		{`BOOT\X64\WDSNBP.COM`, "nbp", nil},
		{"pick/Mixed", "mixed", nil},
		{"pick/mixed", "lower", nil},
		{"pick/mIXED", "upper", nil}, // first in byte order
		{"two/a", "1", nil},
		{"two/b", "2", nil}, // the exact directory does not have it, the other one does
		{"TWO/A", "1", nil},
		{"inside", "bcd", nil},
		{"INSIDEDIR/bcd", "bcd", nil},

		{"missing", "", ErrNotFound},
		{"Boot/missing", "", ErrNotFound},
		{"Boot/BCD/more", "", ErrNotFound},
		{"dangling", "", ErrNotFound},
		{`C:\x`, "", ErrNotFound},
		{"../etc/passwd", "", ErrOutside},
		{`..\..\x`, "", ErrOutside},
		{"/a/../../x", "", ErrOutside},
		{"Boot/../Boot/BCD", "", ErrOutside},
		{"Boot/BCD\x00/../../etc/passwd", "", ErrBadName},
		{"Boot/\x01BCD", "", ErrBadName},
		{"outside", "", ErrOutside},
		{"outandin", "", ErrOutside},
		{"loop", "", ErrNotRegular},
		{"fifo", "", ErrNotRegular},
		{"", "", ErrBadName},
		{"\xff\xff", "", ErrBadName},
		{strings.Repeat("a", maxComponent+1), "", ErrBadName},
		{strings.Repeat("a/", maxComponents+1), "", ErrBadName},
		{strings.Repeat("/", maxName) + "é", "", ErrBadName},
		{"Boot", "", ErrIsDir},
		{"boot/X64/", "", ErrIsDir},
		{"/", "", ErrIsDir},
		{".", "", ErrIsDir},
	} {
		f, err := root.Lookup(c.name)
		if !errors.Is(err, c.err) {
			t.Errorf("Lookup(%q) = %v, want %v", c.name, err, c.err)
		}
		if c.err != nil && c.err != ErrNotFound && c.err != ErrIsDir && !errors.Is(err, ErrRefused) {
			t.Errorf("Lookup(%q) = %v, which is no refusal", c.name, err)
		}
		if err != nil {
			continue
		}
		if got := read(t, f); got != c.want {
			t.Errorf("Lookup(%q) found %q, want %q", c.name, got, c.want)
		}
		f.Release()
	}
	if n := len(root.open); n != 0 {
		t.Errorf("%d files left open", n)
	}
}

func TestLookupPermission(t *testing.T) {
	root, dir := tree(t, map[string]string{"secret": "s", "closed/file": "f"})
	must(t, os.Chmod(filepath.Join(dir, "secret"), 0))
	must(t, os.Chmod(filepath.Join(dir, "closed"), 0))
	if os.Geteuid() == 0 {
		// Root's file capabilities go with the thread's file system user.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		syscall.RawSyscall(unix.SYS_SETFSUID, 65534, 0, 0)
		defer syscall.RawSyscall(unix.SYS_SETFSUID, 0, 0, 0)
	}
	for _, name := range []string{"secret", "closed/file"} {
		if _, err := root.Lookup(name); !errors.Is(err, ErrNoPermission) {
			t.Errorf("Lookup(%q) = %v, want %v", name, err, ErrNoPermission)
		}
	}
}

func TestLookupAfterClose(t *testing.T) {
	root, _ := tree(t, map[string]string{"a": "data"})
	f, err := root.Lookup("a")
	must(t, err)
	must(t, root.Close())
	if got := read(t, f); got != "data" {
		t.Errorf("file of a closed root holds %q", got)
	}
	f.Release()
	if _, err := root.Lookup("a"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Lookup on a closed root: %v", err)
	}
}

func TestLookupScansBounded(t *testing.T) {
	root, _ := tree(t, map[string]string{"a": "", "b": "", "Wanted": ""})
	s := search{root: root.root, listings: root.listings, left: 2}
	s.find(".", []string{"wanted"})
	s.find(".", []string{"wanted"})
	if s.left < 0 {
		t.Errorf("read %d entries over the budget", -s.left)
	}
	if _, ok := s.find(".", []string{"wanted"}); ok {
		t.Error("found a name without a budget to read directories")
	}
}

func TestShare(t *testing.T) {
	root, dir := tree(t, map[string]string{"a": "first", "empty": ""})
	must(t, os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b")))
	a, err := root.Lookup("a")
	must(t, err)
	b, err := root.Lookup("B")
	must(t, err)
	if a != b {
		t.Error("two names of one inode have two mappings")
	}
	if len(a.Mapping()) != 5 || a.Size() != 5 {
		t.Errorf("mapping of %d, size %d, want 5", len(a.Mapping()), a.Size())
	}
	b.Release()
	if got := read(t, a); got != "first" {
		t.Errorf("after the other's release: %q", got)
	}
	a.Release()

	e, err := root.Lookup("empty")
	must(t, err)
	if e.Size() != 0 || e.Mapping() != nil || e.Changed() {
		t.Errorf("empty file: size %d, mapping %d, changed %v", e.Size(), len(e.Mapping()), e.Changed())
	}
	e.Release()
	if n := len(root.open); n != 0 {
		t.Errorf("%d files left open", n)
	}
}

func TestChanged(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(path string) error
		want   bool
	}{
		{"untouched", func(string) error { return nil }, false},
		{"read", func(p string) error { _, err := os.ReadFile(p); return err }, false},
		{"chmod", func(p string) error { return os.Chmod(p, 0o600) }, false},
		{"renamed over", func(p string) error {
			if err := os.WriteFile(p+".new", []byte("new"), 0o644); err != nil {
				return err
			}
			return os.Rename(p+".new", p)
		}, false},
		{"unlinked", os.Remove, false},
		{"truncated", func(p string) error { return os.Truncate(p, 1) }, true},
		{"truncated to nothing", func(p string) error { return os.Truncate(p, 0) }, true},
		{"truncated and extended again", func(p string) error { return errors.Join(os.Truncate(p, 1), os.Truncate(p, 3)) }, true},
		{"overwritten within the second", func(p string) error {
			return errors.Join(os.WriteFile(p, []byte("NEW"), 0o644), os.Chtimes(p, time.Time{}, time.Unix(1_000_000, 1)))
		}, true},
		{"appended", func(p string) error {
			f, err := os.OpenFile(p, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString("x")
			return err
		}, true},
		{"overwritten in place", func(p string) error {
			f, err := os.OpenFile(p, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString("XXX")
			return err
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			root, dir := tree(t, map[string]string{"a": "old"})
			path := filepath.Join(dir, "a")
			// An old time stamp: what is written now differs from it for certain.
			must(t, os.Chtimes(path, time.Unix(1_000_000, 0), time.Unix(1_000_000, 0)))
			f, err := root.Lookup("a")
			must(t, err)
			defer f.Release()
			must(t, c.change(path))
			if got := f.Changed(); got != c.want {
				t.Errorf("Changed() = %v, want %v", got, c.want)
			}
			if c.name == "renamed over" {
				g, err := root.Lookup("a")
				must(t, err)
				if f == g || read(t, f) != "old" || read(t, g) != "new" {
					t.Error("the old file's readers do not keep the old one")
				}
				g.Release()
			}
		})
	}
}

func TestSparsePast4GiB(t *testing.T) {
	root, dir := tree(t, nil)
	path := filepath.Join(dir, "big")
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	const size = 5<<30 + 7
	must(t, f.Truncate(size))
	_, err = f.WriteAt([]byte("tail"), size-4)
	must(t, err)
	big, err := root.Lookup("BIG")
	must(t, err)
	defer big.Release()
	if big.Size() != size || len(big.Mapping()) != size {
		t.Fatalf("size %d, mapping %d, want %d", big.Size(), len(big.Mapping()), size)
	}
	got := make([]byte, 4)
	_, err = big.ReadAt(got, size-4)
	must(t, err)
	if !bytes.Equal(got, []byte("tail")) {
		t.Errorf("tail is %q", got)
	}
}

func FuzzLookup(f *testing.F) {
	for _, name := range []string{`\Boot\BCD`, "../x", "a\x00b", "\xff", "boot//BCD/", "out", `C:\x`, strings.Repeat("../", 40) + "etc/passwd"} {
		f.Add(name)
	}
	dir := f.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "Boot"), 0o755); err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Boot", "BCD"), []byte("inside"), 0o644); err != nil {
		f.Fatal(err)
	}
	if err := os.Symlink("/etc", filepath.Join(dir, "out")); err != nil {
		f.Fatal(err)
	}
	root, err := Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { root.Close() })
	f.Fuzz(func(t *testing.T, name string) {
		file, err := root.Lookup(name)
		if err != nil {
			if !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrRefused) && !errors.Is(err, ErrIsDir) {
				t.Fatalf("Lookup(%q): %v is none of the package's errors", name, err)
			}
			return
		}
		defer file.Release()
		if got := read(t, file); got != "inside" {
			t.Fatalf("Lookup(%q) read %q", name, got)
		}
	})
}
