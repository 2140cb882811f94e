package loader

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/cilium/ebpf"

	"github.com/xdpxe/xdpxe/bpf"
)

// openExternal opens the maps of a program that the operator attached, and
// finds out in which mode. Nothing is loaded, attached or removed.
func (l *ladder) openExternal(spec *ebpf.CollectionSpec) error {
	dir := filepath.Join(l.o.PinDir, l.f.Name)
	load := fmt.Sprintf("load it with `mkdir -p %s; xdp-loader load -n %s -p %s %s FILE`, FILE from `xdpxe object -o FILE`", filepath.Dir(dir), bpf.ProgramName, dir, l.f.Name)
	a, err := inspect(l.f.Name, l.f.Index)
	if err != nil {
		return err
	}
	if a == nil {
		return fmt.Errorf("no XDP program is attached: %s", load)
	}
	a.close()
	l.mode = a.mode
	p, err := lockPins(dir)
	switch {
	case errors.Is(err, errPinsLocked):
		return running(l.f)
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%w: %s", err, load)
	case err != nil:
		return err
	}
	p.kept = true
	l.d.pins = p
	coll := &ebpf.Collection{Maps: map[string]*ebpf.Map{}}
	defer func() {
		if l.d.coll == nil { // not all of them, or of another version: nothing to write to
			coll.Close()
		}
	}()
	for name, want := range spec.Maps {
		if !lasting(name) {
			continue
		}
		m, err := ebpf.LoadPinnedMap(p.at(name), nil)
		if err != nil {
			return fmt.Errorf("%w: %s", err, load)
		}
		coll.Maps[name] = m
		if err := want.Compatible(m); err != nil {
			return fmt.Errorf("%s is not of this version's object (%w): unload it, remove %s, and %s", name, err, dir, load)
		}
	}
	l.d.coll = coll
	l.d.offloads = loadOffloads(l.o.RunDir, l.f)
	l.d.info.Pinned = dir
	return nil
}

// attachedSteps keeps the steps that a program in that mode can serve.
func attachedSteps(steps []step, mode Mode) []step {
	return slices.DeleteFunc(slices.Clone(steps), func(s step) bool { return s.tier != Socket && s.mode != mode })
}
