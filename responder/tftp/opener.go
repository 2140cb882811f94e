package tftp

import (
	"errors"
	"os"
	"sync"
	"syscall"

	"github.com/xdpxe/xdpxe/responder/content"
)

// Bounds of the goroutines that open files.
const (
	openers     = 4
	openBacklog = 4096
)

// lookup is the wish of a worker's slot for a file.
type lookup struct {
	worker *worker
	id     slotID
	serial uint32
	name   string
}

// found is the answer.
type found struct {
	id     slotID
	serial uint32
	file   *content.File // the worker's now; nil: the rest says why not
	name   string
	how    Outcome
	err    error
}

// opener opens and releases files beside the event loops.
type opener struct {
	root     func() *content.Root
	lookups  chan lookup
	releases chan *content.File
	done     sync.WaitGroup
}

func newOpener(root func() *content.Root) *opener {
	return &opener{root: root, lookups: make(chan lookup, openBacklog), releases: make(chan *content.File, openBacklog)}
}

// start starts the goroutines; stop ends them when no worker runs any more.
func (o *opener) start() {
	for range openers {
		o.done.Go(func() {
			for l := range o.lookups {
				l.worker.post(o.open(l))
			}
		})
	}
	o.done.Go(func() {
		for f := range o.releases {
			f.Release()
		}
	})
}

func (o *opener) stop() {
	close(o.lookups)
	close(o.releases)
	o.done.Wait()
}

// ask queues a lookup. It reports false when too many wait.
func (o *opener) ask(l lookup) bool {
	select {
	case o.lookups <- l:
		return true
	default:
		return false
	}
}

// release gives a file back: unmapping a large one takes its time.
func (o *opener) release(f *content.File) {
	select {
	case o.releases <- f:
	default:
		f.Release()
	}
}

func (o *opener) open(l lookup) found {
	answer := found{id: l.id, serial: l.serial, name: l.name}
	for {
		root := o.root()
		answer.file, answer.err = root.Lookup(l.name)
		if errors.Is(answer.err, os.ErrClosed) && o.root() != root {
			continue // replaced and closed in between
		}
		break
	}
	answer.how = lookupOutcome(answer.err)
	return answer
}

// lookupOutcome says how a request ends whose lookup failed with err.
func lookupOutcome(err error) Outcome {
	switch {
	case err == nil:
		return running
	case errors.Is(err, content.ErrNotFound):
		return NotFound
	case errors.Is(err, content.ErrIsDir):
		return IsDirectory
	case errors.Is(err, content.ErrBadName):
		return BadName
	case errors.Is(err, content.ErrOutside):
		return OutsideRoot
	case errors.Is(err, content.ErrNoPermission):
		return NoPermission
	case errors.Is(err, content.ErrNotRegular):
		return NotRegular
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM):
		return Busy // it passes; the client asks again
	}
	return Unreadable
}
