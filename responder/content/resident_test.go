package content

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// evict takes a file out of the page cache, which it must not be mapped in.
func evict(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	must(t, f.Sync())
	must(t, unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
}

func TestChunks(t *testing.T) {
	const size = 3*ChunkSize + 100_000
	root, dir := tree(t, map[string]string{"f": strings.Repeat("x", size), "empty": ""})
	path := filepath.Join(dir, "f")
	evict(t, path)
	f, err := root.Lookup("f")
	must(t, err)
	defer f.Release()
	if f.Chunks() != 4 {
		t.Fatalf("%d chunks", f.Chunks())
	}
	for c := range f.Chunks() {
		if f.Cached(c) {
			t.Errorf("chunk %d is in memory", c)
		}
	}
	buf := make([]byte, 100_000)
	must(t, f.Load(1, buf))
	if !f.Cached(1) {
		t.Skip("this file system does not say what is in memory")
	}
	if !f.Cached(1) || f.Cached(0) || f.Cached(3) {
		t.Errorf("after chunk 1 was loaded: %v %v %v", f.Cached(0), f.Cached(1), f.Cached(3))
	}
	must(t, f.Load(3, buf))
	if !f.Cached(3) || f.Cached(2) {
		t.Error("the last chunk is not the one in memory")
	}

	if !f.Claim(2) || f.Claim(2) {
		t.Error("a chunk is not claimed exactly once")
	}
	if at, claimed := f.LoadedAt(2); at != 0 || !claimed {
		t.Error(at, claimed)
	}
	f.SetLoaded(2, 1001)
	if at, claimed := f.LoadedAt(2); at != 1000 || claimed {
		t.Error(at, claimed)
	}
	f.Claim(2)
	if at, claimed := f.LoadedAt(2); at != 1000 || !claimed {
		t.Error(at, claimed)
	}

	must(t, os.Truncate(path, ChunkSize+5))
	if err := f.Load(1, buf); !errors.Is(err, ErrChanged) {
		t.Errorf("chunk 1 of a truncated file: %v", err)
	}
	if err := f.Load(3, buf); !errors.Is(err, ErrChanged) {
		t.Errorf("chunk 3 of a truncated file: %v", err)
	}
	if f.Cached(3) {
		t.Error("what was cut off is in memory")
	}
	e, err := root.Lookup("empty")
	must(t, err)
	defer e.Release()
	if e.Chunks() != 0 {
		t.Errorf("%d chunks of nothing", e.Chunks())
	}
}
