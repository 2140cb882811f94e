package deploy

import (
	"cmp"
	"hash/maphash"
	"slices"
	"time"

	"github.com/xdpxe/xdpxe/responder/store"
)

// Snapshot is all that is known of deployments and machines at one moment. It
// never changes: any number of goroutines read it without a lock.
type Snapshot struct {
	loaded    bool // the store's content has been read
	available bool // the store answers

	entries     trie[Identity, *entry]
	groups      trie[string, *group]
	deployments trie[string, *node]
	orphans     trie[string, trie[Identity, *runRecord]] // runs whose deployment cannot be read, by its id
	vendors     map[[3]byte]*ignoredRecord               // by OUI
	problems    trie[string, string]                     // by key: records that cannot be read
	held        int                                      // machines
	machines    int
	ignored     int
}

// entry is what is known of one identity. It never changes.
type entry struct {
	machine *machineRecord
	bearers []Identity // a UUID's: the machines that it was seen with
	ignored *ignoredRecord
	groups  []string
	nodes   []*node // deployments that name it, the weightiest first
}

// group is a group with its deployments. It never changes.
type group struct {
	record  *Group // nil: it has members or deployments only
	rev     store.Rev
	members trie[Identity, struct{}]
	nodes   []*node
}

// node is a deployment with its runs. It never changes.
type node struct {
	d    *Deployment
	rev  store.Rev
	runs trie[Identity, *runRecord] // by machine
	run  *runRecord                 // that of the one machine that d names; nil: it waits, or d is a group's
}

type runRecord struct {
	Run
	rev store.Rev
}

type machineRecord struct {
	Machine
	rev store.Rev
}

type ignoredRecord struct {
	Ignored
	rev store.Rev
}

func newSnapshot() *Snapshot {
	seed := maphash.MakeSeed()
	byIdentity := func(id Identity) uint64 { return maphash.Comparable(seed, id) }
	byName := func(name string) uint64 { return maphash.String(seed, name) }
	return &Snapshot{
		entries:     trie[Identity, *entry]{hash: byIdentity},
		groups:      trie[string, *group]{hash: byName},
		deployments: trie[string, *node]{hash: byName},
		orphans:     trie[string, trie[Identity, *runRecord]]{hash: byName},
		problems:    trie[string, string]{hash: byName},
	}
}

// runOf returns the run of one machine, the zero Run if it waits.
func (n *node) runOf(machine Identity) (Run, store.Rev) {
	rec := n.run
	if n.d.Target.Group != "" {
		rec, _ = n.runs.get(machine)
	}
	if rec == nil {
		return Run{}, 0
	}
	return rec.Run, rec.rev
}

// weight orders the deployments for one machine. One that is used up comes
// before those that stand, as it goes away by itself; one that names the
// machine before one for its group; of two the newer, the operator's last word.
func weight(a, b *node) int {
	if a.d.Once != b.d.Once {
		if a.d.Once {
			return -1
		}
		return 1
	}
	if c := cmp.Compare(a.d.Target.rank(), b.d.Target.rank()); c != 0 {
		return c
	}
	if c := b.d.Created.Compare(a.d.Created); c != 0 {
		return c
	}
	return cmp.Compare(b.d.ID, a.d.ID)
}

// rank is how closely a target names a machine.
func (t Target) rank() int {
	switch {
	case !t.MAC.IsZero():
		return 0
	case !t.UUID.IsZero():
		return 1
	}
	return 2
}

// enlist returns nodes with n in its place, or without the one of that id if n is nil.
func enlist(nodes []*node, id string, n *node) []*node {
	out := slices.DeleteFunc(slices.Clone(nodes), func(o *node) bool { return o.d.ID == id })
	if n == nil {
		return out
	}
	i, _ := slices.BinarySearchFunc(out, n, weight)
	return slices.Insert(out, i, n)
}

// Deployment returns a deployment with its state.
func (s *Snapshot) Deployment(id string, now time.Time) (Status, bool) {
	n, ok := s.deployments.get(id)
	if !ok {
		return Status{}, false
	}
	return s.status(n, now), true
}

// Available reports whether the store answers, and has been read.
func (s *Snapshot) Available() bool { return s.loaded && s.available }
