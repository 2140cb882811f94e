package loader

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bpf"
	"github.com/xdpxe/xdpxe/loader/netdev"
)

// former is the pinned link of a daemon that ended, with its program still on
// the interface.
type former struct {
	link link.Link
	mode Mode
	id   ebpf.ProgramID
}

// openPins gets the interface's directory and its lock. Without a bpffs nothing
// is pinned, which is noted.
func (l *ladder) openPins() error {
	if l.o.PinDir == "" {
		return nil
	}
	p, err := openPins(l.o.PinDir, l.f.Index)
	if errors.Is(err, errPinsLocked) {
		return running(l.f)
	}
	if err != nil {
		l.d.note(fmt.Sprintf("nothing is pinned: a restart will not be seamless: %v", err))
		return nil
	}
	l.d.pins = p
	return nil
}

// running is the error for an interface whose directory is locked.
func running(f *netdev.Facts) error {
	busy := &BusyError{Iface: f.Name, Ours: true}
	if a, err := inspect(f.Name, f.Index); err == nil && a != nil {
		busy = a.busy()
		busy.Ours = true
		a.close()
	}
	return busy
}

// findFormer looks for a program that was pinned by a former daemon and is
// still attached; nil if there is none. Knowing that it is ours takes no
// privilege, since it is pinned; that nobody lives, the lock says.
func (p *pins) findFormer(f *netdev.Facts) (*former, error) {
	a, err := inspect(f.Name, f.Index)
	if a == nil || err != nil {
		return nil, err
	}
	defer a.close()
	l, info := p.link()
	if l == nil {
		return nil, nil
	}
	if int(info.XDP().Ifindex) != f.Index || info.Program != a.id || !p.ours(a.id) {
		l.Close()
		return nil, nil
	}
	return &former{link: l, mode: a.mode, id: a.id}, nil
}

// end takes the program off the interface. It says so to the kernel: with the
// last descriptor closed, the pin, which goes a moment later, would still hold it.
func (f *former) end() error {
	err := f.link.Detach()
	if errors.Is(err, unix.ENOLINK) {
		err = nil
	}
	return errors.Join(err, f.link.Close())
}

// update puts the program in the place of a former one, at once: no packet
// meets none, or both.
func (l *ladder) update(prog *ebpf.Program) error {
	p := l.d.pins
	if err := p.pinNext(prog); err != nil {
		return err
	}
	if err := l.former.link.Update(prog); err != nil {
		return err
	}
	return p.pinProgram()
}

// dropFormer removes what a former daemon left, if it is of no use.
func (l *ladder) dropFormer() error {
	f := l.former
	if f == nil {
		return nil
	}
	l.former = nil
	return errors.Join(f.end(), l.d.pins.unpin(pinnedLink))
}

// pin makes what was attached outlive the process. What cannot be pinned is
// served all the same.
func (l *ladder) pin() {
	d := l.d
	if d.pins == nil || d.pins.kept {
		return
	}
	err := func() error {
		if !l.sameMaps {
			if err := d.pins.pinMaps(d.coll, l.layout); err != nil {
				return err
			}
		}
		if d.info.TookOver {
			return nil
		}
		if err := d.pins.pinNext(d.program()); err != nil {
			return err
		}
		if err := d.pins.pinProgram(); err != nil {
			return err
		}
		if err := d.pins.unpin(pinnedLink); err != nil {
			return err
		}
		return d.link.Pin(d.pins.at(pinnedLink))
	}()
	if err != nil {
		d.note(fmt.Sprintf("nothing is pinned: a restart will not be seamless: %v", err))
		_ = d.pins.remove() // what stays is in nobody's way
		d.pins = nil
		return
	}
	d.info.Pinned = d.pins.path
}

// formerAnswer returns where a former daemon let templates answer.
func (d *Datapath) formerAnswer() (answer, error) {
	var s bpf.Settings
	if err := d.coll.Maps[bpf.SettingsMap].Lookup(uint32(0), &s); err != nil {
		return answer{}, fmt.Errorf("%s: %w", bpf.SettingsMap, err)
	}
	return answer{s.Answer67 != 0, s.Answer4011 != 0}, nil
}

// EndFormer ends what a former daemon's templates answer, and their leave to:
// for who publishes none. Else Adopt decides, or the first Void or Publish is
// their end; then DropFormerEvents is due.
func (d *Datapath) EndFormer() error {
	if !d.inherited {
		return nil
	}
	d.Void()
	return errors.Join(d.DropFormerEvents(), d.SetAnswer(false, false))
}

// DropFormerEvents drops what nobody was told of a former daemon's templates,
// which must be void: their tags are not those of this process. They count as
// dropped events.
func (d *Datapath) DropFormerEvents() error {
	if !d.inherited {
		return nil
	}
	grace() // for runs that go by them
	var unread uint64
	err := d.Events(func(*Event) { unread++ })
	d.unread.Add(unread)
	return err
}
