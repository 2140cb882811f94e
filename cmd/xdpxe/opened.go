package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/xdpxe/xdpxe/cmd/xdpxe/internal/flood"
	"github.com/xdpxe/xdpxe/loader"
	"github.com/xdpxe/xdpxe/loader/netdev"
	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/conn"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// opened is an interface's datapath with everything that reads from it.
type opened struct {
	facts    *netdev.Facts // as last followed
	bridge   int           // index of the bridge that the interface is a port of, 0 without one
	path     *loader.Datapath
	workers  []portWorker
	waiting  map[string]conn.Conn // by device, with what came between two lives of the daemon
	lastBeat atomic.Int64         // unix nanoseconds; 0: none yet

	foreignBINL bool           // another process holds UDP 4011 on one of the devices
	floods      *flood.Watch   // of the supervisor
	flooding    []flood.Source // what the guard refused last, for status
}

// portWorker is one connection and the tier that its answers count for.
type portWorker struct {
	conn conn.Conn
	tier string
}

// tierSocket labels answers from UDP sockets, also where XDP has the first look.
const tierSocket = string(loader.Socket)

// openPort opens the best datapath of an interface and the sockets beside it.
func openPort(opts portOptions, facts *netdev.Facts, boot *bootSockets, log *zap.Logger) (*opened, error) {
	path, err := loader.Open(opts.Options)
	if err != nil {
		return nil, err
	}
	counters, err := path.Counters() // a former daemon's, where its maps were taken over
	if err != nil {
		return nil, errors.Join(err, path.Close())
	}
	o := &opened{facts: facts, path: path, waiting: map[string]conn.Conn{}, floods: flood.New(counters)}
	if facts.Bridge != "" {
		if b, err := netdev.Read(facts.Bridge); err == nil {
			o.bridge = b.Index
		}
	}
	if err := o.listen(boot, log); err != nil {
		o.close(false, log)
		return nil, err
	}
	return o, nil
}

func (o *opened) add(c conn.Conn, tier string) { o.workers = append(o.workers, portWorker{c, tier}) }

// listen opens a connection for each way by which requests can come.
func (o *opened) listen(boot *bootSockets, log *zap.Logger) error {
	for _, s := range o.path.Sockets() {
		o.add(conn.NewXSK(s, o.facts.Index, o.facts.MAC), string(o.path.Tier()))
	}
	if r := o.path.Ring(); r != nil {
		c, err := conn.NewRing(r, o.facts.Index, o.facts.MAC)
		if err != nil {
			return err
		}
		o.add(c, string(o.path.Tier()))
	}
	for name, index := range o.devices() {
		if err := o.listenUDP(name, index, boot, log); err != nil {
			return err
		}
	}
	return nil
}

// devices returns the devices that have sockets, by name, and their indices.
func (o *opened) devices() map[string]int {
	devices := map[string]int{o.facts.Name: o.facts.Index}
	if o.bridge != 0 {
		devices[o.facts.Bridge] = o.bridge
	}
	for _, v := range o.facts.VLANs {
		devices[v.Name] = v.Index
	}
	return devices
}

// listenUDP opens the sockets of one device. Without XDP they take all
// requests. With it port 67 is left to whoever wants it, now or later: not
// every DHCP server shares it; only between two lives of the daemon it is held. Port 4011 stays open either way: a request that
// XDP leaves to the stack must not earn an ICMP port unreachable, on which
// edk2 gives up.
func (o *opened) listenUDP(name string, index int, boot *bootSockets, log *zap.Logger) error {
	ports := []int{packet.PortBINL, packet.PortDHCPServer}
	if o.path.Tier() != loader.Socket {
		ports = ports[:1]
		if c := boot.waiting(name, index); c != nil {
			o.waiting[name] = c
			if o.path.Info().Deliver == loader.Tee { // what is teed comes there as well
				c.Close()
			}
		}
	}
	for _, port := range ports {
		c, err := boot.listen(o.facts.Name, name, index, port)
		switch {
		case err == nil:
			o.add(c, tierSocket)
		case o.path.Tier() != loader.Socket && errors.Is(err, syscall.EADDRINUSE):
			o.foreignBINL = true
			log.Info("what XDP leaves to the stack goes to another process", zap.Error(portError(err, port)))
		case errors.Is(err, syscall.EADDRINUSE):
			return fmt.Errorf("interface %s: %w; stop it, or let `datapath: auto` take requests in front of it", name, portError(err, port))
		default:
			return portError(err, port)
		}
	}
	return nil
}

