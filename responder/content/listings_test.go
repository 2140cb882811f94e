package content

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lookup returns what is found under a name, "" for nothing.
func lookup(t *testing.T, root *Root, name string) string {
	t.Helper()
	f, err := root.Lookup(name)
	if errors.Is(err, ErrNotFound) {
		return ""
	}
	must(t, err)
	defer f.Release()
	return read(t, f)
}

// scanned returns how many directory entries are read to find a path.
func scanned(root *Root, name string) int {
	s := search{root: root.root, listings: root.listings, left: maxScanned}
	s.find(".", strings.Split(name, "/"))
	return maxScanned - s.left
}

func TestListingsAreRemembered(t *testing.T) {
	root, _ := tree(t, map[string]string{"Boot/Fonts/WGL4_Boot.ttf": "font", "Boot/BCD": "bcd", "pxelinux.cfg/default": "d"})
	for _, name := range []string{
		"boot/fonts/wgl4_boot.TTF", "boot/bcd", "boot/missing", "missing", "missing/too",
		"PXELINUX.cfg/01-52-54-00-12-34-56", "pxelinux.cfg/C0000264", "boot/bcd/below",
	} {
		lookup(t, root, name)
		if n := scanned(root, name); n != 0 {
			t.Errorf("%s: %d entries are read the second time", name, n)
		}
	}
	if got := lookup(t, root, `BOOT\FONTS\wgl4_boot.ttf`); got != "font" {
		t.Errorf("found %q", got)
	}
}

// TestListingsFollowChanges changes directories between lookups, as fast as it
// can: their time stamps alone would not tell.
func TestListingsFollowChanges(t *testing.T) {
	root, dir := tree(t, map[string]string{"Dir/Old": "old", "Other/Deep/File": "deep", "tmp/x": "x"})
	at := func(name string) string { return filepath.Join(dir, name) }
	want := func(name, content string) {
		t.Helper()
		if got := lookup(t, root, name); got != content {
			t.Fatalf("%s: found %q, want %q", name, got, content)
		}
		if got := lookup(t, root, name); got != content {
			t.Fatalf("%s: found %q the second time, want %q", name, got, content)
		}
	}
	for i := range 50 {
		name := fmt.Sprint("new", i)
		want("DIR/"+name, "")
		must(t, os.WriteFile(at("Dir/"+strings.ToUpper(name)), []byte(name), 0o644))
		want("dir/"+name, name)
		must(t, os.Rename(at("Dir/"+strings.ToUpper(name)), at("Dir/X"+name)))
		want("dir/"+name, "")
		want("DIR/x"+name, name)
		must(t, os.Rename(at("Dir/X"+name), at("tmp/"+name)))
		want("DIR/x"+name, "")
		want("TMP/"+name, name)
		must(t, os.Remove(at("tmp/"+name)))
		want("TMP/"+name, "")

		// A directory on the way goes, and comes back as another one.
		want("OTHER/deep/file", "deep")
		must(t, os.Rename(at("Other"), at("gone")))
		want("OTHER/deep/file", "")
		must(t, os.MkdirAll(at("Other/deep"), 0o755))
		must(t, os.WriteFile(at("Other/deep/FILE"), []byte(name), 0o644))
		want("OTHER/deep/file", name)
		must(t, os.RemoveAll(at("Other")))
		want("OTHER/deep/file", "")
		must(t, os.Rename(at("gone"), at("Other")))

		// A link on the way turns elsewhere.
		must(t, os.Symlink("Dir", at("link")))
		want("LINK/old", "old")
		must(t, os.Remove(at("link")))
		want("LINK/old", "")
		must(t, os.Symlink("tmp", at("link")))
		want("LINK/old", "")
		want("LINK/X", "x")
		must(t, os.Remove(at("link")))
	}
	root.listings.mu.Lock()
	defer root.listings.mu.Unlock()
	// The removed directories are not remembered.
	root.listings.drain()
	if n := len(root.listings.byID); n != len(root.listings.byWatch) || n > 7 {
		t.Errorf("%d directories and %d watches are left", n, len(root.listings.byWatch))
	}
}

