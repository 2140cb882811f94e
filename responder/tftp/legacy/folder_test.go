package legacy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// weigh returns how many files a folder has, and their bytes.
func weigh(t *testing.T, dir string) (files, bytes int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		st, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(e.Name(), partPrefix) {
			t.Errorf("%s is left", e.Name())
		}
		files, bytes = files+1, bytes+int(st.Size())
	}
	return files, bytes
}

// TestLimitsTogether has many uploads at once meet the limits of the folder.
func TestLimitsTogether(t *testing.T) {
	for what, u := range map[string]Uploads{
		"bytes": {MaxSize: 1 << 20, MaxFiles: 1000, MaxTotal: 20_000},
		"files": {MaxSize: 1 << 20, MaxFiles: 7, MaxTotal: 1 << 20},
	} {
		t.Run(what, func(t *testing.T) {
			u.Dir = t.TempDir()
			f, err := openFolder(u)
			if err != nil {
				t.Fatal(err)
			}
			defer f.close()
			var all sync.WaitGroup
			for i := range 50 {
				all.Go(func() {
					up, err := f.create(fmt.Sprint("f", i), 0)
					if err != nil {
						if !errors.Is(err, ErrLimit) {
							t.Error(err)
						}
						return
					}
					for range 10 {
						if _, err := up.Write(make([]byte, 100)); err != nil {
							if _, again := up.Write(nil); !errors.Is(err, ErrLimit) || !errors.Is(again, ErrLimit) {
								t.Error(err, again)
							}
							up.discard()
							return
						}
					}
					if err := up.commit(); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			files, bytes := weigh(t, u.Dir)
			if files == 0 || files > u.MaxFiles || int64(bytes) > u.MaxTotal || bytes != files*1000 {
				t.Errorf("%d files, %d bytes", files, bytes)
			}
			if n := f.underway.Load(); n != 0 || len(f.running) != 0 {
				t.Errorf("%d bytes and %d files under way", n, len(f.running))
			}
		})
	}
}

// TestSameName has many uploads of one name: one gets it, and keeps it.
func TestSameName(t *testing.T) {
	for _, overwrite := range []bool{false, true} {
		dir := t.TempDir()
		f, err := openFolder(Uploads{Dir: dir, MaxSize: 100, MaxFiles: 100, MaxTotal: 10_000, Overwrite: overwrite})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.create(`sub\name`, 0); err == nil {
			t.Error("a directory was made up")
		}
		first, err := f.create(`/name`, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.create("name", 0); !errors.Is(err, ErrExists) {
			t.Errorf("while it is being written: %v", err)
		}
		if _, err := first.Write([]byte("first")); err != nil {
			t.Fatal(err)
		}
		if err := first.commit(); err != nil {
			t.Fatal(err)
		}
		second, err := f.create("name", 0)
		switch {
		case !overwrite && !errors.Is(err, ErrExists):
			t.Errorf("a file that is there: %v", err)
		case overwrite && err != nil:
			t.Error(err)
		case overwrite:
			second.discard()
		}
		if got, err := os.ReadFile(filepath.Join(dir, "name")); err != nil || string(got) != "first" {
			t.Errorf("%q, %v", got, err)
		}
		f.close()
	}
}
