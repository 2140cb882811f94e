package loader

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/xdpxe/xdpxe/bpf"
)

// publish puts a template into the maps, from the back: what names a slot
// comes after what it holds.
func (t *table) publish(tpl *Template) error {
	if err := tpl.Check(); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return ErrNoTemplates
	}
	if err := t.begin(tpl.Generation); err != nil {
		return err
	}
	layout, err := t.layout(tpl)
	if err != nil {
		return err
	}
	verdict, err := t.verdict(tpl)
	if err != nil {
		return err
	}
	p := tpl.Pattern(layout)
	if !tpl.Exact {
		p.Verdict = verdict
	}
	slot, err := t.pattern(p)
	if err != nil || !tpl.Exact {
		return err
	}
	return t.identity(tpl.Identity(slot), bpf.ExactValue{Generation: tpl.Generation, Verdict: verdict})
}

// layout returns the slot of the template's mask, which is tried on messages
// of its port and length from now on.
func (t *table) layout(tpl *Template) (uint16, error) {
	slot, held := t.layouts[string(tpl.Mask)]
	at := bpf.LengthIndex(tpl.Port, len(tpl.Request))
	length := t.lengths[at]
	if length == nil {
		length = &bpf.Length{}
		t.lengths[at] = length
	}
	free := -1
	for i, l := range length.Layout {
		if held && l == slot+1 {
			return slot, nil
		}
		if l == 0 {
			free = i
			break
		}
	}
	if free < 0 {
		return 0, t.full(fmt.Sprintf("layouts of %d bytes to port %d", len(tpl.Request), tpl.Port), len(length.Layout))
	}
	if !held {
		var err error
		if slot, err = t.addLayout(tpl); err != nil {
			return 0, err
		}
	}
	length.Layout[free] = slot + 1
	if err := t.maps[bpf.LengthsMap].Put(at, length); err != nil {
		length.Layout[free] = 0
		return 0, fmt.Errorf("%s: %w", bpf.LengthsMap, err)
	}
	return slot, nil
}

func (t *table) addLayout(tpl *Template) (uint16, error) {
	m := t.maps[bpf.LayoutsMap]
	if len(t.keys) == int(m.MaxEntries()) {
		return 0, t.full("layouts", len(t.keys))
	}
	l := tpl.Layout()
	var random [len(l.Key) * 8]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	for i := range l.Key {
		l.Key[i] = binary.NativeEndian.Uint64(random[8*i:])
	}
	slot := uint16(len(t.keys))
	if err := m.Put(uint32(slot), &l); err != nil {
		return 0, fmt.Errorf("%s: %w", bpf.LayoutsMap, err)
	}
	t.keys = append(t.keys, l)
	t.layouts[string(tpl.Mask)] = slot
	return slot, nil
}

// verdict returns what the template says, with its reply in the maps.
func (t *table) verdict(tpl *Template) (bpf.Verdict, error) {
	v := bpf.Verdict{Tag: tpl.Tag, Outcome: tpl.Outcome}
	if tpl.Reply == nil {
		return v, nil
	}
	image := tpl.Image()
	slot, held := t.replies[*image]
	if !held {
		m := t.maps[bpf.RepliesMap]
		if uint32(t.replied) == m.MaxEntries() {
			return v, t.full("replies", int(t.replied))
		}
		slot = t.replied
		if err := m.Put(uint32(slot), image); err != nil {
			return v, fmt.Errorf("%s: %w", bpf.RepliesMap, err)
		}
		t.replies[*image] = slot
		t.replied++
	}
	v.Reply = slot + 1
	return v, nil
}

// pattern returns the pattern's slot. One that is there already must say the same.
func (t *table) pattern(p *bpf.Pattern) (uint32, error) {
	m := t.maps[bpf.PatternsMap]
	hash := p.Hash(&t.keys[p.Layout])
	if slot, held := t.index[hash]; held {
		return slot, t.same(slot, p)
	}
	if t.slots == m.MaxEntries() {
		return 0, t.full("patterns", int(t.slots))
	}
	slot := t.slots
	if err := m.Put(slot, p); err != nil {
		return 0, fmt.Errorf("%s: %w", bpf.PatternsMap, err)
	}
	if err := t.maps[bpf.IndexMap].Put(hash, slot); err != nil {
		return 0, fmt.Errorf("%s: %w", bpf.IndexMap, err)
	}
	t.index[hash] = slot
	t.slots++
	return slot, nil
}

func (t *table) same(slot uint32, p *bpf.Pattern) error {
	var held bpf.Pattern
	if err := t.maps[bpf.PatternsMap].Lookup(slot, &held); err != nil {
		return fmt.Errorf("%s: %w", bpf.PatternsMap, err)
	}
	if held == *p {
		return nil
	}
	if held.Message != p.Message || held.Dst != p.Dst || held.VID != p.VID || held.Port != p.Port || held.Len != p.Len || held.Layout != p.Layout {
		return fmt.Errorf("%w: its hash is that of other requests", ErrTemplate)
	}
	return ErrConflict
}

func (t *table) identity(key bpf.ExactKey, value bpf.ExactValue) error {
	m := t.maps[bpf.ExactMap]
	var held bpf.ExactValue
	switch err := m.Lookup(key, &held); {
	case err == nil && held == value:
		return nil
	case err == nil:
		return ErrConflict
	case !errors.Is(err, ebpf.ErrKeyNotExist):
		return fmt.Errorf("%s: %w", bpf.ExactMap, err)
	}
	if t.exact == int(m.MaxEntries()) {
		return t.full("identities", t.exact)
	}
	if err := m.Put(key, value); err != nil {
		return fmt.Errorf("%s: %w", bpf.ExactMap, err)
	}
	t.exact++
	return nil
}
