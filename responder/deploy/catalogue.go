package deploy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/xdpxe/xdpxe/responder/store"
)

// Store is what the catalogue needs of the store.
type Store interface {
	Get(ctx context.Context, key string) (store.Item, bool, error)
	Scan(ctx context.Context, prefix string, each func(store.Item) error) (store.Rev, error)
	Bulk(ctx context.Context, txns []store.Txn) []store.Result
	Watch(ctx context.Context, prefix string, from store.Rev) (<-chan []store.Change, error)
}

// Config is what a Catalogue is made of.
type Config struct {
	Store Store
	// Changed is called after a snapshot with which an answer can be another
	// than before is in force, and before the change is acknowledged. It must not block,
	// and not change anything here.
	Changed func()
	// Moved is called for each step of a deployment, in order, once it is in force,
	// but for those that are found when the store is read first. It must not block, and
	// not change anything here. nil: nobody wants to know.
	Moved func(Move)
	// Keep is how long deployments that are over are kept; 0: DefaultKeep.
	Keep   time.Duration
	Limits Limits
}

// DefaultKeep is how long people can look up what became of a deployment.
const DefaultKeep = 30 * 24 * time.Hour

// Limits bound what is kept. Zero fields are DefaultLimits'.
type Limits struct {
	Deployments int     // of all
	Machines    int     // recorded
	Held        int     // of these, waiting for approval
	Groups      int     // and members of each: Machines
	Ignored     int     // patterns
	NewMachines float64 // recorded a second, over time
}

// DefaultLimits are for a site of some ten thousand machines.
func DefaultLimits() Limits {
	return Limits{Deployments: 100_000, Machines: 100_000, Held: 10_000, Groups: 1000, Ignored: 10_000, NewMachines: 5}
}

func (l Limits) settle() Limits {
	d := DefaultLimits()
	for _, f := range [...]struct{ has, def *int }{{&l.Deployments, &d.Deployments}, {&l.Machines, &d.Machines},
		{&l.Held, &d.Held}, {&l.Groups, &d.Groups}, {&l.Ignored, &d.Ignored}} {
		if *f.has == 0 {
			*f.has = *f.def
		}
	}
	if l.NewMachines == 0 {
		l.NewMachines = d.NewMachines
	}
	return l
}

// Catalogue keeps deployments and machines in a store, and in memory what it
// takes to answer. Run must run for anything but Snapshot to work.
type Catalogue struct {
	store   Store
	changed func()
	moved   func(Move) // may be nil
	bounds  atomic.Pointer[bounds]

	snapshot atomic.Pointer[Snapshot]
	ready    chan struct{} // closed when the store has been read
	jobs     chan *job
	stopped  chan struct{} // closed when jobs are not done any more

	mu   sync.Mutex           // of whoever makes the next snapshot
	revs map[string]store.Rev // by key: the revision that the snapshot has, also of items that are deleted in own
	own  []store.Change       // applied here, and not seen in the watch yet

	notes     notes
	sightings sightings
}

// Times of the background work.
const (
	flushEvery = 200 * time.Millisecond
	seeEvery   = time.Second
	probeEvery = time.Second
	probeWait  = 2 * time.Second
	sweepEvery = 10 * time.Minute
)

// New returns a catalogue that knows nothing until it runs.
func New(c Config) *Catalogue {
	if c.Changed == nil {
		c.Changed = func() {}
	}
	cat := &Catalogue{store: c.Store, changed: c.Changed, moved: c.Moved,
		ready: make(chan struct{}), stopped: make(chan struct{}), jobs: make(chan *job, maxJobs), revs: make(map[string]store.Rev)}
	cat.SetBounds(c.Keep, c.Limits)
	cat.snapshot.Store(newSnapshot())
	return cat
}

// bounds are what of Config can be another one later.
type bounds struct {
	keep   time.Duration
	limits Limits
}

// SetBounds replaces Config.Keep and Config.Limits. What is there stays.
func (c *Catalogue) SetBounds(keep time.Duration, l Limits) {
	if keep == 0 {
		keep = DefaultKeep
	}
	c.bounds.Store(&bounds{keep, l.settle()})
}

// Snapshot returns what is known now.
func (c *Catalogue) Snapshot() *Snapshot { return c.snapshot.Load() }

// Ready is closed once the store has been read for the first time.
func (c *Catalogue) Ready() <-chan struct{} { return c.ready }

