package loader

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/xdpxe/xdpxe/bpf"
)

// Template says which requests the program answers or ignores by itself, and how.
type Template = bpf.Template

// Echo is a piece of a request that a Template's reply repeats.
type Echo = bpf.Echo

// Event is what a template did to one request.
type Event = bpf.Event

// Why Publish takes no template; there are errors with more words around these.
var (
	// ErrTemplate: the program cannot hold it, whatever else it holds.
	ErrTemplate = bpf.ErrTemplate
	// ErrTemplatesFull: no room. Where the last time is long enough ago, a
	// new generation has begun, and what is published in it has room.
	ErrTemplatesFull = errors.New("no room for more templates")
	// ErrGeneration: the template is of another generation than Generation says.
	ErrGeneration = errors.New("template of another generation")
	// ErrConflict: other templates say otherwise of the same requests.
	ErrConflict = errors.New("another template for the same requests")
	// ErrNoTemplates: there is no program.
	ErrNoTemplates = errors.New("no program that could hold templates")
)

// TemplateInfo is what status shows of the templates of an interface.
type TemplateInfo struct {
	Generation    uint64 `json:"generation"`
	Active        bool   `json:"active"` // the program looks at them
	Patterns      int    `json:"patterns"`
	MaxPatterns   int    `json:"max_patterns"`
	Exact         int    `json:"exact"`
	MaxExact      int    `json:"max_exact"`
	Replies       int    `json:"replies"`
	MaxReplies    int    `json:"max_replies"`
	Layouts       int    `json:"layouts"`
	MaxLayouts    int    `json:"max_layouts"`
	EventsDropped uint64 `json:"events_dropped"`
	Answer67      bool   `json:"answer_67"`
	Answer4011    bool   `json:"answer_4011"`
}

// TemplateOptions bounds what the program holds; 0 stands for a default. An
// interface takes 0.7 KiB for each pattern and reply and 1.2 KiB for each layout
// at once, and 0.1 KiB for each identity as they come.
type TemplateOptions struct {
	Patterns  int // kinds of requests; 4096
	Exact     int // identities of templates that are for one machine; 65536
	Replies   int // 1024
	Layouts   int // orders and lengths of options; 256
	EventRate int // events that each CPU writes in 1.07 s at most; 2000, negative: none
	EventRing int // bytes of their ring buffer, a power of two and multiple of the page size; 1 MiB
}

// What a slot's number must fit into (struct verdict, struct pattern).
const maxSlots = 1<<16 - 1

func (o TemplateOptions) check() error {
	for _, c := range []struct {
		name   string
		n, max int
	}{
		{"patterns", o.Patterns, maxSlots}, {"identities", o.Exact, 1 << 24}, {"replies", o.Replies, maxSlots}, {"layouts", o.Layouts, maxSlots},
	} {
		if c.n < 0 || c.n > c.max {
			return fmt.Errorf("templates: %d %s: not 1 to %d", c.n, c.name, c.max)
		}
	}
	return nil
}

func (o TemplateOptions) apply(spec *ebpf.CollectionSpec) error {
	for _, c := range []struct {
		n    int
		maps []string
	}{
		{o.Patterns, []string{bpf.PatternsMap, bpf.IndexMap}}, {o.Exact, []string{bpf.ExactMap}},
		{o.Replies, []string{bpf.RepliesMap}}, {o.Layouts, []string{bpf.LayoutsMap}}, {o.EventRing, []string{bpf.EventsMap}},
	} {
		for _, name := range c.maps {
			if c.n != 0 {
				spec.Maps[name].MaxEntries = uint32(c.n)
			}
		}
	}
	if o.EventRate == 0 {
		return nil
	}
	if err := spec.Variables[bpf.EventRate].Set(uint32(max(o.EventRate, 0))); err != nil {
		return fmt.Errorf("%s: %w", bpf.EventRate, err)
	}
	return nil
}

// answer says to which ports templates may answer.
type answer struct{ on67, on4011 bool }

func (a answer) words() (on67, on4011 uint32) {
	word := map[bool]uint32{true: 1}
	return word[a.on67], word[a.on4011]
}

// Publish makes the program decide by a template from now on. In a generation
// that nothing was published in yet it waits until the program has left the
// maps, some 10 ms, and empties them.
//
// An error wraps ErrTemplate, ErrTemplatesFull, ErrGeneration, ErrConflict or
// ErrNoTemplates, or is the kernel's; then the program decides as before.
func (d *Datapath) Publish(t *Template) error {
	if d.table == nil {
		return ErrNoTemplates
	}
	if err := d.table.publish(t); err != nil {
		return fmt.Errorf("interface %s: %w", d.info.Iface, err)
	}
	return nil
}

// Void makes all templates void at once, and returns the number that new ones
// must carry. Whoever decides takes Generation before it takes the policy.
func (d *Datapath) Void() uint64 {
	if d.table == nil {
		return 0
	}
	return d.table.void()
}

// Generation is the number that templates must carry; 0: there is no program.
// It changes by Void, and by a Publish that finds no room.
func (d *Datapath) Generation() uint64 {
	if d.table == nil {
		return 0
	}
	return d.table.current()
}

// StandAside makes the program look at no template while on. They stay, and
// may be published and made void.
func (d *Datapath) StandAside(on bool) {
	if d.table != nil {
		d.table.standAside(on)
	}
}

// SetAnswer says on which ports templates may answer (XDP_TX); at first, on
// none. They may ignore requests in any case, and never answer what is teed.
func (d *Datapath) SetAnswer(on67, on4011 bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer = answer{on67, on4011}
	if d.coll == nil {
		return nil
	}
	var s bpf.Settings
	if err := d.coll.Maps[bpf.SettingsMap].Lookup(uint32(0), &s); err != nil {
		return fmt.Errorf("interface %s: %s: %w", d.info.Iface, bpf.SettingsMap, err)
	}
	return d.settings(s)
}

// Outcomes returns how many requests templates decided on since Open, exactly,
// by their Outcome.
func (d *Datapath) Outcomes() (counts [bpf.MaxOutcomes]uint64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.coll == nil {
		return counts, nil
	}
	for i := range counts {
		if counts[i], err = sum(d.coll.Maps[bpf.OutcomesMap], uint32(i)); err != nil {
			return counts, fmt.Errorf("interface %s: %w", d.info.Iface, err)
		}
	}
	return counts, nil
}

// Events calls each with what templates did since the last call, as far as it
// was recorded, and does not wait for more. each must not keep its argument.
// It has one caller at a time.
func (d *Datapath) Events(each func(*Event)) error {
	if d.events == nil {
		return nil
	}
	if err := d.events.drain(each); err != nil {
		return fmt.Errorf("interface %s: %w", d.info.Iface, err)
	}
	return nil
}

// Templates returns the numbers for status.
func (d *Datapath) Templates() (TemplateInfo, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.coll == nil {
		return TemplateInfo{}, nil
	}
	i := d.table.info()
	i.Answer67, i.Answer4011 = d.answer.on67, d.answer.on4011
	var err error
	if i.EventsDropped, err = sum(d.coll.Maps[bpf.OutcomesMap], bpf.OutcomeEventsDropped); err != nil {
		return i, fmt.Errorf("interface %s: %w", d.info.Iface, err)
	}
	i.EventsDropped += d.unread.Load()
	return i, nil
}