// portError says who or what keeps us from a UDP port.
func portError(err error, port int) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return loader.PortTaken(uint16(port), err)
	case errors.Is(err, syscall.EACCES) && port < 1024:
		return machineError(err, "ports below 1024 take CAP_NET_BIND_SERVICE: run as root, or as cmd/xdpxe/xdpxe.service does")
	}
	return err
}

// watchReplies diagnoses what other DHCP servers answer here. Without the
// socket for it xdpxe serves all the same.
func (o *opened) watchReplies(ctx context.Context, group *errgroup.Group, server *responder.Server, iface string, log *zap.Logger) {
	index := o.facts.Index
	if o.bridge != 0 {
		// A bridge takes its port's frames before they get to sockets that
		// want one protocol (net/core/dev.c, rx_handler). It passes up what is
		// sent to all, which is what any other interface would hear too.
		index = o.bridge
	}
	snoop, err := conn.Snoop(index)
	if err != nil {
		log.Warn("other servers' replies are not watched", zap.Error(err))
		return
	}
	context.AfterFunc(ctx, func() { snoop.Close() })
	group.Go(func() error {
		if err := server.WatchReplies(snoop, iface); err != nil && ctx.Err() == nil {
			log.Warn("other servers' replies are no longer watched", zap.Error(err))
		}
		return nil
	})
}

// beat renews the heartbeat.
func (o *opened) beat() {
	o.path.Beat()
	o.lastBeat.Store(time.Now().UnixNano())
}

// deliverChanged says why `deliver: auto` would now choose otherwise; empty: it would not.
func (o *opened) deliverChanged(opts portOptions) string {
	if o.path.Tier() == loader.Socket || opts.Deliver != loader.DeliverAuto {
		return ""
	}
	now, why, err := loader.ChooseDeliver(o.facts)
	if err != nil || now == o.path.Info().Deliver {
		return ""
	}
	return why
}

// announce says what was obtained, and why not better.
func (o *opened) announce(log *zap.Logger) {
	i := o.path.Info()
	for _, why := range i.Why {
		log.Info("not used: " + why)
	}
	for _, note := range i.Notes {
		log.Warn(note)
	}
	log.Info("serving", zap.String("tier", string(i.Tier)), zap.String("attach", string(i.Mode)), zap.String("deliver", string(i.Deliver)),
		zap.String("because", i.DeliverWhy), zap.String("pinned", i.Pinned), zap.Bool("took_over", i.TookOver), zap.Bool("zero_copy", i.ZeroCopy), zap.Int("queues", o.queues()))
}

// queues is how many receive queues have a worker of their own.
func (o *opened) queues() int { return max(len(o.path.Sockets()), 1) }

// yield makes XDP give nothing more to the workers, who are about to end. For a
// successor the program goes on: what it would have given to an AF_XDP socket
// goes to the stack then, and waits in sockets that the store has.
func (o *opened) yield(port string, boot *bootSockets, successor bool, log *zap.Logger) {
	i := o.path.Info()
	toStack := i.Pinned == "" || len(o.path.Sockets()) > 0
	if successor && toStack && i.Tier != loader.Socket && i.Deliver == loader.Steal {
		for name, index := range o.devices() {
			boot.hold(port, name, index)
		}
	}
	stop := o.path.Quiesce
	if successor && i.Pinned != "" {
		stop = o.path.Yield
	}
	if err := stop(); err != nil {
		log.Warn("stopping delivery", zap.Error(err))
	}
}

// close ends the datapath first, so that nothing more is taken from the
// stack, then the connections. For a successor the program stays.
func (o *opened) close(successor bool, log *zap.Logger) {
	end := o.path.Close
	if successor {
		end = o.path.HandOver
	}
	if err := end(); err != nil {
		log.Warn("closing the datapath", zap.Error(err))
	}
	for _, w := range o.workers {
		w.conn.Close()
	}
	for _, c := range o.waiting {
		c.Close()
	}
}

// totals are counters of an interface that outlive its datapath.
type totals struct {
	wire conn.Stats
	xdp  map[string]uint64
}

func (t *totals) add(u totals) {
	t.wire.Received += u.wire.Received
	t.wire.Sent += u.wire.Sent
	t.wire.BadFrames += u.wire.BadFrames
	t.wire.Stale += u.wire.Stale
	t.wire.SendErrors += u.wire.SendErrors
	t.wire.Dropped += u.wire.Dropped
	if t.xdp == nil {
		t.xdp = make(map[string]uint64)
	}
	for reason, n := range u.xdp {
		t.xdp[reason] += n
	}
}

func (o *opened) totals() (t totals) {
	for _, w := range o.workers {
		t.add(totals{wire: w.conn.Stats()})
	}
	if counts, err := o.path.Counters(); err == nil {
		t.add(totals{xdp: counts})
	}
	return t
}
