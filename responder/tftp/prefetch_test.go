package tftp

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/responder/content"
)

// cold returns by hand a worker with a transfer of a file that is not in memory,
// its OACK acknowledged. The prefetcher's goroutines do not run.
func cold(t *testing.T, file []byte, options ...string) (*worker, *wire, *slot) {
	t.Helper()
	w, client := byHand(t, Config{GSO: true}, file)
	evict(t, filepath.Join(w.server.root.Load().Path(), "f"), nil)
	a := client.addr()
	d := &datagram{payload: rrq(append([]string{"f", "octet"}, options...)...), local: mapped([4]byte{127, 0, 0, 1}), ifindex: 1, unicast: true,
		from: peer{addr: mapped(a.Addr().As4()), port: a.Port()}}
	w.onRequest(w.endpoints[0], d)
	answer := w.server.opener.open(<-w.server.opener.lookups)
	w.onFound(&answer)
	w.sendRound(w.endpoints[0])
	client.recv()
	d.payload = ackPacket(0)
	w.onPacket(w.endpoints[0], d)
	_, s, _ := w.table.find(d.from)
	return w, client, s
}

// evict takes a file out of memory; opened is nil or has a mapping of it.
func evict(t *testing.T, path string, opened *content.File) {
	t.Helper()
	if opened != nil {
		if err := unix.Madvise(opened.Mapping(), unix.MADV_DONTNEED); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		t.Fatal(err)
	}
}

// turn is what the loop does but wait.
func (w *worker) turn() {
	w.now = w.server.clock()
	w.readMail()
	w.expire()
	w.sendRound(w.endpoints[0])
	w.sweep()
}

// workAll does by hand what the goroutines do. It returns how many reads there were.
func (p *prefetcher) workAll() (reads int) {
	for l := p.checks.pop(); l != nil; l = p.checks.pop() {
		p.check(l, p.clock())
	}
	for l := p.nextRead(); l != nil; l = p.nextRead() {
		p.read(l, p.clock(), make([]byte, 1<<20))
		reads++
	}
	return reads
}

func TestColdTransferWaits(t *testing.T) {
	const blksize = 1468
	file := randomFile(5*content.ChunkSize, 4)
	w, client, s := cold(t, file, "blksize", "1468", "windowsize", "4")
	w.turn()
	if !s.loading || !client.empty() {
		t.Fatal("sent what is not in memory")
	}
	w.turn()
	w.makeReady(w.endpoints[0], 0, s)
	if s.queued || w.counters.waits.Load() != 1 {
		t.Errorf("queued %v, waited %d times", s.queued, w.counters.waits.Load())
	}
	// The chunk that is waited for, and those after it.
	if n := w.server.prefetcher.workAll(); n != 1+readAhead {
		t.Errorf("%d chunks were read", n)
	}
	w.turn()
	client.expectBlocks(file, blksize, 1, 4)
	if s.loading || w.counters.waits.Load() != 1 {
		t.Errorf("waits again, %d times", w.counters.waits.Load())
	}
	// The next chunk is there before it is needed, and the one after next is asked for.
	s.base = 1 + content.ChunkSize/blksize + 1
	s.next, s.high = s.base, s.base
	w.makeReady(w.endpoints[0], 0, s)
	w.turn()
	client.expectBlocks(file, blksize, int(s.base), int(s.base)+3)
	if n := w.server.prefetcher.workAll(); n != 1 {
		t.Errorf("%d chunks were read", n)
	}
	if len(w.server.prefetcher.wanted) != 0 {
		t.Error("chunks are still looked after")
	}
}

