package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/cmd/xdpxe/internal/fdstore"
	"github.com/xdpxe/xdpxe/cmd/xdpxe/internal/notify"
	"github.com/xdpxe/xdpxe/cmd/xdpxe/internal/privilege"
	"github.com/xdpxe/xdpxe/loader/netdev"
	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/config"
	"github.com/xdpxe/xdpxe/responder/content"
	"github.com/xdpxe/xdpxe/responder/control"
	"github.com/xdpxe/xdpxe/responder/decide"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/metrics"
	"github.com/xdpxe/xdpxe/responder/tftp"
)

// daemon is a running `xdpxe serve`: the parts, and what of the configuration is in force.
type daemon struct {
	load    func() (*config.Config, error) // reads the configuration anew
	log     *zap.Logger
	level   zap.AtomicLevel
	started time.Time

	server *responder.Server
	links  *linkTable
	boot   *bootSockets
	tftp   *tftp.Server // nil without a root
	kept   *deployments // nil where nothing is deployed
	memory *memory      // nil where nothing is to be remembered of machines
	api    *api.Server  // nil: not on TCP

	name       string      // of this server
	strict     bool        // clients get their own files only: what it was started with
	singlePort bool        // of tftp: what it was started with
	leaving    atomic.Bool // a successor takes over: what can stay, stays

	covered map[string]string // listed interfaces that others serve, as was said last; of start's goroutine, then follow's

	mu      sync.Mutex
	config  *config.Config
	answers *dhcp.Responder
	decider *decide.Decider
	root    *content.Root // nil without one
	hooks   map[string]*webhook
	ports   map[string]*runningPort
	reloads reloadState

	group *errgroup.Group
}

// newDaemon opens all that is not bound to an interface. cfg is complete.
func newDaemon(ctx context.Context, cfg *config.Config, store *fdstore.Store, load func() (*config.Config, error), log *zap.Logger, level zap.AtomicLevel) (_ *daemon, err error) {
	server := responder.New(log)
	d := &daemon{
		load: load, log: log, level: level, started: time.Now(), server: server, links: newLinkTable(server), boot: newBootSockets(store, log),
		ports: make(map[string]*runningPort), singlePort: cfg.TFTP.SinglePort, strict: cfg.TFTP.StrictFiles, reloads: reloadState{loaded: time.Now()},
	}
	if d.name, err = serverName(cfg); err != nil {
		return nil, err
	}
	root, err := openRoot(cfg)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err == nil {
			return
		}
		if root != nil {
			root.Close()
		}
		err = errors.Join(err, d.letGo())
	}()
	if err := d.openKept(ctx, cfg, root); err != nil {
		return nil, err
	}
	hooks, err := openHooks(cfg, d.name, nil, log)
	if err != nil {
		return nil, err
	}
	d.hooks = hooks
	if root != nil {
		c := tftpConfig(cfg, store, log)
		if d.memory != nil {
			c.Gate = d.memory.openGate(d.kept, d.name, gateSettings(cfg, d.strict, hooks))
		}
		if d.tftp, err = tftp.Listen(c, root); err != nil {
			if errors.Is(err, tftp.ErrUploads) {
				return nil, cfg.Problem("tftp.uploads.dir", err, uploadsHint)
			}
			return nil, portError(err, cfg.TFTP.Port)
		}
	}
	d.adopt(cfg, root, hooks)
	return d, nil
}

// openRoot opens the boot files' directory; nil if there is none (URLs only).
func openRoot(cfg *config.Config) (*content.Root, error) {
	if cfg.Root == "" {
		return nil, nil
	}
	root, err := content.Open(cfg.Root)
	if err != nil {
		return nil, cfg.Problem("root", err, "an existing directory with the boot files")
	}
	return root, nil
}

const uploadsHint = "an existing directory that xdpxe may write to"

