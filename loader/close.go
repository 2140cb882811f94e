package loader

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/xdpxe/xdpxe/bpf"
)

// Yield makes the AF_XDP sockets get nothing more, as before HandOver: requests
// for them go to the stack. What they have can still be read and answered: once
// Yield has returned it is all there.
func (d *Datapath) Yield() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.coll == nil {
		return nil
	}
	var errs []error
	for queue := range d.sockets {
		if err := d.coll.Maps[bpf.XSKsMap].Delete(uint32(queue)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, fmt.Errorf("interface %s: %s: queue %d: %w", d.info.Iface, bpf.XSKsMap, queue, err))
		}
	}
	grace() // for runs that have found a socket
	return errors.Join(errs...)
}

// HandOver closes what is this process's own and leaves the rest to the next
// start, as it is: the program, which goes on until the last Beat is too old,
// and the offloads. Where nothing is pinned it is Close.
func (d *Datapath) HandOver() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pins == nil {
		return d.close()
	}
	if d.closed {
		return nil
	}
	d.closed = true
	var errs []error
	if d.link != nil {
		errs = append(errs, d.link.Close())
	}
	for _, s := range d.sockets {
		errs = append(errs, s.Close())
	}
	errs = append(errs, d.unload(), d.pins.release())
	return errors.Join(errs...)
}

// Close stops delivery and takes everything away: settings first, so that no
// request is on its way to a socket that goes; then program, sockets, maps, pins
// and offloads. Twice does no harm. An interface that is gone is no error.
func (d *Datapath) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.close()
}

func (d *Datapath) close() error {
	if d.closed {
		return nil
	}
	d.closed = true
	var errs []error
	if d.coll != nil {
		errs = append(errs, d.settings(bpf.Settings{}))
	}
	if d.beat != nil {
		d.beat.set(0)
	}
	errs = append(errs, d.detach(), d.unload())
	if d.pins != nil {
		errs = append(errs, d.pins.remove())
	}
	errs = append(errs, d.restoreOffloads())
	return errors.Join(errs...)
}

// unload closes what is there of program and maps.
func (d *Datapath) unload() error {
	var errs []error
	if d.ring != nil {
		errs = append(errs, d.ring.Close())
	}
	if d.samples != nil {
		errs = append(errs, d.samples.Close())
	}
	if d.beat != nil {
		errs = append(errs, d.beat.close())
	}
	if d.table != nil {
		errs = append(errs, d.events.close(), d.table.close())
	}
	if d.coll != nil {
		d.coll.Close()
		d.coll = nil
	}
	return errors.Join(errs...)
}

// detach takes the program off the interface and closes the sockets.
func (d *Datapath) detach() error {
	var errs []error
	if d.link != nil {
		if d.pins != nil {
			// The pin holds the link longer than our descriptor.
			errs = append(errs, d.link.Detach(), d.pins.unpin(pinnedLink))
		}
		errs = append(errs, d.link.Close())
		d.link = nil
	}
	for _, s := range d.sockets {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