// TestOldChunkIsLookedAfter has a chunk age: from half the time on it is looked
// at again, later a transfer waits for that.
func TestOldChunkIsLookedAfter(t *testing.T) {
	file := randomFile(100_000, 4)
	w, client, s := cold(t, file, "blksize", "512", "windowsize", "1")
	p := w.server.prefetcher
	w.turn()
	p.workAll()
	w.turn()
	client.expectBlocks(file, 512, 1, 1)
	f := w.table.file(0)
	for _, c := range []struct {
		age    time.Duration
		wanted int
		waits  bool
	}{{firstKeep / 4, 0, false}, {firstKeep * 3 / 4, 1, false}, {firstKeep * 2, 1, true}} {
		p.keep.Store(int64(firstKeep))
		f.SetLoaded(0, int64(w.now.add(-c.age)))
		if w.inMemory(0, s) == c.waits || len(p.wanted) != c.wanted {
			t.Errorf("age %v: loading %v, %d are wanted", c.age, s.loading, len(p.wanted))
		}
		// Not every file system can say what is in memory.
		if n := p.workAll(); n != 0 && f.Cached(0) {
			t.Errorf("age %v: what is in memory was read from the disk", c.age)
		}
		w.readMail()
	}
	// Loaded, but so long ago by the time the loop comes round that it counts as
	// old again: the transfer goes on all the same.
	f.SetLoaded(0, int64(w.now.add(-time.Hour)))
	s.loaded = true
	if !w.inMemory(0, s) {
		t.Error("waits twice for the same")
	}
	p.workAll()

	p.keep.Store(int64(firstKeep))
	p.shorten(100 * time.Millisecond)
	if got := time.Duration(p.keep.Load()); got != minKeep {
		t.Errorf("keeps for %v what is gone after 100 ms", got)
	}
	for range 1000 {
		p.lengthen()
	}
	if got := time.Duration(p.keep.Load()); got != maxKeep {
		t.Errorf("keeps for %v what is always there", got)
	}
}

// TestScarceFileIsCopied has what was loaded go away again before it is sent.
func TestScarceFileIsCopied(t *testing.T) {
	const blksize = 1468
	file := randomFile(2*content.ChunkSize+77, 4)
	for _, gso := range []bool{true, false} {
		w, client, s := cold(t, file, "blksize", "1468", "windowsize", "4")
		e := w.endpoints[0]
		e.gso = gso
		f := w.table.file(0)
		if f.Blind() {
			t.Skip("this file system does not say what is in memory")
		}
		path := filepath.Join(w.server.root.Load().Path(), "f")
		w.turn()
		p := w.server.prefetcher
		p.workAll()
		mapped := func() bool { // whether the batch that is being built points into the mapping
			for _, iov := range e.out.iovs[:e.out.iov] {
				at := uintptr(unsafe.Pointer(iov.Base))
				if first := uintptr(unsafe.Pointer(&f.Mapping()[0])); at >= first && at < first+uintptr(len(file)) {
					return true
				}
			}
			return false
		}
		stage := func() {
			w.readMail()
			w.stage(e, 0, s)
		}
		stage()
		if mapped() || e.out.n == 0 {
			t.Errorf("gso %v: %d messages, from the mapping %v", gso, e.out.n, mapped())
		}
		w.flush(e)
		client.expectBlocks(file, blksize, 1, 4)

		evict(t, path, f)
		s.base, s.next, s.high = 5, 5, 5
		stage()
		if !s.loading || e.out.n != 0 {
			t.Errorf("gso %v: loading %v, %d messages of what is gone", gso, s.loading, e.out.n)
		}
		p.workAll()
		evict(t, path, f) // and again: then it is sent all the same
		stage()
		if s.loading || !mapped() {
			t.Errorf("gso %v: waits for the same a second time", gso)
		}
		w.flush(e)
		client.expectBlocks(file, blksize, 5, 8)

		s.base, s.next, s.high = s.last, s.last, s.last
		evict(t, path, f)
		stage()
		if !s.loading || e.out.n != 0 {
			t.Errorf("gso %v: loading %v, %d messages of the end that is gone", gso, s.loading, e.out.n)
		}
		p.workAll()
		stage()
		w.flush(e)
		client.expectBlocks(file, blksize, int(s.last), int(s.last))

		// Later the file counts as being in memory.
		w.now = w.now.add(2 * scarceTime)
		s.base, s.next, s.high = 9, 9, 9
		w.stage(e, 0, s)
		if !mapped() {
			t.Errorf("gso %v: copied for ever", gso)
		}
	}
}

