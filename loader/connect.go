package loader

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bpf"
	"github.com/xdpxe/xdpxe/loader/netdev"
	"github.com/xdpxe/xdpxe/loader/xsk"
)

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
		d.sockets, d.info.LinkID, d.info.TookOver = nil, 0, false
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
	if l.o.External {
		return nil
	}
	flags := link.XDPDriverMode
	if mode == ModeGeneric {
		flags = link.XDPGenericMode
	}
	d := l.d
	if l.former != nil && l.former.mode == mode {
		err := l.update(d.program())
		if err == nil {
			d.setLink(l.former.link)
			d.info.TookOver, l.former = true, nil
			return nil
		}
		d.note(fmt.Sprintf("program id %d is removed, it cannot be replaced in place: %v", l.former.id, err))
	}
	if err := l.dropFormer(); err != nil {
		return err
	}
	lnk, err := link.AttachXDP(link.XDPOptions{Program: d.program(), Interface: l.f.Index, Flags: flags})
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
	d.setLink(lnk)
	return nil
}

func (d *Datapath) setLink(l link.Link) {
	d.link = l
	if info, err := l.Info(); err == nil {
		d.info.LinkID = info.ID
	}
}

// connect opens the way from the attached program to user space.
func (l *ladder) connect(s step) error {
	d := l.d
	err := d.offloads.disable(l.f.Name)
	if err == nil {
		err = tagsAbove(l.f)
	}
	if err != nil {
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

// upperKinds are devices that get their frames from others. Before the kernel
// hands a frame up it takes the tag out (skb_vlan_untag), so that the generic
// hook of the upper device sees none. A VLAN device is no such case: its own
// tag is consumed, and an inner one still stands in the frame.
var upperKinds = []string{"bond", "team", "bridge", "macvlan", "macvtap", "ipvlan"}

// tagsAbove returns an error if frames of the interface have lost their tags
// before XDP sees them, whatever its own offloads are.
func tagsAbove(f *netdev.Facts) error {
	if slices.Contains(upperKinds, f.Kind) {
		return fmt.Errorf("the kernel takes them out before it hands frames to a %s", f.Kind)
	}
	return nil
}

// note adds a note unless it is there.
func (d *Datapath) note(text string) {
	if !slices.Contains(d.info.Notes, text) {
		d.info.Notes = append(d.info.Notes, text)
	}
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
