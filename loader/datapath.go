package loader

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/xdpxe/xdpxe/bpf"
	"github.com/xdpxe/xdpxe/loader/netdev"
	"github.com/xdpxe/xdpxe/loader/xsk"
)

// Info is what status shows of a Datapath.
type Info struct {
	Iface      string         `json:"iface"`
	IfIndex    int            `json:"ifindex"`
	Driver     string         `json:"driver,omitempty"`
	MTU        int            `json:"mtu"`
	Tier       Tier           `json:"tier"`
	Mode       Mode           `json:"mode"`
	Deliver    Deliver        `json:"deliver"`
	DeliverWhy string         `json:"deliver_why"`
	ProgramID  ebpf.ProgramID `json:"program_id,omitempty"`
	ProgramTag string         `json:"program_tag,omitempty"`
	LinkID     link.ID        `json:"link_id,omitempty"`
	Queues     int            `json:"queues"`              // RX queues of the interface
	ZeroCopy   bool           `json:"zero_copy"`           // obtained on every queue
	Pinned     string         `json:"pinned,omitempty"`    // the directory; empty: it all ends with the process
	TookOver   bool           `json:"took_over,omitempty"` // a former daemon's link, without a gap
	Why        []string       `json:"why,omitempty"`
	Notes      []string       `json:"notes,omitempty"`
}

// Datapath is one interface's way from the wire to user space. Its methods
// may be called from any goroutine; Close, and Check where it changes
// offloads, from a thread in the interface's network namespace.
type Datapath struct {
	mu        sync.Mutex
	info      Info
	coll      *ebpf.Collection // nil: no program
	link      link.Link
	sockets   []*xsk.Socket // by queue
	ring      *Ring
	beat      *mappedWord // nil: no program; set once
	table     *table      // nil: no program; set once
	events    *events     // nil: no program; set once
	answer    answer
	unread    atomic.Uint64 // events of a former daemon's templates
	inherited bool          // maps of a former daemon
	offloads  *offloads     // nil: not ours to restore
	pins      *pins         // nil: nothing is pinned
	tx        txWatch
	guardSeed uint64          // of the guard's hashes
	samples   *ringbuf.Reader // of what the guard refused; nil: no program
	closed    bool
}

// Tier says what was opened.
func (d *Datapath) Tier() Tier { return d.Info().Tier }

// Mode says where the program is attached.
func (d *Datapath) Mode() Mode { return d.Info().Mode }

// Why says for each better datapath why it was not taken, in words.
func (d *Datapath) Why() []string { return d.Info().Why }

// Info returns what was obtained.
func (d *Datapath) Info() Info {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.info
	i.Why, i.Notes = slices.Clone(i.Why), slices.Clone(i.Notes)
	return i
}

// Sockets returns the AF_XDP sockets by RX queue; none unless the tier is
// Native or Generic. Whoever closes one before Close does no harm.
func (d *Datapath) Sockets() []*xsk.Socket { return slices.Clone(d.sockets) }

// Ring returns the reader of the ring buffer; nil for the tier Socket. In the
// AF_XDP tiers nothing comes through it unless SetDeliver(Tee) is called.
func (d *Datapath) Ring() *Ring { return d.ring }

// Beat tells the program that the daemon lives: one store, no system call.
// Call it several times within Options.Stale.
func (d *Datapath) Beat() {
	if d.beat != nil {
		d.beat.set(monotonic())
	}
}

// StopBeat makes the program inert at once, until the next Beat.
func (d *Datapath) StopBeat() {
	if d.beat != nil {
		d.beat.set(0)
	}
}

// SetAddrs makes addrs, and no others, the addresses that requests may be sent to.
func (d *Datapath) SetAddrs(addrs []Addr) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.coll == nil {
		return nil
	}
	if err := syncAddrs(d.coll.Maps[bpf.AddrsMap], addrs); err != nil {
		return fmt.Errorf("interface %s: %w", d.info.Iface, err)
	}
	return nil
}

// SetDeliver changes what happens to requests to UDP 67 (Steal or Tee). In the
// AF_XDP tiers Tee sends them through Ring, which must then be read beside the
// sockets.
func (d *Datapath) SetDeliver(how Deliver, why string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if how != Steal && how != Tee {
		return fmt.Errorf("interface %s: deliver %q: neither steal nor tee", d.info.Iface, how)
	}
	if d.coll != nil {
		if err := d.settings(settings(d.info.Tier, how)); err != nil {
			return err
		}
	}
	d.info.Deliver, d.info.DeliverWhy = how, why
	return nil
}

// Quiesce makes the program deliver nothing more, for a stop without loss:
// what was delivered can still be read and answered. SetDeliver undoes it.
func (d *Datapath) Quiesce() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.coll == nil {
		return nil
	}
	if err := d.settings(bpf.Settings{}); err != nil {
		return err
	}
	grace() // for runs that have read the former ones
	return nil
}

func (d *Datapath) settings(s bpf.Settings) error {
	s.Answer67, s.Answer4011 = d.answer.words()
	if err := d.coll.Maps[bpf.SettingsMap].Put(uint32(0), s); err != nil {
		return fmt.Errorf("interface %s: %s: %w", d.info.Iface, bpf.SettingsMap, err)
	}
	return nil
}

// attached reports whether the program is still on the interface.
func (d *Datapath) attached(f *netdev.Facts) bool {
	if d.link == nil { // the operator's
		a, err := inspect(f.Name, f.Index)
		a.close()
		return err != nil || a != nil && a.mode == d.info.Mode
	}
	info, err := d.link.Info()
	return err == nil && info.XDP() != nil && int(info.XDP().Ifindex) == f.Index
}

// Check compares the datapath with newer facts of its interface, and keeps
// VLAN offloads off. A non-empty answer says why it must be closed and opened
// anew; the tier Socket never must, but may do better.
func (d *Datapath) Check(f *netdev.Facts) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case f.Index != d.info.IfIndex:
		return fmt.Sprintf("interface %s was made again (ifindex %d, was %d)", f.Name, f.Index, d.info.IfIndex)
	case d.coll == nil:
		return ""
	case f.Bond != "":
		return fmt.Sprintf("interface %s became a member of bond %s", f.Name, f.Bond)
	case len(d.sockets) > 0 && f.RXQueues != len(d.sockets):
		return fmt.Sprintf("interface %s has %d RX queues, had %d", f.Name, f.RXQueues, len(d.sockets))
	}
	if !d.attached(f) {
		return fmt.Sprintf("the program on interface %s was detached", f.Name)
	}
	if err := errors.Join(d.offloads.disable(f.Name), tagsAbove(f)); err != nil && len(f.VLANs) > 0 {
		return fmt.Sprintf("interface %s has VLAN devices, but its VLAN tags are hidden from XDP: %v", f.Name, err)
	}
	return ""
}