func TestColdTransferEnds(t *testing.T) {
	for _, c := range []struct {
		what string
		do   func(w *worker, path string)
		want Outcome
	}{
		{"truncated before it was read", func(w *worker, path string) {
			if err := os.Truncate(path, 100); err != nil {
				t.Fatal(err)
			}
			w.server.prefetcher.workAll()
		}, FileChanged},
		{"a bad disk", func(w *worker, _ string) {
			p := w.server.prefetcher
			for l := p.checks.pop(); l != nil; l = p.checks.pop() {
				p.finish(l, p.clock(), &fs.PathError{Op: "read", Path: "f", Err: unix.EIO})
			}
		}, ReadFailed},
		{"a disk that says nothing", func(w *worker, _ string) {
			w.server.epoch = w.server.epoch.Add(-w.server.cfg.GiveUp - time.Second)
		}, ReadFailed},
	} {
		t.Run(c.what, func(t *testing.T) {
			w, client, s := cold(t, randomFile(2*content.ChunkSize, 4), "blksize", "1468", "windowsize", "4")
			path := filepath.Join(w.server.root.Load().Path(), "f")
			w.turn()
			c.do(w, path)
			w.turn()
			w.turn()
			client.expectError(codeUndefined)
			if s.phase != ended || w.counters.outcomes[c.want].Load() != 1 || w.running != 0 {
				t.Errorf("phase %v, %d outcomes", s.phase, w.counters.outcomes[c.want].Load())
			}
			// What comes late belongs to nobody.
			w.server.prefetcher.workAll()
			w.turn()
			if !client.empty() {
				t.Error("more was sent")
			}
		})
	}
}

func TestPrefetchBounds(t *testing.T) {
	w, _, _ := cold(t, randomFile(10, 4), "blksize", "512")
	path := filepath.Join(w.server.root.Load().Path(), "sparse")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, (prefetchMax+10)*content.ChunkSize); err != nil {
		t.Fatal(err)
	}
	f, err := w.server.root.Load().Lookup("sparse")
	if err != nil {
		t.Fatal(err)
	}
	p := newPrefetcher(w.server.clock)
	for c := range f.Chunks() {
		p.want(f, c, nil)
	}
	if len(p.wanted) != prefetchMax {
		t.Errorf("%d chunks are looked after", len(p.wanted))
	}
	// Somebody waits: that is never refused.
	p.want(f, prefetchMax+5, &waiter{worker: w})
	p.want(f, prefetchMax+5, &waiter{worker: w})
	if l := p.wanted[chunkOf{f, prefetchMax + 5}]; l == nil || len(l.waiting) != 2 {
		t.Error("who waits is not noted")
	}
	if _, claimed := f.LoadedAt(prefetchMax + 7); claimed {
		t.Error("a chunk is claimed that nobody looks after")
	}
	// Reads that somebody waits for come first.
	for l := p.checks.pop(); l != nil; l = p.checks.pop() {
		p.absent(l)
	}
	p.want(f, 1000, &waiter{worker: w})
	for _, want := range []int{prefetchMax + 5, 1000, 0, 1} {
		if l := p.nextRead(); l == nil || l.chunk != want {
			t.Fatalf("read %v, want chunk %d", l, want)
		}
	}
	// A stop gives everything back.
	if n := opened(t, path); n != 1 {
		t.Fatalf("%d descriptors of the file", n)
	}
	f.Release()
	p.stop()
	if n := opened(t, path); n != 0 {
		t.Errorf("%d descriptors of the file are left", n)
	}
}

// opened counts this process's descriptors of a file.
func opened(t *testing.T, path string) (n int) {
	t.Helper()
	const dir = "/proc/self/fd"
	fds, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if target, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && target == path {
			n++
		}
	}
	return n
}

// TestPrefetchReleases has files closed that were looked after when the server stopped.
func TestPrefetchReleases(t *testing.T) {
	before := openFDs(t)
	b := serve(t, Config{}, map[string][]byte{"f": randomFile(3*content.ChunkSize, 1)})
	wire := b.begin(t, "f", randomFile(3*content.ChunkSize, 1), 512, 4)
	b.stop()
	wire.close()
	if after := openFDs(t); after > before {
		t.Errorf("%d descriptors, then %d", before, after)
	}
}
