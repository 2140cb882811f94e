package loader

import (
	"fmt"

	"github.com/xdpxe/xdpxe/bpf"
)

// inherited are the templates of a former daemon, by which the program answers
// until they are adopted. Those that are kept stay in their slots, so that there
// is no moment without them. The others are taken out of the hash maps: what the
// program may still be reading of them is not used again before it has left.
type inherited struct {
	generation uint64
	patterns   map[uint32]*bpf.Pattern // by slot
	exact      map[bpf.ExactKey]bpf.ExactValue

	kept      map[uint32]bool
	keptExact map[bpf.ExactKey]bool
}

// inherit reads what a former daemon left. An Exact template is one of each identity.
func (t *table) inherit() ([]*Template, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state.Lock()
	former := t.former
	t.state.Unlock()
	if former == 0 || t.closed {
		return nil, nil
	}
	t.reset()
	in := &inherited{
		generation: former, patterns: map[uint32]*bpf.Pattern{}, exact: map[bpf.ExactKey]bpf.ExactValue{},
		kept: map[uint32]bool{}, keptExact: map[bpf.ExactKey]bool{},
	}
	if err := t.readLayouts(); err != nil {
		return nil, err
	}
	if err := t.readPatterns(in); err != nil {
		return nil, err
	}
	if err := t.readReplies(in); err != nil {
		return nil, err
	}
	t.left = in
	return t.templates(in), nil
}

func (t *table) readLayouts() error {
	m := t.maps[bpf.LengthsMap]
	used := 0
	for at := range m.MaxEntries() {
		var length bpf.Length
		if err := m.Lookup(at, &length); err != nil {
			return fmt.Errorf("%s: %w", bpf.LengthsMap, err)
		}
		if length != (bpf.Length{}) {
			t.lengths[at] = &length
		}
		for _, l := range length.Layout {
			used = max(used, int(l))
		}
	}
	m = t.maps[bpf.LayoutsMap]
	t.keys = make([]bpf.Layout, used)
	for slot := range t.keys {
		if err := m.Lookup(uint32(slot), &t.keys[slot]); err != nil {
			return fmt.Errorf("%s: %w", bpf.LayoutsMap, err)
		}
	}
	for at, length := range t.lengths {
		for _, l := range length.Layout {
			if l != 0 {
				t.layouts[string(t.keys[l-1].Mask[:bpf.LengthAt(at)])] = l - 1
			}
		}
	}
	return nil
}

func (t *table) readPatterns(in *inherited) error {
	var hash uint64
	var slot uint32
	it := t.maps[bpf.IndexMap].Iterate()
	for it.Next(&hash, &slot) {
		t.index[hash] = slot
		t.slots = max(t.slots, slot+1)
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("%s: %w", bpf.IndexMap, err)
	}
	for hash, slot := range t.index {
		p := new(bpf.Pattern)
		if err := t.maps[bpf.PatternsMap].Lookup(slot, p); err != nil {
			return fmt.Errorf("%s: %w", bpf.PatternsMap, err)
		}
		if p.Generation == in.generation && int(p.Layout) < len(t.keys) && p.Hash(&t.keys[p.Layout]) == hash {
			in.patterns[slot] = p
		}
	}
	return t.readExact(in)
}

func (t *table) readExact(in *inherited) error {
	var key bpf.ExactKey
	var value bpf.ExactValue
	it := t.maps[bpf.ExactMap].Iterate()
	for it.Next(&key, &value) {
		in.exact[key] = value
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("%s: %w", bpf.ExactMap, err)
	}
	return nil
}

// readReplies reads all slots up to the last that is in use: none of them can be written to.
func (t *table) readReplies(in *inherited) error {
	for _, p := range in.patterns {
		t.replied = max(t.replied, p.Verdict.Reply)
	}
	for _, v := range in.exact {
		t.replied = max(t.replied, v.Verdict.Reply)
	}
	for slot := range t.replied {
		var image bpf.Reply
		if err := t.maps[bpf.RepliesMap].Lookup(uint32(slot), &image); err != nil {
			return fmt.Errorf("%s: %w", bpf.RepliesMap, err)
		}
		t.replies[image] = slot
	}
	return nil
}

