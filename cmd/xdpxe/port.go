package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/xdpxe/xdpxe/loader"
	"github.com/xdpxe/xdpxe/loader/netdev"
	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/publish"
)

const (
	// retryOpen is how long a port that cannot be served waits, unless the
	// network changes first, before it tries again.
	retryOpen = 5 * time.Second
	// ownChanges is how long a failed attempt's own notices may take to come.
	ownChanges = 500 * time.Millisecond
	// lookEvery is how often `deliver: auto` looks for another holder of
	// UDP 67, since a DHCP server may be started or stopped after us, and how
	// often what the guard refused is looked at.
	lookEvery = 5 * time.Second
)

// errReopen says that the interface changed in a way that only a new datapath can follow.
var errReopen = errors.New("interface changed")

// portOptions are what of the configuration a port depends on.
type portOptions struct {
	loader.Options
	Address       netip.Addr // boot server address in replies; invalid: the interface's
	KernelAnswers bool       // the program answers by itself what it can
}

// port serves one network interface and the VLAN devices on it, and follows
// what happens to it: addresses, link flaps, queues, its end and its return.
type port struct {
	opts    portOptions
	server  *responder.Server
	links   *linkTable
	boot    *bootSockets
	leaving *atomic.Bool // the daemon ends for a successor
	kernel  *publish.Publisher
	log     *zap.Logger
	changed chan struct{} // holds one notice of a network change

	mu    sync.Mutex
	guard loader.Guard
	open  *opened // nil while nothing is served
	state string  // why nothing is served
	past  totals  // of datapaths that were closed
}

func newPort(opts portOptions, guard loader.Guard, server *responder.Server, links *linkTable, boot *bootSockets, leaving *atomic.Bool, log *zap.Logger) *port {
	return &port{
		opts: opts, guard: guard, server: server, links: links, boot: boot, leaving: leaving, kernel: server.Publisher(opts.Iface), log: log.With(zap.String("iface", opts.Iface)),
		changed: make(chan struct{}, 1), state: "starting",
	}
}

// networkChanged makes the port look at its interface again.
func (p *port) networkChanged() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// run serves the interface until ctx ends, again and again if it must. first
// gets the outcome of the first attempt: nil once requests are answered.
func (p *port) run(ctx context.Context, first func(error)) {
	var once sync.Once
	tell := func(err error) { once.Do(func() { first(err) }) }
	for ctx.Err() == nil {
		err := p.serve(ctx, func() { tell(nil) })
		if ctx.Err() != nil {
			break
		}
		if errors.Is(err, errReopen) {
			p.log.Info("opening the interface anew", zap.Error(err))
			continue
		}
		p.failed(err)
		tell(err)
		p.awaitChange(ctx)
	}
	tell(ctx.Err())
}

// awaitChange waits until it may be worth trying again. The attempt itself
// makes network changes (offloads, attaching): those come at once and do not count.
func (p *port) awaitChange(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(ownChanges):
	}
	select {
	case <-ctx.Done():
	case <-p.changed:
	case <-time.After(retryOpen):
	}
}

// failed notes why nothing is served, and logs it when it is news.
func (p *port) failed(err error) {
	p.mu.Lock()
	news := p.state != err.Error()
	p.state = err.Error()
	p.mu.Unlock()
	if news {
		p.log.Error("interface is not served; waiting for it to change", zap.Error(err))
	}
}

// serve opens the best datapath and answers on it until something ends it.
func (p *port) serve(ctx context.Context, up func()) error {
	facts, err := netdev.Read(p.opts.Iface)
	if err != nil {
		return err
	}
	o, err := openPort(p.opts, facts, p.boot, p.log)
	if err != nil {
		return err
	}
	defer p.close(o)
	if err := p.follow(o, facts); err != nil {
		return err
	}
	p.mu.Lock()
	err = p.applyGuard(o)
	p.open, p.state = o, ""
	p.mu.Unlock()
	if err != nil {
		return err
	}

	// The workers live a moment longer than ctx, to answer what was taken for them.
	working, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	defer context.AfterFunc(ctx, func() {
		o.yield(p.opts.Iface, p.boot, p.leaving.Load(), p.log)
		end()
	})()
	group, ctx := errgroup.WithContext(working)
	for _, w := range o.workers {
		var offers *publish.Offers
		if w.tier != tierSocket {
			offers = p.kernel.Offers()
		}
		group.Go(func() error { return p.server.Serve(ctx, w.conn, p.opts.Iface, w.tier, offers) })
	}
	// Workers answer now: what a former daemon's templates answered may come to them.
	stopKernel, err := p.serveKernel(ctx, group, o)
	if err != nil {
		end()
		return errors.Join(err, group.Wait())
	}
	defer func() {
		if !p.leaving.Load() { // else the kernel answers until the successor does
			stopKernel()
		}
	}()
	o.watchReplies(ctx, group, p.server, p.opts.Iface, p.log)
	group.Go(func() error { return p.supervise(ctx, o) })
	group.Go(func() error { p.keepBeating(ctx, o); return nil })
	o.beat()
	o.announce(p.log) // not before: the beat lets requests in
	group.Go(func() error { return p.answerWaiting(o) })
	up()
	return group.Wait()
}

