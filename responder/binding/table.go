package binding

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/mapfile"
)

const (
	// DefaultSize is how many machines a table has room for. A place takes 384
	// bytes of the file, and less than half of that beside it.
	DefaultSize = 32_768
	// MaxSize bounds what is read.
	MaxSize = 1 << 20
	// Contest is how long after one machine's claim another's makes both doubtful.
	Contest = 10 * time.Second
	// Lifetime is how long a claim holds.
	Lifetime = 24 * time.Hour
)

// Machine is who is behind an address, and what it was answered with last.
type Machine struct {
	// MAC is the hardware address, and zero for a machine that shows its UUID only.
	MAC, UUID  deploy.Identity
	Arch       string // as last answered, like what follows; empty: it never was
	Profile    string
	Deployment string // id; empty: by a rule or an approval
	CircuitID  []byte
	Bound      time.Time // when it claimed the address last
}

// Client is the machine as deployments are found for it.
func (m *Machine) Client() deploy.Client {
	var c deploy.Client
	if !m.MAC.IsZero() {
		c.MAC = m.MAC.Bytes()
	}
	if !m.UUID.IsZero() {
		c.UUID = m.UUID.Bytes()
	}
	return c
}

// ID is the identity that the machine is recorded under.
func (m *Machine) ID() deploy.Identity {
	if m.MAC.IsZero() {
		return m.UUID
	}
	return m.MAC
}

// Table knows which machine is behind an address. Its methods are safe for
// concurrent use, wait for no I/O, and allocate nothing for a machine that asks
// as it did before.
type Table struct {
	file     *mapfile.File // nil: the table ends with the process
	restored Restored

	mu     sync.Mutex
	slots  []slot
	known  []known // by slot
	free   []int32
	byID   index
	byAddr index
	order  order
	stats  Stats
}

// known is what the process keeps of a slot beside the mapping.
type known struct {
	id         deploy.Identity // a key
	mac, uuid  deploy.Identity
	addr       netip.Addr // invalid: none
	arch       string
	profile    string
	deployment string
}

// Restored says what came of the former process's file.
type Restored struct {
	Machines int   // the table goes on with
	Torn     int   // were not whole, and left out
	Lost     error // why there is nothing to go on with; nil as well if there was no file
}

// Open returns a table with room for size machines (0: DefaultSize), which goes
// on with the file at path. With an empty path it ends with the process. An error
// says that there can be no such file, or that a living process has it
// (mapfile.ErrInUse); what was wrong with the former one is told by Restored.
func Open(path string, size int) (*Table, error) {
	if size == 0 {
		size = DefaultSize
	}
	if size < 0 || size > MaxSize {
		return nil, fmt.Errorf("bindings: %d machines: at most %d", size, MaxSize)
	}
	t := &Table{
		known: make([]known, size), free: make([]int32, size),
		byID: newIndex(size), byAddr: newIndex(size), order: newOrder(size),
	}
	for i := range t.free {
		t.free[i] = int32(size - 1 - i)
	}
	if path == "" {
		t.slots = make([]slot, size)
		return t, nil
	}
	boot, err := mapfile.BootID()
	if err != nil {
		return nil, fmt.Errorf("bindings: %w", err)
	}
	saved, err := t.read(path, boot)
	if err != nil {
		return nil, err
	}
	if t.file, err = mapfile.Create(path, length(size)); err != nil {
		return nil, fmt.Errorf("bindings: %w", err)
	}
	var h *header
	h, t.slots = view(t.file.Memory(), size)
	*h = header{magic: magic, version: Version, headerSize: uint32(headerSize), slotSize: uint32(slotSize), slots: uint32(size), boot: boot}
	h.sum = h.checksum()
	t.restore(saved)
	if err := t.file.Publish(); err != nil {
		t.Close()
		return nil, fmt.Errorf("bindings: %w", err)
	}
	return t, nil
}

// read returns what the former process's file has, if it can be gone on with.
func (t *Table) read(path string, boot [16]byte) ([]saved, error) {
	data, err := mapfile.Read(path, length(MaxSize))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, mapfile.ErrInUse):
		return nil, fmt.Errorf("bindings: %w", err)
	case err != nil:
		t.restored.Lost = fmt.Errorf("bindings: %w", err)
		return nil, nil
	}
	all, torn, err := parse(data, boot)
	if err != nil {
		t.restored.Lost = fmt.Errorf("bindings: %s %w", path, err)
	}
	t.restored.Torn = torn
	return all, nil
}

// restore takes machines over, if there are too many those that were heard last.
func (t *Table) restore(all []saved) {
	slices.SortStableFunc(all, func(a, b saved) int { return cmp.Compare(a.heard, b.heard) })
	for _, s := range all[max(0, len(all)-len(t.slots)):] {
		k := s.known()
		if t.find(k.id) >= 0 {
			continue // written by a server with a mistake in it
		}
		i := t.take(k.id)
		if k.addr.IsValid() {
			if j := t.holder(k.addr); j >= 0 { // the same
				t.unbind(j)
				k.addr = netip.Addr{}
				s.record.flags &^= hasAddr
			} else {
				t.byAddr.add(t.byAddr.addr(k.addr), i)
			}
		}
		t.known[i] = k
		t.slots[i].heard.Store(s.heard)
		t.slots[i].write(&s.record)
		t.order.append(i, s.record.class())
		t.restored.Machines++
	}
}

// Restored returns what came of the former process's file.
func (t *Table) Restored() Restored { return t.restored }

// Close ends the use of the file, which stays. The table knows nobody then.
func (t *Table) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slots = nil
	if t.file == nil {
		return nil
	}
	if err := t.file.Close(); err != nil {
		return fmt.Errorf("bindings: %w", err)
	}
	return nil
}

// Stats count what the table has and did.
type Stats struct {
	Size      int    `json:"size"`
	Machines  int    `json:"machines"`
	Addresses int    `json:"addresses"`
	Contested uint64 `json:"contested"` // claims of an address that another machine had claimed just before
	Pushed    uint64 `json:"pushed"`    // machines that made room for others
	LeftOut   uint64 `json:"left_out"`  // names too long to be kept
}

// Stats returns them.
func (t *Table) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.stats
	s.Size, s.Machines, s.Addresses = len(t.known), len(t.known)-len(t.free), t.byAddr.n
	return s
}