// templates are those for all machines first.
func (t *table) templates(in *inherited) (list []*Template) {
	of := map[uint32]*Template{}
	for slot, p := range in.patterns {
		of[slot] = p.Template(&t.keys[p.Layout])
		if p.Exact == 0 {
			list = append(list, of[slot])
		}
	}
	for key, v := range in.exact {
		if p := in.patterns[key.Pattern]; p == nil || p.Exact == 0 || v.Generation != in.generation {
			continue
		}
		tpl := *of[key.Pattern]
		tpl.Tag, tpl.Outcome = v.Verdict.Tag, v.Verdict.Outcome
		tpl.CHAddr, tpl.UUID, tpl.Source, tpl.CIAddr = key.CHAddr, key.UUID, key.Src, key.CIAddr
		list = append(list, &tpl)
	}
	return list
}

// keep reports whether a template is there, the same in all that the program
// knows of it. It stays then.
func (t *table) keep(tpl *Template) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	in := t.left
	if in == nil || tpl.Check() != nil {
		return false
	}
	layout, held := t.layouts[string(tpl.Mask)]
	if !held {
		return false
	}
	verdict := bpf.Verdict{Tag: tpl.Tag, Outcome: tpl.Outcome}
	if tpl.Reply != nil {
		reply, held := t.replies[*tpl.Image()]
		if !held {
			return false
		}
		verdict.Reply = reply + 1
	}
	p := tpl.Pattern(layout)
	p.Generation = in.generation
	if !tpl.Exact {
		p.Verdict = verdict
	}
	slot, held := t.index[p.Hash(&t.keys[layout])]
	if there := in.patterns[slot]; !held || there == nil || *there != *p {
		return false
	}
	if tpl.Exact {
		key := tpl.Identity(slot)
		if in.exact[key] != (bpf.ExactValue{Generation: in.generation, Verdict: verdict}) {
			return false
		}
		in.keptExact[key] = true
	}
	in.kept[slot] = true
	return true
}

// adopt makes the former generation this table's own, less what was not kept,
// by which nobody is answered any more when it returns.
func (t *table) adopt() (uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	in := t.left
	if in == nil || t.closed {
		return 0, ErrGeneration
	}
	t.left = nil
	// Identities first: a pattern's slot may be used again once nothing names it.
	for key := range in.exact {
		if in.keptExact[key] {
			t.exact++
		} else if err := t.maps[bpf.ExactMap].Delete(key); err != nil {
			return 0, fmt.Errorf("%s: %w", bpf.ExactMap, err)
		}
	}
	for hash, slot := range t.index {
		if in.kept[slot] {
			continue
		}
		if err := t.maps[bpf.IndexMap].Delete(hash); err != nil {
			return 0, fmt.Errorf("%s: %w", bpf.IndexMap, err)
		}
		delete(t.index, hash)
	}
	grace()
	t.state.Lock()
	defer t.state.Unlock()
	if t.former != in.generation {
		return 0, ErrGeneration // void meanwhile
	}
	t.generation, t.ready, t.former = in.generation, in.generation, 0
	t.store()
	return t.generation, nil
}

// Former returns the templates of a former daemon, by which the program decides
// until Adopt, Void or Publish, the ones for all machines first: what requests
// they are for, and their tags and outcomes. Replies are left out.
func (d *Datapath) Former() ([]*Template, error) {
	if d.table == nil {
		return nil, nil
	}
	list, err := d.table.inherit()
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", d.info.Iface, err)
	}
	return list, nil
}

// Keep reports whether one of Former's templates is the same in all but the
// generation. That one outlives Adopt.
func (d *Datapath) Keep(t *Template) bool { return d.table != nil && d.table.keep(t) }

// Adopt ends those of Former's templates that were not kept: when it returns,
// no request is decided by them. The others never ceased to hold, in the
// generation that it returns. After an error Void is due.
func (d *Datapath) Adopt() (generation uint64, err error) {
	if d.table == nil {
		return 0, ErrNoTemplates
	}
	if generation, err = d.table.adopt(); err != nil {
		return 0, fmt.Errorf("interface %s: %w", d.info.Iface, err)
	}
	return generation, nil
}
