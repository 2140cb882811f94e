package loader

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bpf"
	"github.com/xdpxe/xdpxe/loader/netdev"
	"github.com/xdpxe/xdpxe/loader/xsk"
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
	if f.Bond != "" {
		return nil, fmt.Errorf("interface %s: %w: use %s, where its requests come in", f.Name, ErrBondMember, f.Bond)
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

// ladder is one Open under way.
type ladder struct {
	o       Options
	f       *netdev.Facts
	d       *Datapath
	refused map[Mode]error // attach failures, which the next rung need not repeat
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
		if err := l.takeOver(); errors.Is(err, ErrRunning) {
			return err
		}
		return l.d.restoreOffloads()
	}
	if err := l.prepare(); err != nil {
		return l.fallBack(steps, fmt.Errorf("XDP: %w", err))
	}
	for _, s := range steps {
		if s.tier == Socket {
			return l.fallBack(steps, nil)
		}
		err := l.try(s)
		if err == nil {
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
	l.d.release()
	return l.d.restoreOffloads()
}

func (l *ladder) unusable(err error) error {
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
	if err := l.takeOver(); err != nil {
		return err
	}
	raiseMemlock()
	if err := l.load(); err != nil {
		return loadReason(err)
	}
	return nil
}

// takeOver removes what a killed xdpxe left. Its offloads become ours, unless
// it may be alive.
func (l *ladder) takeOver() error {
	removed, err := removeLeftover(l.f)
	if !mayLive(err) {
		l.d.offloads = loadOffloads(l.o.RunDir, l.f)
	}
	if removed.Program != 0 {
		l.d.note(fmt.Sprintf("removed program id %d that an xdpxe without a heartbeat left", removed.Program))
	}
	return err
}

// load loads program and maps, delivering nothing and without a heartbeat.
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
	d := l.d
	if d.coll, err = ebpf.NewCollection(spec); err != nil {
		return err
	}
	for i, c := range classes {
		if err := d.coll.Maps[bpf.ClassesMap].Put(uint32(i), c); err != nil {
			return fmt.Errorf("%s: %w", bpf.ClassesMap, err)
		}
	}
	if d.beat, err = mapHeartbeat(d.coll.Maps[bpf.HeartbeatMap]); err != nil {
		return err
	}
	if d.ring, err = newRing(d.coll.Maps[bpf.RequestsMap]); err != nil {
		return err
	}
	info, err := d.coll.Programs[bpf.ProgramName].Info()
	if err != nil {
		return fmt.Errorf("program info: %w", err)
	}
	d.info.ProgramTag = info.Tag
	d.info.ProgramID, _ = info.ID()
	return nil
}

// release takes down what load made, all or part.
func (d *Datapath) release() {
	if d.ring != nil {
		_ = d.ring.Close()
	}
	if d.beat != nil {
		_ = d.beat.close()
	}
	if d.coll != nil {
		d.coll.Close()
	}
	d.coll, d.ring, d.beat = nil, nil, nil
	d.info.ProgramID, d.info.ProgramTag = 0, ""
}

func (d *Datapath) restoreOffloads() error {
	if d.offloads == nil {
		return nil
	}
	_, err := d.offloads.restore(d.info.Iface)
	return err
}

// try takes one step with XDP, or leaves nothing of it.
func (l *ladder) try(s step) error {
	d := l.d
	if s.xsk() {
		if err := l.bearsXSK(s.mode); err != nil {
			return err
		}
	}
	if err := l.attach(s.mode); err != nil {
		return err
	}
	err := l.connect(s)
	if err != nil {
		_ = d.detach()
		d.sockets, d.info.LinkID = nil, 0
		return err
	}
	d.info.Tier, d.info.Mode = s.tier, s.mode
	return nil
}

// bearsXSK says what is known to keep AF_XDP from working without being
// refused: packets would be lost, not passed.
func (l *ladder) bearsXSK(mode Mode) error {
	if mode == ModeNative && (l.f.Kind == "bond" || l.f.Kind == "team") {
		return fmt.Errorf("native XDP of %s runs on its members, from where a socket on %s gets nothing", l.f.Name, l.f.Name)
	}
	if l.f.RXQueues > bpf.MaxQueues {
		return fmt.Errorf("%d RX queues: more than %d; reduce them with `ethtool -L`", l.f.RXQueues, bpf.MaxQueues)
	}
	return nil
}

// attach links the program to the interface.
func (l *ladder) attach(mode Mode) error {
	if err := l.refused[mode]; err != nil {
		return err
	}
	flags := link.XDPDriverMode
	if mode == ModeGeneric {
		flags = link.XDPGenericMode
	}
	d := l.d
	lnk, err := link.AttachXDP(link.XDPOptions{Program: d.coll.Programs[bpf.ProgramName], Interface: l.f.Index, Flags: flags})
	if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EEXIST) {
		// Somebody was faster than us.
		if a, e := inspect(l.f.Name, l.f.Index); e == nil && a != nil {
			defer a.close()
			return a.busy()
		}
	}
	if err != nil {
		err = attachReason(err, mode, l.f)
		if l.refused == nil {
			l.refused = map[Mode]error{}
		}
		l.refused[mode] = err
		return err
	}
	d.link = lnk
	if info, err := lnk.Info(); err == nil {
		d.info.LinkID = info.ID
	}
	return nil
}

// connect opens the way from the attached program to user space.
func (l *ladder) connect(s step) error {
	d := l.d
	if err := d.offloads.disable(l.f.Name); err != nil {
		if len(l.f.VLANs) > 0 {
			return fmt.Errorf("VLAN tags are hidden from XDP and %s has VLAN devices: %w", l.f.Name, err)
		}
		d.note(fmt.Sprintf("VLAN tags are hidden from XDP (%v): tagged requests would be answered untagged", err))
	}
	if s.xsk() {
		if err := l.openSockets(s.mode); err != nil {
			return err
		}
	}
	return d.settings(settings(s.tier, d.info.Deliver))
}

// note adds a note unless it is there.
func (d *Datapath) note(text string) {
	for _, n := range d.info.Notes {
		if n == text {
			return
		}
	}
	d.info.Notes = append(d.info.Notes, text)
}

// openSockets opens a socket for every RX queue and puts it into xsks_map.
func (l *ladder) openSockets(mode Mode) error {
	d := l.d
	n := l.o.Frames
	if n == 0 {
		n = frames(l.f.RXQueues)
	}
	zero := l.o.ZeroCopy && mode == ModeNative
	for queue := range l.f.RXQueues {
		c := xsk.Config{IfIndex: l.f.Index, Queue: queue, Frames: n, ZeroCopy: zero}
		s, err := xsk.Open(c)
		if c.ZeroCopy && errors.Is(err, xsk.ErrNoZeroCopy) {
			d.note("zero-copy: " + err.Error())
			c.ZeroCopy, zero = false, false
			s, err = xsk.Open(c)
		}
		if err != nil {
			return socketReason(err)
		}
		d.sockets = append(d.sockets, s)
		if err := d.coll.Maps[bpf.XSKsMap].Put(uint32(queue), uint32(s.FD())); err != nil {
			return fmt.Errorf("%s: queue %d: %w", bpf.XSKsMap, queue, err)
		}
	}
	d.info.ZeroCopy = zero
	if l.o.ZeroCopy && mode != ModeNative {
		d.note("zero-copy: generic XDP has none")
	}
	return nil
}
