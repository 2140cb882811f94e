package loader

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/xdpxe/xdpxe/bpf"
)

// load gets program and maps; new ones deliver nothing and have no heartbeat.
func (l *ladder) load() error {
	classes, err := bpf.Classes(l.o.VendorClasses)
	if err != nil {
		return err
	}
	spec, err := bpf.LoadSpec()
	if err != nil {
		return err
	}
	if err := spec.Variables[bpf.StaleNS].Set(uint64(l.o.Stale)); err != nil {
		return fmt.Errorf("%s: %w", bpf.StaleNS, err)
	}
	if err := l.o.Templates.apply(spec); err != nil {
		return err
	}
	l.sizeGuard(spec)
	d := l.d
	if l.o.External {
		err = l.openExternal(spec)
	} else {
		err = l.newCollection(spec)
	}
	if err != nil {
		return err
	}
	if d.inherited = l.sameMaps || l.o.External; d.inherited {
		if d.answer, err = d.formerAnswer(); err != nil {
			return err
		}
	}
	for i, c := range classes {
		if err := d.coll.Maps[bpf.ClassesMap].Put(uint32(i), c); err != nil {
			return fmt.Errorf("%s: %w", bpf.ClassesMap, err)
		}
	}
	if d.beat, err = mapWord(d.coll.Maps[bpf.HeartbeatMap]); err != nil {
		return fmt.Errorf("%s: %w", bpf.HeartbeatMap, err)
	}
	if d.table, err = newTable(d.coll.Maps); err != nil {
		return err
	}
	if d.events, err = newEvents(d.coll.Maps[bpf.EventsMap]); err != nil {
		return err
	}
	if d.ring, err = newRing(d.coll.Maps[bpf.RequestsMap]); err != nil {
		return err
	}
	if err := d.openSamples(); err != nil {
		return err
	}
	if d.program() == nil {
		return nil
	}
	info, err := d.program().Info()
	if err != nil {
		return fmt.Errorf("program info: %w", err)
	}
	d.info.ProgramTag = info.Tag
	d.info.ProgramID, _ = info.ID()
	return nil
}

// newCollection loads the program, with the maps that a former daemon pinned if they fit.
func (l *ladder) newCollection(spec *ebpf.CollectionSpec) (err error) {
	var options ebpf.CollectionOptions
	l.layout = layoutOf(spec)
	if l.former != nil {
		options.MapReplacements = l.d.pins.maps(spec, l.layout)
		defer closeMaps(options.MapReplacements)
		l.sameMaps = options.MapReplacements != nil
	}
	l.d.coll, err = ebpf.NewCollectionWithOptions(spec, options)
	return err
}

// program returns the program; nil: the operator loaded it.
func (d *Datapath) program() *ebpf.Program { return d.coll.Programs[bpf.ProgramName] }

// release takes down what load made, all or part, and the pins.
func (d *Datapath) release() {
	if d.pins != nil {
		_ = d.pins.remove()
		d.pins = nil
	}
	if d.ring != nil {
		_ = d.ring.Close()
	}
	if d.samples != nil {
		_ = d.samples.Close()
	}
	if d.beat != nil {
		_ = d.beat.close()
	}
	if d.events != nil {
		_ = d.events.close()
	}
	if d.table != nil {
		_ = d.table.close()
	}
	if d.coll != nil {
		d.coll.Close()
	}
	d.coll, d.ring, d.beat, d.samples, d.table, d.events = nil, nil, nil, nil, nil, nil
	d.info.ProgramID, d.info.ProgramTag, d.info.Pinned = 0, "", ""
}

func (d *Datapath) restoreOffloads() error {
	if d.offloads == nil {
		return nil
	}
	_, err := d.offloads.restore(d.info.Iface)
	return err
}
