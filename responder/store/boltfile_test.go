package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// filled makes a store with small and large items and some free pages, and
// returns its bytes and what it holds.
func filled(t *testing.T, n int) (data []byte, before, items string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "xdpxe.db")
	s := openBolt(t, path)
	var txns []Txn
	for i := range n {
		txns = append(txns, Txn{Writes: []Write{put(fmt.Sprintf("k/%04d", i), strings.Repeat(fmt.Sprint(i), 60))}})
	}
	s.Bulk(testContextFor(t), txns)
	commit(t, s, put("large", strings.Repeat("large", 5000)), del("k/0003"))
	before = text(listed(t, s, ""), 0)
	commit(t, s, put("last", "1"), del("k/0001"))
	items = text(listed(t, s, ""), 0)
	must(t, s.Close())
	data, err := os.ReadFile(path)
	must(t, err)
	return data, before, items
}

// open tries to open a file with these bytes.
func open(t *testing.T, path string, data []byte) (*Bolt, error) {
	t.Helper()
	must(t, os.WriteFile(path, data, 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // one try for the lock
	return OpenBolt(ctx, path)
}

// Whatever single bit of the file has turned: it is refused, or nothing is amiss.
// A turned bit in the newest meta is what a crash in its write leaves: then it
// is the commit before.
func TestTornBit(t *testing.T) {
	data, before, items := filled(t, 200)
	path := filepath.Join(t.TempDir(), "xdpxe.db")
	rnd := rand.New(rand.NewPCG(1, 2))
	tries := 1500
	if testing.Short() {
		tries = 300
	}
	pages := len(data) / os.Getpagesize()
	refused := 0
	for range tries {
		// Heads of pages are where most of what bbolt trusts is.
		at := rnd.IntN(pages) * os.Getpagesize()
		if rnd.IntN(2) == 0 {
			at += rnd.IntN(os.Getpagesize())
		} else {
			at += rnd.IntN(128)
		}
		bit := byte(1) << rnd.IntN(8)
		torn := bytes.Clone(data)
		torn[at] ^= bit
		s, err := open(t, path, torn)
		if err != nil {
			if !errors.Is(err, ErrTorn) && !errors.Is(err, ErrForeign) && !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), path) {
				t.Fatalf("byte %d, bit %#x: %v", at, bit, err)
			}
			refused++
			continue
		}
		got := text(listed(t, s, ""), 0)
		must(t, s.Close())
		if got != items && (at >= 2*os.Getpagesize() || got != before) {
			t.Fatalf("byte %d, bit %#x: opened, with other items", at, bit)
		}
	}
	if refused < tries/4 {
		t.Errorf("%d of %d refused", refused, tries)
	}
}

// A page of an earlier commit in the place of the newer one: a write that the
// disk acknowledged and lost. All its checksums fit.
func TestTornOldPage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "xdpxe.db")
	s := openBolt(t, path)
	size := os.Getpagesize()
	var earlier [][]byte
	for i := range 30 {
		for j := range 40 {
			commit(t, s, put(fmt.Sprintf("k%d", j), strings.Repeat(fmt.Sprint(i%10), 300)))
		}
		data, err := os.ReadFile(path)
		must(t, err)
		earlier = append(earlier, data)
	}
	items := text(listed(t, s, ""), 0)
	must(t, s.Close())
	data, err := os.ReadFile(path)
	must(t, err)
	refused := 0
	for _, old := range earlier {
		for page := 2; page < min(len(old), len(data))/size; page++ {
			lost := bytes.Clone(data)
			copy(lost[page*size:(page+1)*size], old[page*size:])
			s, err := open(t, path, lost)
			if err != nil {
				refused++
				continue
			}
			if got := text(listed(t, s, ""), 0); got != items {
				t.Fatalf("page %d: opened, with other items", page)
			}
			must(t, s.Close())
		}
	}
	if refused < 10 {
		t.Errorf("%d refused", refused)
	}
}

func TestTornEnd(t *testing.T) {
	data, _, items := filled(t, 200)
	path := filepath.Join(t.TempDir(), "xdpxe.db")
	refused := 0
	for length := 0; length < len(data); length += 1000 {
		s, err := open(t, path, data[:length])
		if err != nil {
			if !errors.Is(err, ErrTorn) || !strings.Contains(err.Error(), "mv "+path) {
				t.Fatalf("%d bytes: %v", length, err)
			}
			refused++
			continue
		}
		// bbolt makes the file larger than it needs.
		want(t, "items", text(listed(t, s, ""), 0), items)
		must(t, s.Close())
	}
	if refused < 10 {
		t.Errorf("%d refused", refused)
	}
}

// Pages that bbolt wrote before a power cut, and those that it did not.
func TestTornPages(t *testing.T) {
	data, before, items := filled(t, 200)
	size := os.Getpagesize()
	path := filepath.Join(t.TempDir(), "xdpxe.db")
	refused := 0
	for page := range len(data) / size {
		torn := bytes.Clone(data)
		clear(torn[page*size : (page+1)*size])
		s, err := open(t, path, torn)
		if err != nil {
			if !errors.Is(err, ErrTorn) && page != 0 {
				t.Fatalf("page %d: %v", page, err)
			}
			refused++
			continue
		}
		if got := text(listed(t, s, ""), 0); got != items && (page > 1 || got != before) {
			t.Fatalf("page %d: opened, with other items", page)
		}
		must(t, s.Close())
	}
	if refused < 5 {
		t.Errorf("%d refused", refused)
	}
}