func tftpConfig(cfg *config.Config, store *fdstore.Store, log *zap.Logger) tftp.Config {
	c := tftp.DefaultConfig()
	c.Port, c.DataPorts = cfg.TFTP.Port, cfg.TFTP.DataPorts
	c.MaxWindow, c.MaxBlksize, c.MaxTransfers = cfg.TFTP.MaxWindow, cfg.TFTP.MaxBlksize, cfg.TFTP.MaxTransfers
	c.GSO, c.SinglePort, c.Networks = cfg.TFTP.GSO, cfg.TFTP.SinglePort, networks(cfg)
	c.Netascii = cfg.TFTP.Netascii
	if u := cfg.TFTP.Uploads; u != nil {
		c.Uploads = &tftp.Uploads{Dir: u.Dir, MaxSize: u.MaxSize, MaxFiles: u.MaxFiles, MaxTotal: u.MaxTotal, Overwrite: u.Overwrite}
	}
	c.Queue, c.Burst, c.Bandwidth, c.NetworkBits = cfg.TFTP.Queue, cfg.TFTP.Burst, cfg.TFTP.Bandwidth, cfg.TFTP.NetworkBits
	c.PerClient, c.PerNetwork = tftp.Limits(cfg.TFTP.PerClient), tftp.Limits(cfg.TFTP.PerNetwork)
	again := &cfg.TFTP.Retransmit
	c.InitialTimeout, c.MinTimeout, c.MaxTimeout = again.Initial, again.Floor, again.Ceiling
	c.GiveUp, c.Unanswered = again.GiveUp, again.Unanswered
	c.Clients = cfg.Policy.Allowed
	if store != nil {
		c.Sockets, c.State = store, cfg.TFTP.State
	}
	c.Logger = log.Named("tftp")
	return c
}

func networks(cfg *config.Config) (list []tftp.Network) {
	for _, n := range cfg.TFTP.Networks {
		list = append(list, tftp.Network{Prefix: n.Subnet, MaxBlksize: n.MaxBlksize, MaxWindow: n.MaxWindow})
	}
	return list
}

// adopt puts a checked configuration, its root and its webhooks in force.
func (d *daemon) adopt(cfg *config.Config, root *content.Root, hooks map[string]*webhook) {
	d.decider = d.newDecider(cfg, hooks)
	d.answers = dhcp.New(d.decider, dhcp.Options{Previous: d.answers})
	d.server.SetAnswers(d.answers)
	if d.tftp != nil {
		d.tftp.SetClients(cfg.Policy.Allowed)
		if err := d.tftp.SetNetworks(networks(cfg)); err != nil { // what the configuration checks, too
			d.log.Error("the networks of TFTP stay as they were", zap.Error(err))
		}
		if root != d.root {
			d.tftp.SetRoot(root)
		}
	}
	if d.root != nil && d.root != root {
		d.root.Close()
	}
	d.kept.reconfigure(cfg)
	d.memory.reconfigure(gateSettings(cfg, d.strict, hooks))
	d.config, d.root, d.hooks = cfg, root, hooks
}

// run serves until ctx ends. hup and edited ask for a reload.
func (d *daemon) run(ctx context.Context, hup <-chan os.Signal, edited <-chan struct{}) error {
	ctx, release := d.drained(ctx)
	defer release()
	group, ctx := errgroup.WithContext(ctx)
	d.group = group
	group.Go(func() error { d.server.Run(ctx); return nil })
	if d.tftp != nil {
		group.Go(func() error { return d.tftp.Serve(ctx) })
	}
	err := d.start(ctx)
	if err == nil {
		group.Go(func() error { return d.follow(ctx, hup, edited) })
		err = group.Wait()
	} else {
		group.Go(func() error { return err })
		err = group.Wait() // what ended first, which may be why start failed
	}
	notifyOr(d.log, notify.Stopping())
	d.stopPorts(d.portNames())
	return errors.Join(err, d.letGo())
}