// TestListingsSeeMounts mounts over a directory that is remembered: inotify says nothing.
func TestListingsSeeMounts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting takes root")
	}
	root, dir := tree(t, map[string]string{"iso/": "", "image/File": "on the image"})
	if got := lookup(t, root, "ISO/file"); got != "" {
		t.Fatalf("found %q", got)
	}
	must(t, unix.Mount(filepath.Join(dir, "image"), filepath.Join(dir, "iso"), "", unix.MS_BIND, ""))
	if got := lookup(t, root, "ISO/file"); got != "on the image" {
		t.Errorf("found %q on what is mounted", got)
	}
	must(t, unix.Unmount(filepath.Join(dir, "iso"), 0))
	if got := lookup(t, root, "ISO/file"); got != "" {
		t.Errorf("found %q on what is no longer mounted", got)
	}
}

func TestListingsBounds(t *testing.T) {
	files := map[string]string{}
	for i := range maxListings + 20 {
		files[fmt.Sprintf("Dir%d/File", i)] = fmt.Sprint(i)
	}
	root, _ := tree(t, files)
	for range 2 {
		for i := range maxListings + 20 {
			if got := lookup(t, root, fmt.Sprintf("dir%d/file", i)); got != fmt.Sprint(i) {
				t.Fatalf("directory %d: found %q", i, got)
			}
		}
	}
	if n := len(root.listings.byID); n != maxListings {
		t.Errorf("%d directories are remembered, want %d", n, maxListings)
	}

	t.Run("entries", func(t *testing.T) {
		root, _ := tree(t, map[string]string{"File": "f"})
		root.listings.listed = maxListed
		if got := lookup(t, root, "file"); got != "f" {
			t.Errorf("found %q", got)
		}
		if scanned(root, "file") == 0 {
			t.Error("remembered beyond the bound")
		}
	})
	t.Run("no inotify", func(t *testing.T) {
		root, _ := tree(t, map[string]string{"File": "f"})
		root.listings.close()
		if got := lookup(t, root, "file"); got != "f" {
			t.Errorf("found %q", got)
		}
		if scanned(root, "file") == 0 {
			t.Error("remembered without a way to know of changes")
		}
	})
	t.Run("overflow", func(t *testing.T) {
		root, _ := tree(t, map[string]string{"File": "f"})
		lookup(t, root, "file")
		root.listings.event(-1, unix.IN_Q_OVERFLOW)
		if scanned(root, "file") == 0 {
			t.Error("remembered though events were lost")
		}
		if scanned(root, "file") != 0 {
			t.Error("not remembered afterwards")
		}
	})
	t.Run("changed while read", func(t *testing.T) {
		root, dir := tree(t, map[string]string{"File": "f"})
		d, err := root.root.Open(".")
		must(t, err)
		defer d.Close()
		info, err := d.Stat()
		must(t, err)
		state, _ := stateOf(info)
		l := root.listings.begin(d, state)
		if root.listings.begin(d, state) != nil {
			t.Error("two read the same directory for one listing")
		}
		names, err := d.Readdirnames(-1)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, "Late"), []byte("late"), 0o644))
		must(t, os.Chtimes(dir, time.Time{}, info.ModTime()))
		root.listings.end(l, names, true)
		if got := lookup(t, root, "late"); got != "late" {
			t.Errorf("found %q", got)
		}
	})
}

// TestLookupThroughFIFO must not wait for somebody to write to it.
func TestLookupThroughFIFO(t *testing.T) {
	root, dir := tree(t, nil)
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o644))
	if _, err := root.Lookup("FIFO/below"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

func FuzzFoldName(f *testing.F) {
	for _, pair := range [][2]string{{"Boot", "bOOT"}, {"ſ", "S"}, {"K", "k"}, {"é", "É"}, {"\xff", "\xfe"}, {"a_", "A"}, {"@", "`"}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if same := foldName(a) == foldName(b); same != strings.EqualFold(a, b) {
			t.Errorf("%q and %q: folded alike %v, EqualFold says %v", a, b, same, !same)
		}
	})
}