func TestForeign(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "other.db")
	bolt := func(names ...string) []byte {
		os.Remove(other)
		db, err := bbolt.Open(other, 0o600, nil)
		must(t, err)
		must(t, db.Update(func(tx *bbolt.Tx) error {
			for _, name := range names {
				b, err := tx.CreateBucket([]byte(name))
				must(t, err)
				must(t, b.Put([]byte("key"), []byte("value")))
			}
			return nil
		}))
		must(t, db.Close())
		data, err := os.ReadFile(other)
		must(t, err)
		return data
	}
	for name, data := range map[string][]byte{
		"text":          []byte("policy: {default: ignore}\n"),
		"long text":     bytes.Repeat([]byte("policy: {default: ignore}\n"), 1000),
		"zeros":         make([]byte, 32<<10),
		"bolt, empty":   bolt(),
		"bolt, other":   bolt("members"),
		"bolt, no form": bolt(bucketName),
		"bolt, two":     bolt(bucketName, "z"),
	} {
		path := filepath.Join(dir, "xdpxe.db")
		_, err := open(t, path, data)
		if !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "another file") {
			t.Errorf("%s: %v", name, err)
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, data) {
			t.Errorf("%s: the file was changed", name)
		}
	}
	if _, err := OpenBolt(t.Context(), dir); !errors.Is(err, ErrForeign) {
		t.Error(err)
	}
}

func TestNewer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "xdpxe.db")
	s := openBolt(t, path)
	commit(t, s, put("a", "1"))
	must(t, s.Close())
	up := func(b *bbolt.Bucket, _ *tally) error { return b.Put([]byte(itemPrefix+"a"), []byte("not our record")) }
	db, err := openFile(t.Context(), path, append(migrations, up))
	must(t, err)
	must(t, db.Close())
	data, err := os.ReadFile(path)
	must(t, err)

	_, err = OpenBolt(t.Context(), path)
	if !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), fmt.Sprintf("format %d, this one knows %d", len(migrations)+2, len(migrations)+1)) {
		t.Fatal(err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, data) {
		t.Error("the file was changed")
	}
}

// An older file is brought up to date in one step or not at all, and kept as it was.
func TestMigration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "xdpxe.db")
	s := openBolt(t, path)
	commit(t, s, put("a", "1"))
	must(t, s.Close())

	rename := func(from, to string) migration {
		return func(b *bbolt.Bucket, t *tally) error {
			_, value, err := parseRecord(itemPrefix+from, b.Get([]byte(itemPrefix+from)))
			if err != nil {
				return err
			}
			_, err = apply(b, Txn{Writes: []Write{del(from), {Key: to, Value: value}}}, t)
			return err
		}
	}
	broken := errors.New("broken")
	first := len(migrations)
	steps := append(migrations, rename("a", "b"), func(*bbolt.Bucket, *tally) error { return broken })
	if _, err := openFile(t.Context(), path, steps); !errors.Is(err, broken) || !strings.Contains(err.Error(), path) {
		t.Fatal(err)
	}
	want(t, "items", itemsOf(t, path), "a=1@1")

	steps[first+1] = rename("b", "c")
	db, err := openFile(t.Context(), path, steps)
	must(t, err)
	must(t, db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucketName))
		if it, found, err := itemOf(b, "c"); !found || err != nil || string(it.Value) != "1" {
			t.Error(it, found, err)
		}
		return nil
	}))
	must(t, db.Close())
	old := fmt.Sprintf("%s.format-%d", path, first+1)
	want(t, "the old file", itemsOf(t, old), "a=1@1")
	// Up to date, there is nothing to do.
	db, err = openFile(t.Context(), path, append(migrations, func(*bbolt.Bucket, *tally) error { return broken }, func(*bbolt.Bucket, *tally) error { return broken }))
	must(t, err)
	must(t, db.Close())
}

// itemsOf opens a store and returns what it holds.
func itemsOf(t *testing.T, path string) string {
	t.Helper()
	s := openBolt(t, path)
	defer s.Close()
	return text(listed(t, s, ""), 0)
}

func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "xdpxe.db")
	s := openBolt(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := OpenBolt(ctx, path)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), fmt.Sprintf("process %d (", os.Getpid())) {
		t.Fatal(err)
	}
	// A successor waits until its predecessor lets go.
	opened := make(chan error, 1)
	go func() {
		next, err := OpenBolt(testContextFor(t), path)
		if err == nil {
			err = next.Close()
		}
		opened <- err
	}()
	must(t, s.Close())
	must(t, <-opened)
}

// Two that create the file at once have one file.
func TestCreateTogether(t *testing.T) {
	for range 10 {
		path := filepath.Join(t.TempDir(), "new", "xdpxe.db")
		revs := make(chan Rev, 4)
		for i := range cap(revs) {
			go func() {
				s, err := OpenBolt(testContextFor(t), path)
				if err != nil {
					t.Error(err)
					revs <- 0
					return
				}
				defer s.Close()
				rev, err := s.Commit(testContextFor(t), nil, []Write{put(fmt.Sprint(i), "1")})
				if err != nil {
					t.Error(err)
				}
				revs <- rev
			}()
		}
		sum := Rev(0)
		for range cap(revs) {
			sum += <-revs
		}
		if sum != 1+2+3+4 {
			t.Fatalf("revisions add up to %d", sum)
		}
	}
}

func TestNoDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "not", "there", "xdpxe.db")
	if _, err := OpenBolt(t.Context(), path); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), filepath.Dir(path)) {
		t.Error(err)
	}
}