// answerWaiting answers what waited for this start on UDP 67, see bootSockets.hold.
func (p *port) answerWaiting(o *opened) error {
	ended, end := context.WithCancel(context.Background())
	end()
	for device, c := range o.waiting {
		if err := p.server.Serve(ended, c, p.opts.Iface, tierSocket, nil); err != nil {
			return err
		}
		p.boot.letGo(device)
	}
	return nil
}

// close ends a datapath and keeps its totals.
func (p *port) close(o *opened) {
	p.mu.Lock()
	p.past.add(o.totals())
	p.open = nil
	if p.state == "" {
		p.state = "reopening"
	}
	p.mu.Unlock()
	successor := p.leaving.Load()
	if !successor { // it would make void what the kernel answers until then
		p.links.set(p.opts.Iface, nil)
	}
	o.close(successor, p.log)
}

// follow makes datapath and answers agree with the interface's addresses.
func (p *port) follow(o *opened, f *netdev.Facts) error {
	if err := o.path.SetAddrs(loader.Addrs(f, p.opts.Address)); err != nil {
		return err
	}
	links := linksOf(f, o.bridge, p.opts.Address)
	if len(links) == 0 {
		p.log.Warn("the interface has no IPv4 address: nobody is answered there until it gets one, or `address:` names one")
	}
	p.links.set(p.opts.Iface, links)
	p.mu.Lock()
	o.facts = f
	p.mu.Unlock()
	return nil
}

// keepBeating keeps the heartbeat until ctx ends. It does nothing else, so that
// nothing delays a beat: naming the holders of a port took supervise 9 to 38 ms
// beside a hundred processes, and its look at the links waits for the kernel's lock.
func (p *port) keepBeating(ctx context.Context, o *opened) {
	beat := time.NewTicker(p.opts.Stale / 8)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-beat.C:
			// Without a beat XDP passes everything: a queue that nobody
			// reads must not be fed.
			if p.alive(now) {
				o.beat()
			}
		}
	}
}

// supervise follows changes until ctx ends or the datapath must be opened anew.
func (p *port) supervise(ctx context.Context, o *opened) error {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-look.C:
			p.watchFloods(o, now)
			if why := o.deliverChanged(p.opts); why != "" {
				return fmt.Errorf("%w: %s", errReopen, why)
			}
		case <-p.changed:
			f, err := netdev.Read(p.opts.Iface)
			if err != nil {
				return err
			}
			if why := cmp.Or(o.path.Check(f), mustReopen(o.facts, f)); why != "" {
				return fmt.Errorf("%w: %s", errReopen, why)
			}
			if !reflect.DeepEqual(o.facts, f) {
				p.log.Info("interface changed", zap.Bool("up", f.Up), zap.Bool("carrier", f.Carrier), zap.Int("addresses", len(f.Addrs)))
				if err := p.follow(o, f); err != nil {
					return err
				}
			}
		}
	}
}

// mustReopen says what changed between two looks at an interface that our
// sockets or the choice of the datapath depend on; empty: nothing.
func mustReopen(was, is *netdev.Facts) string {
	switch {
	case was.Index != is.Index:
		return "it was made again"
	case was.MAC != is.MAC:
		return "its MAC address changed"
	case was.RXQueues != is.RXQueues:
		return fmt.Sprintf("it has %d receive queues, had %d", is.RXQueues, was.RXQueues)
	case was.MTU != is.MTU:
		return fmt.Sprintf("its MTU is %d, was %d", is.MTU, was.MTU)
	case was.Bridge != is.Bridge || was.Bond != is.Bond:
		return "its bridge or bond changed"
	case !was.Up && is.Up:
		return "it came up"
	}
	return vlansChanged(was.VLANs, is.VLANs)
}

// vlansChanged compares the VLAN devices, each of which has sockets of its own, but for their addresses.
func vlansChanged(was, is []netdev.VLAN) string {
	if len(was) != len(is) {
		return "VLAN devices came or went"
	}
	for i := range was {
		a, b := was[i], is[i]
		a.Addrs, b.Addrs = nil, nil
		if !reflect.DeepEqual(a, b) {
			return fmt.Sprintf("VLAN device %s changed", b.Name)
		}
	}
	return ""
}

// sameOptions reports whether the port was opened with these options.
func (p *port) sameOptions(o portOptions) bool { return reflect.DeepEqual(p.opts, o) }

// alive reports whether the workers turn.
func (p *port) alive(now time.Time) bool {
	return p.server.Alive(p.opts.Iface, now, max(p.opts.Stale, 4*responder.Turn))
}

// serving reports whether requests are answered.
func (p *port) serving() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open != nil
}
