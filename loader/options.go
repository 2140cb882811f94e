package loader

import (
	"errors"
	"fmt"
	"time"
)

// DefaultStale is the age of the heartbeat from which on the program passes
// everything, where Options does not say.
const DefaultStale = 2 * time.Second

// Options says what to open.
type Options struct {
	Iface    string
	Datapath Tier    // empty: Auto
	Deliver  Deliver // empty: DeliverAuto
	// VendorClasses are the prefixes of option 60 that are taken, 8 at most
	// with 32 bytes at most; nil: PXEClient and HTTPClient.
	VendorClasses []string
	Stale         time.Duration // 0: DefaultStale; at least 100 ms
	ZeroCopy      bool          // ask for AF_XDP zero-copy; copy mode where the driver cannot
	Templates     TemplateOptions
	Frames        int // UMEM frames of 2 KiB for each queue, a power of two; 0: by number of queues
	// GuardFilter is the size in bytes of what the guard remembers of a few
	// seconds, a power of two of 1 KiB at least (twice that is taken), and
	// GuardSources of how many it keeps count; 0: DefaultFilter, DefaultSources.
	GuardFilter, GuardSources int
	// RunDir keeps what a crash would leave changed (offloads); made when
	// needed. Empty: nothing is kept, and only Close restores.
	RunDir string
	// External: the operator attached the program, and pinned its maps in PinDir
	// below the interface's name. Stale must be what the object has, DefaultStale.
	External bool
	// PinDir is a directory in a bpffs, made when needed: there program, maps and
	// link are pinned below it, and a restart takes them over. Empty, or not to
	// be used: nothing is pinned.
	PinDir string
}

func (o Options) withDefaults() (Options, error) {
	if o.Iface == "" {
		return o, errors.New("no interface named")
	}
	if o.Datapath == "" {
		o.Datapath = Auto
	}
	switch o.Deliver {
	case "":
		o.Deliver = DeliverAuto
	case DeliverAuto, Steal, Tee:
	default:
		return o, fmt.Errorf("interface %s: deliver %q: none of auto, steal, tee", o.Iface, o.Deliver)
	}
	if o.VendorClasses == nil {
		o.VendorClasses = []string{"PXEClient", "HTTPClient"}
	}
	if err := o.Templates.check(); err != nil {
		return o, fmt.Errorf("interface %s: %w", o.Iface, err)
	}
	if o.Stale == 0 {
		o.Stale = DefaultStale
	}
	if o.External && (o.Stale != DefaultStale || o.PinDir == "") {
		return o, fmt.Errorf("interface %s: the operator's program has a heartbeat of %v and its maps in a bpffs", o.Iface, DefaultStale)
	}
	if o.Stale < 100*time.Millisecond {
		return o, fmt.Errorf("interface %s: heartbeat of %v: less than 100ms", o.Iface, o.Stale)
	}
	if o.GuardFilter == 0 {
		o.GuardFilter = DefaultFilter
	}
	if o.GuardFilter < 1024 || o.GuardFilter > 1<<30 || o.GuardFilter&(o.GuardFilter-1) != 0 {
		return o, fmt.Errorf("interface %s: guard's filter of %d bytes: no power of two from 1 KiB to 1 GiB", o.Iface, o.GuardFilter)
	}
	if o.GuardSources == 0 {
		o.GuardSources = DefaultSources
	}
	return o, nil
}

// frames returns how many UMEM frames a queue gets: DHCP broadcasts, which
// have no addresses to spread by, meet in one queue, so few queues get deep
// ones and many together stay below 64 MiB or so.
func frames(queues int) int {
	switch {
	case queues <= 4:
		return 2048
	case queues <= 32:
		return 1024
	default:
		return 512
	}
}
