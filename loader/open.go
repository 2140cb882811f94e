package loader

import (
	"errors"
	"fmt"

	"github.com/xdpxe/xdpxe/loader/netdev"
)

// Open opens the best datapath that works on an interface, or the one asked
// for. A leftover of a killed xdpxe is removed first. Another program on the
// interface is a *BusyError for what needs XDP, and for Auto a reason to use
// sockets; an xdpxe that lives there is always an error.
func Open(o Options) (*Datapath, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	f, err := netdev.Read(o.Iface)
	if err != nil {
		return nil, err
	}
	if err := refuse(f); err != nil {
		return nil, err
	}
	d := &Datapath{
		info: Info{
			Iface: f.Name, IfIndex: f.Index, Driver: f.Driver, MTU: f.MTU, Queues: f.RXQueues,
			Tier: Socket, Mode: ModeNone, Deliver: o.Deliver, DeliverWhy: "configured",
		},
	}
	if o.Deliver == DeliverAuto {
		if d.info.Deliver, d.info.DeliverWhy, err = ChooseDeliver(f); err != nil {
			return nil, err
		}
	}
	steps, err := plan(o.Datapath, d.info.Deliver)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", f.Name, err)
	}
	l := ladder{o: o, f: f, d: d}
	if err := l.climb(steps); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// refuse returns an error for an interface that no datapath can serve.
func refuse(f *netdev.Facts) error {
	if f.Bond != "" {
		return fmt.Errorf("interface %s: %w: use %s, where its requests come in", f.Name, ErrBondMember, f.Bond)
	}
	return nil
}

// ladder is one Open under way.
type ladder struct {
	o       Options
	f       *netdev.Facts
	d       *Datapath
	refused map[Mode]error // attach failures, which the next rung need not repeat

	former   *former // nil: there is nothing to take over
	layout   string  // of the maps
	sameMaps bool    // the pinned ones serve on
	mode     Mode    // of the operator's program
}

// climb takes the first step that works. What does not is an error if nothing
// else was asked for, else a reason.
func (l *ladder) climb(steps []step) error {
	onlySocket := len(steps) == 1 && steps[0].tier == Socket
	if l.d.info.Deliver == Tee && l.o.Datapath != Socket && l.o.Datapath != Ringbuf {
		l.d.info.Why = append(l.d.info.Why, fmt.Sprintf("AF_XDP: would consume requests that others must see (%s)", l.d.info.DeliverWhy))
	}
	if onlySocket {
		l.d.info.Why = append(l.d.info.Why, "XDP: not wanted (datapath: socket)")
		// What a crash left is not wanted either; if it cannot be removed, it
		// is inert, and a foreign program is nobody's business here.
		if !l.o.External {
			if err := l.takeOver(); errors.Is(err, ErrRunning) {
				return err
			}
		}
		return l.giveUp()
	}
	if err := l.prepare(); err != nil {
		if l.o.External { // it is for the operator to load, at any time
			return l.unusable(err)
		}
		return l.fallBack(steps, fmt.Errorf("XDP: %w", err))
	}
	if l.o.External {
		if steps = attachedSteps(steps, l.mode); len(steps) == 0 {
			return l.unusable(fmt.Errorf("the program is attached in %s mode", l.mode))
		}
	}
	for _, s := range steps {
		if s.tier == Socket {
			return l.fallBack(steps, nil)
		}
		err := l.try(s)
		if err == nil {
			l.pin()
			return nil
		}
		if errors.Is(err, ErrRunning) || errors.Is(err, ErrGone) || s == steps[len(steps)-1] {
			return l.unusable(fmt.Errorf("%s: %w", s, err))
		}
		l.d.info.Why = append(l.d.info.Why, fmt.Sprintf("%s: %v", s, err))
	}
	return nil
}

// fallBack ends on the tier Socket, if that is one of the steps.
func (l *ladder) fallBack(steps []step, err error) error {
	if errors.Is(err, ErrRunning) || errors.Is(err, ErrGone) || errors.Is(err, ErrDown) || steps[len(steps)-1].tier != Socket {
		return l.unusable(err)
	}
	if err != nil {
		l.d.info.Why = append(l.d.info.Why, err.Error())
	}
	return l.giveUp()
}

// giveUp does without XDP: nothing of it, and of a former daemon, stays.
func (l *ladder) giveUp() error {
	err := l.dropFormer()
	l.d.release()
	return errors.Join(err, l.d.restoreOffloads())
}

func (l *ladder) unusable(err error) error {
	err = errors.Join(err, l.dropFormer())
	for _, own := range []error{ErrBusy, ErrGone, ErrDown} {
		if errors.Is(err, own) {
			return fmt.Errorf("interface %s: %w", l.f.Name, err)
		}
	}
	return fmt.Errorf("interface %s: %w: %w", l.f.Name, ErrUnusable, err)
}

// prepare does what all steps with XDP need.
func (l *ladder) prepare() error {
	if err := requirements(); err != nil {
		return err
	}
	if !l.f.Ethernet {
		return fmt.Errorf("%s is no Ethernet interface (kind %s)", l.f.Name, l.f.Kind)
	}
	if !l.f.Up {
		return fmt.Errorf("%w: bring it up with `ip link set %s up`", ErrDown, l.f.Name)
	}
	if !l.o.External {
		if err := l.takeOver(); err != nil {
			return err
		}
	}
	raiseMemlock()
	if err := l.load(); err != nil {
		return loadReason(err)
	}
	return nil
}

// takeOver finds what an xdpxe left that ended: what it pinned is used again,
// else it is removed. Its offloads become ours, unless it may be alive.
func (l *ladder) takeOver() (err error) {
	if err := l.openPins(); err != nil {
		return err
	}
	if l.d.pins != nil {
		if l.former, err = l.d.pins.findFormer(l.f); err != nil {
			return err
		}
	}
	if l.former != nil {
		l.d.offloads = loadOffloads(l.o.RunDir, l.f)
		return nil
	}
	removed, err := removeLeftover(l.f)
	if !mayLive(err) {
		l.d.offloads = loadOffloads(l.o.RunDir, l.f)
	}
	if removed.Program != 0 {
		l.d.note(fmt.Sprintf("removed program id %d that an xdpxe without a heartbeat left", removed.Program))
	}
	return err
}