// start opens the control socket, metrics and the interfaces, gives up the
// privileges that nothing needs from then on, and tells the service manager.
func (d *daemon) start(ctx context.Context) error {
	cfg := d.config
	handler := d.apiHandler()
	ctl, err := control.Listen(cfg.Control.Socket, control.Options{
		Source: d, Tap: tap{d.server}, Handler: handler, Mode: cfg.Control.Mode, Group: cfg.Control.Group, Logger: d.log.Named("control"),
	})
	if errors.Is(err, control.ErrNoGroup) {
		return cfg.Problem("control.group", err, "a group of this host, by name or number")
	}
	if err != nil {
		return err
	}
	d.group.Go(func() error { return ctl.Serve(ctx) })
	if cfg.Metrics.Listen != "" {
		m, err := metrics.Listen(cfg.Metrics.Listen, ctl, d.log.Named("metrics"))
		if err != nil {
			return cfg.Problem("metrics", err, "metrics: {listen: \"\"} switches them off")
		}
		d.group.Go(func() error { return m.Serve(ctx) })
	}
	if err := d.serveAPI(ctx, handler); err != nil {
		return err
	}
	if err := d.startPorts(ctx, cfg); err != nil {
		return err
	}
	if err := d.join(); err != nil {
		return err
	}
	warnOfForeignDir(d.log, filepath.Dir(cfg.Control.Socket))
	if err := dropPrivileges(d.log); err != nil {
		return err
	}
	notifyOr(d.log, notify.Ready(d.summary()))
	d.group.Go(func() error { return notify.Watchdog(ctx, func() bool { return d.alive(time.Now()) }) })
	return nil
}

// warnOfForeignDir says what root will miss in the directory of another user,
// as the service's is when the daemon is then started by hand: it reads on but
// no longer writes there.
func warnOfForeignDir(log *zap.Logger, dir string) {
	var st unix.Stat_t
	if os.Geteuid() == 0 && unix.Stat(dir, &st) == nil && st.Uid != 0 {
		log.Warn("the directory of the control socket is another user's: after a change of interfaces VLAN offloads cannot be recorded there, "+
			"nor the socket be removed at the end; make it root's (chown), or name another (control:)", zap.String("dir", dir), zap.Uint32("uid", st.Uid))
	}
}

// dropPrivileges keeps what following changes takes: attaching again,
// sockets on low ports, and for root to read the files that it started with.
func dropPrivileges(log *zap.Logger) error {
	keep := privilege.Needed
	if os.Geteuid() == 0 {
		keep |= privilege.SetOf(privilege.DACReadSearch)
	}
	// AF_XDP memory counts against this limit where CAP_IPC_LOCK is missing.
	unlimited := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unlimited); err != nil {
		keep |= privilege.SetOf(privilege.Cap(unix.CAP_IPC_LOCK))
	}
	err := privilege.Drop(keep)
	if errors.Is(err, privilege.ErrCgo) {
		log.Warn("privileges are kept", zap.Error(err))
		return nil
	}
	return err
}

// follow handles reloads and changes of the network until ctx ends.
func (d *daemon) follow(ctx context.Context, hup <-chan os.Signal, edited <-chan struct{}) error {
	changed := make(chan struct{}, 1)
	if err := netdev.Watch(ctx, func() { poke(changed) }); err != nil {
		return err
	}
	poke(changed) // what changed before Watch
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			d.networkChanged(ctx)
		case <-hup:
			d.reload(ctx)
		case <-edited:
			d.reload(ctx)
		}
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// alive is the watchdog's question: do all workers, and TFTP's loops, turn?
func (d *daemon) alive(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.ports {
		if !p.alive(now) {
			return false
		}
	}
	return hungLoops(d.tftp, now) == 0
}

// loopPatience is how long a TFTP loop may stand still and count as alive: it
// reads files inside sendmsg(2), and a slow disk is no reason to start again.
const loopPatience = 5 * time.Second

func hungLoops(s *tftp.Server, now time.Time) int {
	if s == nil {
		return 0
	}
	return s.Hung(now, loopPatience)
}

// summary is the line for the service manager.
func (d *daemon) summary() string {
	served, all := 0, d.portNames()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.ports {
		if p.serving() {
			served++
		}
	}
	return fmt.Sprintf("answering on %d of %d interfaces", served, len(all))
}

func notifyOr(log *zap.Logger, err error) {
	if err != nil {
		log.Warn("service manager", zap.Error(err))
	}
}

// tap shows the server's frames on the control socket.
type tap struct{ server *responder.Server }

func (t tap) Subscribe(iface string, sink func(control.Frame)) (cancel func()) {
	return t.server.Tap(iface, func(f responder.Frame) { sink(control.Frame(f)) })
}
