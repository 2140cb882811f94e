package tftp

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xdpxe/xdpxe/responder/content"
)

// Bounds of the goroutines that keep files in memory ahead of the loops.
const (
	readers     = 8    // reads from the disk at a time
	prefetchMax = 4096 // chunks that are looked after and nobody waits for yet
	readAhead   = 2    // chunks beyond the one that is being sent

	// How long a chunk counts as being in memory after it was: the shorter, the
	// sooner the kernel takes it away again (see prefetcher.keep).
	minKeep   = 50 * time.Millisecond
	firstKeep = time.Second
	maxKeep   = 10 * time.Second

	// For so long after something of a file was not in memory, nothing of it is
	// taken to stay there.
	scarceTime = 10 * time.Second
)

// prefetcher has chunks of files in the page cache before the loops send from
// them: a loop that hands over a page which is not there waits for the disk, and
// with it hundreds of clients.
//
// A loop asks for a chunk when it begins to count as old, and for those after it.
// The checker looks whether it is in memory, which is quick, so that files in use
// never wait behind slow reads; if not, it goes on to the readers. A transfer
// whose chunk is too old or was never seen waits until it is told.
//
// What is read may be gone again before it is sent, where memory is short. So of
// a file that was not all there lately, the loop copies what it sends, by a read
// that fails rather than waits, and asks again if it does.
type prefetcher struct {
	clock func() instant
	keep  atomic.Int64 // nanoseconds

	mu      sync.Mutex
	changed sync.Cond
	wanted  map[chunkOf]*load
	checks  fifo
	urgent  fifo // to be read, and somebody waits
	reads   fifo // to be read
	stopped bool
	done    sync.WaitGroup

	loads, evictions atomic.Uint64
}

// chunkOf names a chunk of a file.
type chunkOf struct {
	file  *content.File
	chunk int
}

// load is a chunk that is looked after, and who waits for it.
type load struct {
	chunkOf
	waiting []waiter
	absent  bool // not in memory: in a queue of reads, or being read
	taken   bool // being read
}

type waiter struct {
	worker *worker
	id     slotID
	serial uint32
}

// loaded is the answer to a waiter.
type loaded struct {
	id     slotID
	serial uint32
	how    Outcome // running, or how the transfer ends
	err    error
}

func newPrefetcher(clock func() instant) *prefetcher {
	p := &prefetcher{clock: clock, wanted: map[chunkOf]*load{}}
	p.changed.L = &p.mu
	p.keep.Store(int64(firstKeep))
	return p
}

// start starts the goroutines; stop ends them when no worker runs any more.
func (p *prefetcher) start() {
	p.done.Go(func() { p.work(p.nextCheck, p.check) })
	for range readers {
		buf := make([]byte, content.ChunkSize+content.ChunkReach)
		p.done.Go(func() {
			p.work(p.nextRead, func(l *load, at instant) { p.read(l, at, buf) })
		})
	}
}

func (p *prefetcher) stop() {
	p.mu.Lock()
	p.stopped = true
	p.changed.Broadcast()
	p.mu.Unlock()
	p.done.Wait()
	for _, l := range p.wanted {
		l.file.Release()
	}
}

// work does what next has until the prefetcher stops.
func (p *prefetcher) work(next func() *load, do func(*load, instant)) {
	for {
		p.mu.Lock()
		l := next()
		for l == nil && !p.stopped {
			p.changed.Wait()
			l = next()
		}
		stopped := p.stopped
		p.mu.Unlock()
		if stopped {
			return
		}
		do(l, p.clock())
	}
}

func (p *prefetcher) nextCheck() *load { return p.checks.pop() }

func (p *prefetcher) nextRead() *load {
	for _, queue := range []*fifo{&p.urgent, &p.reads} {
		for l := queue.pop(); l != nil; l = queue.pop() {
			if !l.taken { // it may be in both
				l.taken = true
				return l
			}
		}
	}
	return nil
}

// want asks for a chunk, on behalf of w or, if that is nil, for later. The caller
// has a reference to the file.
func (p *prefetcher) want(file *content.File, chunk int, w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := chunkOf{file, chunk}
	l := p.wanted[key]
	if l == nil {
		if w == nil && len(p.wanted) >= prefetchMax {
			return
		}
		l = &load{chunkOf: key}
		file.Retain()
		file.Claim(chunk)
		p.wanted[key] = l
		p.checks.push(l)
		p.changed.Broadcast()
	}
	if w != nil {
		l.waiting = append(l.waiting, *w)
		if l.absent && len(l.waiting) == 1 {
			p.urgent.push(l)
		}
	}
}

// check looks whether a chunk is in memory.
func (p *prefetcher) check(l *load, at instant) {
	if l.file.Cached(l.chunk) {
		l.file.MapIn(l.chunk)
		p.lengthen()
		p.finish(l, at, nil)
		return
	}
	l.file.SetMissed(int64(at))
	if before, _ := l.file.LoadedAt(l.chunk); before != 0 {
		p.evictions.Add(1)
		p.shorten(at.since(instant(before)))
	}
	p.absent(l)
}

// absent takes note that a chunk is to be read.
func (p *prefetcher) absent(l *load) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.absent = true
	if len(l.waiting) > 0 {
		p.urgent.push(l)
	} else {
		p.reads.push(l)
	}
	p.changed.Broadcast()
}

// read has a chunk read from the disk.
func (p *prefetcher) read(l *load, at instant, buf []byte) {
	p.loads.Add(1)
	err := l.file.Load(l.chunk, buf)
	p.finish(l, at, err)
}

// finish ends a load and tells who waits for it.
func (p *prefetcher) finish(l *load, at instant, err error) {
	answer := loaded{how: running, err: err}
	switch {
	case errors.Is(err, content.ErrChanged):
		answer.how, at = FileChanged, 0
	case err != nil:
		answer.how, at = ReadFailed, 0
	}
	p.mu.Lock()
	delete(p.wanted, l.chunkOf)
	l.file.SetLoaded(l.chunk, int64(at))
	p.mu.Unlock()
	for _, w := range l.waiting {
		answer.id, answer.serial = w.id, w.serial
		w.worker.postLoaded(answer)
	}
	l.file.Release()
}

// shorten takes note that a chunk was gone at some age.
func (p *prefetcher) shorten(age time.Duration) {
	p.keep.Store(int64(max(minKeep, min(time.Duration(p.keep.Load()), age/2))))
}

// lengthen takes note that a chunk was still there when it began to count as old.
func (p *prefetcher) lengthen() {
	keep := p.keep.Load()
	p.keep.Store(min(int64(maxKeep), keep+keep/128))
}

// fifo is a queue of loads.
type fifo struct {
	loads []*load
	first int
}

func (q *fifo) push(l *load) { q.loads = append(q.loads, l) }

// pop returns nil if the queue is empty.
func (q *fifo) pop() *load {
	if q.first == len(q.loads) {
		return nil
	}
	l := q.loads[q.first]
	q.loads[q.first] = nil
	q.first++
	if q.first*2 >= len(q.loads) {
		n := copy(q.loads, q.loads[q.first:])
		clear(q.loads[n:])
		q.loads, q.first = q.loads[:n], 0
	}
	return l
}
