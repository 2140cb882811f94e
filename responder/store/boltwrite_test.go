package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// A commit is on the disk when it returns, not only in the kernel's memory.
func TestCommitIsSynced(t *testing.T) {
	dir := t.TempDir()
	control, err := os.Create(filepath.Join(dir, "control"))
	must(t, err)
	defer control.Close()
	_, err = control.Write(make([]byte, 64<<10))
	must(t, err)
	if dirty, err := dirtyPages(control); err != nil || dirty == 0 {
		t.Skipf("%s does not say what is not on the disk yet: %d pages, %v", dir, dirty, err)
	}
	path := filepath.Join(dir, "xdpxe.db")
	s := openBolt(t, path)
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	for i := range 20 {
		if i%2 == 0 {
			commit(t, s, put(fmt.Sprint(i), strings.Repeat("x", 10000)))
		} else {
			s.Bulk(testContextFor(t), []Txn{{Writes: []Write{put(fmt.Sprint(i), "x")}}})
		}
		if dirty, err := dirtyPages(f); err != nil || dirty != 0 {
			t.Fatalf("%d pages of the file are not on the disk: %v", dirty, err)
		}
	}
}

func dirtyPages(f *os.File) (uint64, error) {
	var stat unix.Cachestat_t
	err := unix.Cachestat(uint(f.Fd()), &unix.CachestatRange{}, &stat, 0)
	return stat.Dirty + stat.Writeback, err
}

// A full disk refuses changes and says so, loses nothing, and is forgotten when there is room.
func TestDiskFull(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a small file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	path := filepath.Join(dir, "xdpxe.db")
	filler := filepath.Join(dir, "filler")
	must(t, os.WriteFile(filler, make([]byte, 256<<10), 0o600))
	s := openBolt(t, path)
	changes, err := s.Watch(testContextFor(t), "", 0)
	must(t, err)
	var acked []string
	for i := 0; ; i++ {
		key := fmt.Sprintf("%03d", i)
		_, err := s.Commit(testContextFor(t), nil, []Write{put(key, strings.Repeat("v", 20000))})
		if err != nil {
			if !errors.Is(err, ErrUnavailable) || !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), path) {
				t.Fatal(err)
			}
			break
		}
		acked = append(acked, key)
	}
	if len(acked) == 0 {
		t.Fatal("nothing fitted")
	}
	if h := s.Health(); !errors.Is(h.Err, unix.ENOSPC) {
		t.Error(h)
	}
	must(t, os.Remove(filler))
	commit(t, s, put("last", ""))
	if h := s.Health(); h.Err != nil {
		t.Error(h)
	}
	acked = append(acked, "last")
	seen := receive(t, changes, len(acked))
	must(t, s.Close())
	s = openBolt(t, path)
	items := listed(t, s, "")
	for i, key := range acked {
		if i >= len(items) || items[i].Key != key || seen[i].Key != key {
			t.Fatalf("%q is missing", key)
		}
	}
	if len(items) != len(acked) {
		t.Errorf("%d items, %d acknowledged", len(items), len(acked))
	}
}

// Callers that wait together share a write of the file, and each gets its own answer.
func TestTogether(t *testing.T) {
	s := openBolt(t, filepath.Join(t.TempDir(), "xdpxe.db"))
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			key := fmt.Sprint(i)
			rev, err := s.Commit(testContextFor(t), []Check{{Key: key}}, []Write{put(key, "1")})
			if err != nil {
				t.Error(err)
			}
			if _, err := s.Commit(testContextFor(t), []Check{{Key: key}}, []Write{put(key, "2")}); !errors.Is(err, ErrConflict) {
				t.Error(err)
			}
			if _, err := s.Commit(testContextFor(t), []Check{{key, rev}}, []Write{put(key, "3")}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if items := listed(t, s, ""); len(items) != 100 || s.tally.rev != 200 || s.tally.items != 100 {
		t.Error(len(items), s.tally)
	}
}

// Revisions go on where they were after a restart, and the history begins anew.
func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "xdpxe.db")
	s := openBolt(t, path)
	rev := commit(t, s, put("a", "1"))
	rev = max(rev, commit(t, s, put("a", "2")))
	must(t, s.Close())
	s = openBolt(t, path)
	early, err := s.Watch(testContextFor(t), "", rev-1)
	must(t, err)
	if got := closed(t, early); len(got) != 0 {
		t.Error(got)
	}
	changes, err := s.Watch(testContextFor(t), "", rev)
	must(t, err)
	if next := commit(t, s, put("a", "3")); next != rev+1 {
		t.Errorf("revision %d after %d", next, rev)
	}
	want(t, "changes", changesText(receive(t, changes, 1), rev), "a=3@1")
}

func BenchmarkBulk10000(b *testing.B) {
	value := []byte(strings.Repeat("x", 600))
	txns := make([]Txn, 10_000)
	for i := range txns {
		id, mac := fmt.Sprintf("deployment/%032x", i*7919), fmt.Sprintf("machine/525400%06x", i)
		txns[i] = Txn{[]Check{{Key: id}, {Key: mac}}, []Write{{Key: id, Value: value}, {Key: mac, Value: []byte(id)}}}
	}
	for b.Loop() {
		b.StopTimer()
		s, err := OpenBolt(context.Background(), filepath.Join(b.TempDir(), "xdpxe.db"))
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		for _, r := range s.Bulk(context.Background(), txns) {
			if r.Err != nil {
				b.Fatal(r.Err)
			}
		}
		b.StopTimer()
		s.Close()
		b.StartTimer()
	}
}
