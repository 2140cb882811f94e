package tftp

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
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
	asked  *asked // nil without a gate
}

// found is the answer.
type found struct {
	id     slotID
	serial uint32
	file   *content.File // the worker's now; nil: the rest says why not
	name   string
	how    Outcome
	text   string // for the client, in place of the outcome's
	err    error
	follow Follower
}

// opener opens and releases files beside the event loops.
type opener struct {
	root     func() *content.Root
	gate     Gate         // nil: all files are everybody's
	made     atomic.Int64 // bytes of Grant.Content that are in use
	lookups  chan lookup
	releases chan *content.File
	done     sync.WaitGroup
}

func newOpener(root func() *content.Root, gate Gate) *opener {
	return &opener{root: root, gate: gate, lookups: make(chan lookup, openBacklog), releases: make(chan *content.File, openBacklog)}
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
	for {
		root := o.root()
		answer := o.openBelow(root, &l)
		answer.id, answer.serial, answer.name = l.id, l.serial, l.name
		if errors.Is(answer.err, os.ErrClosed) && o.root() != root {
			continue // replaced and closed in between
		}
		return answer
	}
}

// openBelow is open with one root.
func (o *opener) openBelow(root *content.Root, l *lookup) (answer found) {
	if o.gate == nil {
		answer.file, answer.err = root.Lookup(l.name)
		answer.how = lookupOutcome(answer.err)
		return answer
	}
	g := o.gate.Open(l.asked.opening(l.name, root))
	was := l.asked.was
	switch {
	case g.How != running:
		return found{how: g.How, text: g.Text, err: g.Err}
	case g.Content != nil:
		answer.file, answer.err = o.memory(l.name, g.Content)
	case was != nil:
		answer.file, answer.err = root.Reopen(l.name, *was)
	default:
		answer.file, answer.err = root.Lookup(l.name)
	}
	if answer.file != nil && was != nil && answer.file.Identity() != *was {
		answer.file.Release()
		answer.file, answer.err = nil, fmt.Errorf("%q: %w", l.name, content.ErrChanged)
	}
	answer.how, answer.follow = lookupOutcome(answer.err), g.Follow
	return answer
}

// lookupOutcome says how a request ends whose lookup failed with err.
func lookupOutcome(err error) Outcome {
	switch {
	case err == nil:
		return running
	case errors.Is(err, content.ErrNotFound):
		return NotFound
	case errors.Is(err, content.ErrChanged):
		return FileChanged
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
	case errors.Is(err, errMade), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM):
		return Busy // it passes; the client asks again
	}
	return Unreadable
}
