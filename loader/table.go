package loader

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bpf"
)

// renewAfter is how long a generation lives at least that ends because the
// maps are full.
const renewAfter = 10 * time.Second

// table keeps templates in one program's maps. The maps may hold those of an
// earlier process, which stay valid until adopt, or the first Void or Publish.
//
// Nothing in the maps that the program could be reading is ever changed: slots
// are written once, before the index names them, and for a new generation the
// program is first told that there is none and given the time to leave.
type table struct {
	maps map[string]*ebpf.Map
	now  func() time.Time

	// state guards word and what it says; it is never held for long.
	state      sync.Mutex
	word       *mappedWord
	generation uint64
	ready      uint64 // the generation that the maps were emptied for
	former     uint64 // that of an earlier process, while it holds; else 0
	aside      bool

	mu      sync.Mutex // guards the maps and what follows
	closed  bool
	renewed time.Time // when the maps were last full
	layouts map[string]uint16
	lengths map[uint32]*bpf.Length
	keys    []bpf.Layout
	index   map[uint64]uint32 // as index_map
	slots   uint32            // of patterns_map, that were used
	replies map[bpf.Reply]uint16
	replied uint16 // slots of replies_map that were used
	exact   int
	left    *inherited // read, and not adopted yet
}

func newTable(maps map[string]*ebpf.Map) (*table, error) {
	word, err := mapWord(maps[bpf.GenerationMap])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", bpf.GenerationMap, err)
	}
	t := &table{
		maps: maps, now: time.Now, word: word,
		// Larger than any number of an earlier process: maps do not outlive
		// the boot that this clock counts from.
		generation: monotonic(), former: word.get(),
	}
	t.reset()
	return t, nil
}

func (t *table) reset() {
	t.layouts, t.lengths, t.keys = map[string]uint16{}, map[uint32]*bpf.Length{}, nil
	t.index, t.replies = map[uint64]uint32{}, map[bpf.Reply]uint16{}
	t.slots, t.replied, t.exact, t.left = 0, 0, 0, nil
}

// store tells the program which templates hold. With state held.
func (t *table) store() {
	switch {
	case t.aside:
		t.word.set(0)
	case t.ready == t.generation:
		t.word.set(t.generation)
	default:
		t.word.set(t.former)
	}
}

func (t *table) void() uint64 {
	t.state.Lock()
	defer t.state.Unlock()
	t.generation++
	t.former = 0
	t.store()
	return t.generation
}

func (t *table) current() uint64 {
	t.state.Lock()
	defer t.state.Unlock()
	return t.generation
}

func (t *table) standAside(on bool) {
	t.state.Lock()
	defer t.state.Unlock()
	t.aside = on
	t.store()
}

// begin makes the maps ready for a generation, if it is the current one.
func (t *table) begin(generation uint64) error {
	t.state.Lock()
	current, ready := t.generation, t.ready
	if generation == current && ready != current {
		t.former = 0
		t.word.set(0)
	}
	t.state.Unlock()
	switch {
	case generation != current:
		return fmt.Errorf("%w: %d, now %d", ErrGeneration, generation, current)
	case ready == current:
		return nil
	}
	grace()
	if err := t.empty(); err != nil {
		return err
	}
	t.state.Lock()
	defer t.state.Unlock()
	t.ready = current
	t.store()
	return nil
}

// grace waits until no run of the program is left that began before: it runs
// in a read-side critical section of RCU, whose end this barrier waits for.
func grace() {
	const membarrierGlobal = 1 // MEMBARRIER_CMD_GLOBAL: synchronize_rcu(), kernel/sched/membarrier.c
	if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0); errno != 0 {
		time.Sleep(time.Second) // nohz_full or a filter forbids it; no run takes that long
	}
}

// empty takes out all that the program finds its way by.
func (t *table) empty() error {
	t.reset()
	if err := clearHash[uint64](t.maps[bpf.IndexMap]); err != nil {
		return fmt.Errorf("%s: %w", bpf.IndexMap, err)
	}
	if err := clearHash[bpf.ExactKey](t.maps[bpf.ExactMap]); err != nil {
		return fmt.Errorf("%s: %w", bpf.ExactMap, err)
	}
	m := t.maps[bpf.LengthsMap]
	for i := range m.MaxEntries() {
		if err := m.Put(i, bpf.Length{}); err != nil {
			return fmt.Errorf("%s: %w", bpf.LengthsMap, err)
		}
	}
	return nil
}

func clearHash[K any](m *ebpf.Map) error {
	var key K
	var keys []K
	var value []byte
	it := m.Iterate()
	for it.Next(&key, &value) {
		keys = append(keys, key)
	}
	if err := it.Err(); err != nil {
		return err
	}
	for _, key := range keys {
		if err := m.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return err
		}
	}
	return nil
}

// full says that there is no room. If the last time is long enough ago, the
// templates that are asked for now get the room of all others.
func (t *table) full(what string, n int) error {
	if now := t.now(); t.renewed.IsZero() || now.Sub(t.renewed) >= renewAfter {
		t.renewed = now
		t.void()
	}
	return fmt.Errorf("%w: %d %s", ErrTemplatesFull, n, what)
}

func (t *table) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	return t.word.close()
}

func (t *table) info() TemplateInfo {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state.Lock()
	defer t.state.Unlock()
	i := TemplateInfo{
		Generation: t.generation, Active: t.ready == t.generation && !t.aside,
		MaxPatterns: t.room(bpf.PatternsMap), MaxExact: t.room(bpf.ExactMap), MaxReplies: t.room(bpf.RepliesMap), MaxLayouts: t.room(bpf.LayoutsMap),
	}
	if t.ready == t.generation {
		i.Patterns, i.Exact, i.Replies, i.Layouts = len(t.index), t.exact, len(t.replies), len(t.keys)
	}
	return i
}

func (t *table) room(name string) int { return int(t.maps[name].MaxEntries()) }
