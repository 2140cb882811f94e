package xdp

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"slices"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/vishvananda/netlink"
)

// Options of a Gun. Zero values mean the default.
type Options struct {
	Interface  string // in the calling thread's network namespace
	Template   *Template
	Identities []Identity // request n is made by machine n modulo their number
	FirstXID   uint32
	// Slots is for how many requests back a reply can be matched, rounded up to
	// a power of two; default 2^21, which is more than a second at any rate that
	// one core reaches. 16 bytes each.
	Slots int
	// Patience is the age from which on a reply is late; default 1 s.
	Patience time.Duration
	// Sample hands one of so many good replies to Samples, rounded up to a power
	// of two; default 256.
	Sample int
	// Bounced takes the request itself for its answer: what is loaded is a Bounce.
	Bounced bool
	// Sink counts and drops every UDP datagram instead of judging replies.
	Sink bool
}

const (
	defaultSlots    = 1 << 21
	defaultPatience = time.Second
	defaultSample   = 256
)

func (o *Options) complete() error {
	switch {
	case o.Template == nil:
		return errors.New("no request template")
	case len(o.Identities) == 0:
		return errors.New("no identities")
	case o.Slots < 0 || o.Slots > 1<<28 || o.Sample < 0 || o.Sample > 1<<30 || o.Patience < 0:
		return errors.New("number out of range")
	}
	if o.Slots == 0 {
		o.Slots = defaultSlots
	}
	if o.Sample == 0 {
		o.Sample = defaultSample
	}
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
	o.Slots, o.Sample = roundUp(o.Slots), roundUp(o.Sample)
	return nil
}

func roundUp(n int) int { return 1 << bits.Len(uint(n-1)) }

// objects are what a Gun loads of the object: its maps and two of the programs.
type objects struct {
	gunMaps
	Send  *ebpf.Program `ebpf:"xdpxe_send"`
	Count *ebpf.Program
}

// Gun is a live sender and a counter of replies on one interface. Fire has one
// caller at a time; Counts, Latencies and Samples may run beside it.
type Gun struct {
	o       Options
	ifindex int
	objects objects
	counter link.Link
	samples *ringbuf.Reader
	netns   *os.File        // where the interface is
	links   *netlink.Handle // in that namespace
}

// Open loads the programs and attaches the counter to the interface: a program
// on it is also what makes a veth deliver what the peer sends by XDP. It needs
// CAP_BPF, CAP_NET_ADMIN and (for live frames) CAP_SYS_ADMIN.
func Open(o Options) (g *Gun, err error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("live sender: %w", err)
	}
	g = &Gun{o: o}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("live sender on %s: %w", o.Interface, err), g.Close())
			g = nil
		}
	}()
	if g.netns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return g, err
	}
	if g.links, err = netlink.NewHandle(); err != nil {
		return g, fmt.Errorf("netlink: %w", err)
	}
	dev, err := g.links.LinkByName(o.Interface)
	if err != nil {
		return g, err
	}
	g.ifindex = dev.Attrs().Index
	if err := g.load(); err != nil {
		return g, err
	}
	if err := g.read(); err != nil {
		return g, err
	}
	g.counter, err = attach(g.objects.Count, g.ifindex)
	return g, err
}

// attach attaches natively: XDP_TX of live frames leaves by the device's
// ndo_xdp_xmit, which most drivers have only beside a native program.
func attach(p *ebpf.Program, ifindex int) (link.Link, error) {
	l, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: ifindex, Flags: link.XDPDriverMode})
	if err != nil {
		return nil, fmt.Errorf("attach natively: %w", err)
	}
	return l, nil
}

func (g *Gun) load() error {
	spec, err := loadGun()
	if err != nil {
		return err
	}
	spec.Maps[gunMapSlotsMap].MaxEntries = uint32(g.o.Slots)
	spec.Maps[gunMapIdentitiesMap].MaxEntries = uint32(len(g.o.Identities))
	counter := gunProgXdpxeReplies
	if g.o.Sink {
		counter = gunProgXdpxeSink
	}
	coll, err := ebpf.NewCollection(&ebpf.CollectionSpec{
		Maps:      spec.Maps,
		Programs:  map[string]*ebpf.ProgramSpec{gunProgXdpxeSend: spec.Programs[gunProgXdpxeSend], counter: spec.Programs[counter]},
		Types:     spec.Types,
		ByteOrder: spec.ByteOrder,
	})
	if err != nil {
		return err
	}
	defer coll.Close()
	if err := coll.Assign(&g.objects.gunMaps); err != nil {
		return err
	}
	g.objects.Send, g.objects.Count = coll.DetachProgram(gunProgXdpxeSend), coll.DetachProgram(counter)
	return g.fill()
}

// read opens the ring buffer of samples.
func (g *Gun) read() (err error) {
	if g.samples, err = ringbuf.NewReader(g.objects.SamplesMap); err != nil {
		return fmt.Errorf("%s: %w", gunMapSamplesMap, err)
	}
	return nil
}

// fill puts into the maps what the programs work by.
func (g *Gun) fill() error {
	m := &g.objects.gunMaps
	if err := g.set(settings{}); err != nil {
		return err
	}
	cpus, err := ebpf.PossibleCPU()
	if err != nil {
		return err
	}
	if err := m.TemplateMap.Put(uint32(0), slices.Repeat([]template{g.o.Template.t}, cpus)); err != nil {
		return fmt.Errorf("%s: %w", gunMapTemplateMap, err)
	}
	// A million identities one by one would take as many system calls.
	memory, err := m.IdentitiesMap.Memory()
	if err != nil {
		return fmt.Errorf("%s: %w", gunMapIdentitiesMap, err)
	}
	ids := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(g.o.Identities))), len(g.o.Identities)*int(unsafe.Sizeof(Identity{})))
	if _, err := memory.WriteAt(ids, 0); err != nil {
		return fmt.Errorf("%s: %w", gunMapIdentitiesMap, err)
	}
	return nil
}

// set puts the settings into their map, with a rate that s names.
func (g *Gun) set(s settings) error {
	s.Patience, s.FirstXID, s.Slots = uint64(g.o.Patience), g.o.FirstXID, uint32(g.o.Slots)
	s.Identities, s.SampleMask = uint32(len(g.o.Identities)), uint32(g.o.Sample-1)
	if g.o.Bounced {
		s.Bounced = 1
	}
	if err := g.objects.SettingsMap.Put(uint32(0), s); err != nil {
		return fmt.Errorf("%s: %w", gunMapSettingsMap, err)
	}
	return nil
}

// Close takes the counter from the interface and unloads everything. A Samples
// that waits returns.
func (g *Gun) Close() error {
	var errs []error
	if g.samples != nil {
		errs = append(errs, g.samples.Close())
	}
	if g.counter != nil {
		errs = append(errs, g.counter.Close())
	}
	for _, p := range []*ebpf.Program{g.objects.Send, g.objects.Count} {
		errs = append(errs, p.Close())
	}
	if g.objects.SettingsMap != nil {
		errs = append(errs, g.objects.gunMaps.Close())
	}
	if g.links != nil {
		g.links.Close()
	}
	if g.netns != nil {
		errs = append(errs, g.netns.Close())
	}
	return errors.Join(errs...)
}
