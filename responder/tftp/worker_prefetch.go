package tftp

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/responder/content"
)

// inMemory says whether what stage would send of a transfer is in memory. If it
// is not, the transfer waits for it and onLoaded goes on.
func (w *worker) inMemory(id slotID, s *slot) bool {
	if w.server.cfg.NoPrefetch {
		return true
	}
	if s.loading {
		return false
	}
	oack, from, _ := s.due(w.now)
	file := w.table.file(id)
	if file.Chunks() == 0 {
		return true
	}
	off := int64(0)
	if !oack {
		off = int64(from-1) * int64(s.grant.blksize)
	}
	if off >= s.size {
		return true // an empty final block
	}
	chunk := int(off / content.ChunkSize)
	p := w.server.prefetcher
	keep := time.Duration(p.keep.Load())
	for ahead := min(chunk+1+readAhead, file.Chunks()) - 1; ahead > chunk; ahead-- {
		w.prefetch(file, ahead, keep)
	}
	age := w.prefetch(file, chunk, keep)
	// What was loaded a moment ago must do: to ask again could go on for ever.
	if age < keep || oack || s.loaded {
		return true
	}
	w.await(id, s, chunk)
	return false
}

// await lets a transfer wait for a chunk.
func (w *worker) await(id slotID, s *slot, chunk int) {
	s.loading = true
	w.counters.waits.Add(1)
	w.server.prefetcher.want(w.table.file(id), chunk, &waiter{w, id, s.serial})
}

// copied copies n bytes of a transfer's file from off into the batch, which has
// room for them. If they are not in memory, the transfer waits, and nothing is returned.
// insist says that it has waited for these already: then rather the loop does.
func (w *worker) copied(e *endpoint, id slotID, s *slot, off int64, n int, insist bool) []byte {
	file := w.table.file(id)
	p := e.out.buffer(n)
	switch {
	case file.ReadCached(p, off):
		return p
	case insist:
		return file.Mapping()[off : off+int64(n)]
	}
	file.SetMissed(int64(w.now))
	w.await(id, s, int(off/content.ChunkSize))
	return nil
}

// scarce says whether a file is sent by copies.
func (w *worker) scarce(file *content.File) bool {
	missed := file.MissedAt()
	return missed != 0 && w.now.since(instant(missed)) < scarceTime && !file.Blind() && !w.server.cfg.NoPrefetch
}

// prefetch asks for a chunk if it begins to count as old. It returns its age.
func (w *worker) prefetch(file *content.File, chunk int, keep time.Duration) time.Duration {
	at, claimed := file.LoadedAt(chunk)
	age := time.Duration(1<<63 - 1) // never seen
	if at != 0 {
		age = w.now.since(instant(at))
	}
	if age >= keep/2 && !claimed {
		w.server.prefetcher.want(file, chunk, nil)
	}
	return age
}

// onLoaded takes the answer to a wait.
func (w *worker) onLoaded(l *loaded) {
	s := w.table.slot(l.id)
	if !s.used || s.serial != l.serial || s.phase == ended || !s.loading {
		return
	}
	s.loading = false
	if l.how != running {
		w.finish(l.id, s, ending{how: l.how, err: l.err})
		return
	}
	s.loaded = true
	w.makeReady(w.endpoints[s.peer.endpoint], l.id, s)
}

// auditPeriod is how often a loop looks at its own faults.
const auditPeriod = 10 * time.Millisecond

// countFaults notes how often the loop waited for the disk after all: what was
// read ahead had not stayed.
func (w *worker) countFaults() {
	if w.now.since(w.audited) < auditPeriod {
		return
	}
	w.audited = w.now
	if n := majorFaults(); n > w.faults {
		w.counters.faults.Add(n - w.faults)
		w.faults = n
		p := w.server.prefetcher
		p.shorten(time.Duration(p.keep.Load()))
	}
}

// majorFaults returns how often this thread had to wait for a page from the disk.
func majorFaults() uint64 {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &u) != nil {
		return 0
	}
	return uint64(u.Majflt)
}