// Run keeps the snapshot in step with the store and writes what was noted,
// until ctx ends or the store is closed. It runs once.
func (c *Catalogue) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return store.Follow(ctx, c.store, Prefix, c.reset, c.follow) })
	g.Go(func() error { c.commitJobs(ctx); return nil })
	g.Go(func() error { every(ctx, probeEvery, c.probe); return nil })
	g.Go(func() error { every(ctx, flushEvery, c.flushNotes); return nil })
	g.Go(func() error { every(ctx, seeEvery, c.flushSightings); return nil })
	g.Go(func() error { every(ctx, sweepEvery, c.sweep); return nil })
	err := g.Wait()
	// What was noted in the last moment; the caller's context has ended.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeWait)
	defer cancel()
	c.flushAtEnd(last)
	return err
}

func every(ctx context.Context, period time.Duration, do func(context.Context)) {
	t := time.NewTicker(period)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			do(ctx)
		}
	}
}

// reset takes the store's whole content.
func (c *Catalogue) reset(items []store.Item, rev store.Rev) {
	changes := make([]store.Change, len(items))
	for i, it := range items {
		changes[i] = store.Change{Key: it.Key, Value: it.Value, Rev: it.Rev}
	}
	c.mu.Lock()
	c.seen(rev)
	clear(c.revs)
	next := newSnapshot()
	next.loaded, next.available = true, true
	first := !c.snapshot.Load().loaded
	changes = append(changes, c.own...) // newer than what was read
	next, _ = next.with(c.news(changes))
	before := c.snapshot.Swap(next)
	if !first {
		c.missed(before, next, changes)
	}
	c.changed()
	c.mu.Unlock()
	if first {
		close(c.ready)
	}
}

// follow takes what the watch tells.
func (c *Catalogue) follow(changes []store.Change) {
	if len(changes) > 0 {
		c.take(changes, changes[len(changes)-1].Rev)
	}
}

// applyOwn takes what this server wrote or read itself, before the watch tells it.
func (c *Catalogue) applyOwn(changes []store.Change) { c.take(changes, 0) }

// take makes the next snapshot; upto is the revision that the watch has reached, 0:
// this is not the watch. It holds the lock until Changed has returned: if the watch
// is first, who wrote the change must not acknowledge it before.
func (c *Catalogue) take(changes []store.Change, upto store.Rev) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changes = c.news(changes)
	if upto > 0 {
		c.seen(upto)
	} else {
		c.own = append(c.own, changes...)
	}
	if len(changes) > 0 && c.advance(changes) {
		c.changed()
	}
}

// news leaves out what is known, or older than what is.
func (c *Catalogue) news(changes []store.Change) []store.Change {
	news := make([]store.Change, 0, len(changes))
	for _, ch := range changes {
		if ch.Rev <= c.revs[ch.Key] {
			continue
		}
		c.revs[ch.Key] = ch.Rev
		news = append(news, ch)
	}
	return news
}

// seen forgets what was applied ahead of the watch once the watch is past it.
func (c *Catalogue) seen(upto store.Rev) {
	own := c.own[:0]
	for _, ch := range c.own {
		if ch.Rev > upto {
			own = append(own, ch)
		}
	}
	clear(c.own[len(own):])
	c.own = own
}

// setAvailable notes whether the store answers.
func (c *Catalogue) setAvailable(yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := *c.snapshot.Load()
	if s.available != yes {
		s.available = yes
		c.snapshot.Store(&s)
		c.changed()
	}
}

// probe asks the store for something, to learn whether it answers.
func (c *Catalogue) probe(ctx context.Context) {
	asked, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	if _, _, err := c.store.Get(asked, Prefix+"probe"); ctx.Err() == nil {
		c.setAvailable(err == nil)
	}
}

// refresh reads keys from the store itself: somebody else changed them, and the
// watch has not told it yet.
func (c *Catalogue) refresh(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		it, ok, err := c.store.Get(ctx, key)
		if err != nil {
			return fmt.Errorf("read %s: %w", key, err)
		}
		change := store.Change{Key: key, Value: it.Value, Rev: it.Rev, Deleted: !ok}
		if !ok {
			// It was deleted at some revision behind the one that is known.
			c.mu.Lock()
			change.Rev = c.revs[key] + 1
			known := c.revs[key] != 0
			c.mu.Unlock()
			if !known {
				continue
			}
		}
		c.applyOwn([]store.Change{change})
	}
	return nil
}

// What the methods of a Catalogue refuse, beside Invalid and Refused.
var (
	ErrNotFound = errors.New("not found")
	ErrChanged  = errors.New("changed meanwhile: look at it again") // the revision that the caller has is not the newest
	ErrExists   = errors.New("exists and is different")
	ErrLimit    = errors.New("too many")
)
