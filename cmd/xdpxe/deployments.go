package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/config"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/store"
)

// deployments are what the daemon keeps beyond its configuration: the store,
// the catalogue over it and, where servers share the store, the fleet. A daemon
// that uses none of it has nil, whose methods do nothing.
type deployments struct {
	kind, where string
	store       store.Store
	catalogue   *deploy.Catalogue
	tokens      *api.Tokens  // of installers
	fleet       *fleetMember // nil: alone
	log         *zap.Logger
	gone        atomic.Bool // the store does not answer, and this was logged
	counts      stateCounts

	stop func() // of work
	work sync.WaitGroup
}

const (
	// lockPatience is for a former daemon that is ending to let go of the file.
	lockPatience = 10 * time.Second
	// lockQuiet is how long that may take without a word in the log.
	lockQuiet = time.Second
	// readPatience is for the store's content: what is answered before it is known is
	// silence for the machines of `boot: deployed`. A file is there and only has to be
	// read; an etcd may be gone, and other rules do not wait for it.
	readPatience     = 30 * time.Second
	readEtcdPatience = time.Second
)

// errNoStore is for a reload.
var errNoStore = errors.New("the daemon runs without one, and opens one at its start only")

// openDeployments opens the store, as the server of that name; nil without one.
func openDeployments(ctx context.Context, cfg *config.Config, name string, log *zap.Logger) (d *deployments, err error) {
	if cfg.Store == nil {
		return nil, nil
	}
	d = &deployments{log: log.Named("store"), tokens: new(api.Tokens), stop: func() {}}
	if e := cfg.Store.Etcd; e != nil {
		d.kind, d.where = "etcd", strings.Join(e.Endpoints, ", ")
		err = d.openEtcd(cfg, name)
	} else {
		d.kind, d.where = "bbolt", cfg.Store.File
		d.store, err = openFile(ctx, cfg.Store.File, lockPatience, d.log)
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// follow runs the catalogue, and waits a while until it has read the store.
// changed is called when an answer can be another than before, moved at each step
// of a deployment.
func (d *deployments) follow(ctx context.Context, cfg *config.Config, changed func(), moved func(deploy.Move)) {
	if d == nil {
		return
	}
	d.catalogue = deploy.New(deploy.Config{
		Store: d.store, Keep: cfg.Deployments.Keep, Limits: limitsOf(cfg), Moved: moved,
		Changed: func() {
			d.noteAvailable()
			changed()
		},
	})
	patience := readPatience
	if d.fleet != nil {
		d.fleet.config.Changed, patience = changed, readEtcdPatience
	}
	var running context.Context
	running, d.stop = context.WithCancel(context.Background())
	d.work.Go(func() {
		if err := d.catalogue.Run(running); err != nil && !errors.Is(err, context.Canceled) {
			d.log.Error("deployments are no longer followed", zap.Error(err))
		}
	})
	d.work.Go(func() {
		if err := d.tokens.Run(running, d.store); err != nil && !errors.Is(err, context.Canceled) {
			d.log.Error("installers cannot call back", zap.String(d.kind, d.where), zap.Error(err))
		}
	})
	d.awaitRead(ctx, patience)
}

// openFile opens the store of this machine alone. It waits so long for who has it.
func openFile(ctx context.Context, path string, patience time.Duration, log *zap.Logger) (*store.Bolt, error) {
	waiting := time.AfterFunc(lockQuiet, func() {
		log.Info("waiting for the store's file: another process has it", zap.String("file", path), zap.Duration("at_most", patience))
	})
	defer waiting.Stop()
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	b, err := store.OpenBolt(patient, path)
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err() // told to stop meanwhile
	}
	return b, err
}

// openEtcd opens the store that servers have in common, which need not be there,
// and finds out as whom this one is to be a member.
func (d *deployments) openEtcd(cfg *config.Config, name string) error {
	etcd, err := etcdOf(cfg)
	if err != nil {
		return err
	}
	d.store = etcd
	if d.fleet, err = newFleetMember(name, etcd, d.log); err != nil {
		return errors.Join(err, etcd.Close())
	}
	return nil
}

func etcdOf(cfg *config.Config) (*store.Etcd, error) {
	e := cfg.Store.Etcd
	password, err := firstLine(e.PasswordFile)
	if err != nil {
		return nil, cfg.Problem("store.etcd.password-file", err, "a file with the password in its first line")
	}
	etcd, err := store.OpenEtcd(store.EtcdConfig{
		Endpoints: e.Endpoints, Prefix: e.Prefix, CA: e.CA, Cert: e.Cert, Key: e.Key, User: e.User, Password: password, Timeout: e.Timeout,
	})
	if err != nil {
		return nil, cfg.Problem("store.etcd", err, "")
	}
	return etcd, nil
}

// checkEtcd finds mistakes in what is said of an etcd, without one.
func checkEtcd(cfg *config.Config) error {
	if cfg.Store == nil || cfg.Store.Etcd == nil {
		return nil
	}
	etcd, err := etcdOf(cfg)
	if err != nil {
		return err
	}
	return etcd.Close()
}

// firstLine reads a secret; the empty path has the empty one.
func firstLine(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, 4096)).ReadString('\n')
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", fmt.Errorf("%s: no first line: %w", path, err)
	}
	return line, nil
}

func limitsOf(cfg *config.Config) deploy.Limits {
	l := cfg.Deployments.Limits
	return deploy.Limits{
		Deployments: l.Deployments, Machines: l.Machines, Held: l.Held, Groups: l.Groups, Ignored: l.Ignored, NewMachines: float64(l.NewMachines),
	}
}

// awaitRead waits until the store has been read, for so long.
func (d *deployments) awaitRead(ctx context.Context, patience time.Duration) {
	began := time.Now()
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-d.catalogue.Ready():
		st := d.catalogue.Snapshot().Stats()
		d.log.Info("deployments are read", zap.String(d.kind, d.where), zap.Int("deployments", st.Deployments), zap.Int("machines", st.Machines),
			zap.Int("unreadable", st.Problems), zap.Duration("took", time.Since(began)))
	case <-patient.Done():
		d.gone.Store(true)
		d.log.Warn("the store cannot be read yet: rules with deployments answer nobody until it can", zap.String(d.kind, d.where), zap.Error(d.store.Health().Err))
	}
}

// noteAvailable logs that the store has gone or is back.
func (d *deployments) noteAvailable() {
	gone := !d.catalogue.Snapshot().Available()
	switch was := d.gone.Swap(gone); {
	case was && !gone:
		d.log.Info("the store answers again", zap.String(d.kind, d.where))
	case gone && !was:
		d.log.Error("the store does not answer: standing deployments go on, those for once are held back, changes are refused",
			zap.String(d.kind, d.where), zap.Error(d.store.Health().Err))
	}
}

// reconfigure takes what a running catalogue can.
func (d *deployments) reconfigure(cfg *config.Config) {
	if d != nil {
		d.catalogue.SetBounds(cfg.Deployments.Keep, limitsOf(cfg))
	}
}

// close writes what was noted and closes the store. What notes must have ended.
func (d *deployments) close() error {
	if d == nil {
		return nil
	}
	d.stop()
	d.work.Wait()
	return d.store.Close()
}

// drained returns a context that ends after ctx does, once the other members of
// the fleet have this server's machines. A successor has them itself.
func (d *daemon) drained(ctx context.Context) (later context.Context, release func()) {
	later, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		defer end()
		if d.kept != nil && !d.leaving.Load() {
			d.kept.fleet.drain(d.log)
		}
	})
	return later, func() {
		stop()
		end()
	}
}

// join makes this server a member of its fleet, if it has one.
func (d *daemon) join() error {
	if d.kept == nil {
		return nil
	}
	return d.kept.fleet.join(d.addresses())
}

// addresses are those that the interfaces answer with now.
func (d *daemon) addresses() (list []string) {
	if a := d.config.Address; a.IsValid() {
		return []string{a.String()}
	}
	for _, i := range d.Snapshot().Interfaces {
		for _, n := range i.Networks {
			list = append(list, n.Prefix)
		}
	}
	return list
}

// letGo closes what outlives requests, now that nobody answers any.
func (d *daemon) letGo() error {
	closeHooks(d.hooks, nil)
	if d.kept != nil {
		if err := d.kept.fleet.leave(d.leaving.Load()); err != nil {
			d.log.Warn("leaving the fleet", zap.Error(err))
		}
	}
	return errors.Join(d.memory.close(), d.kept.close())
}
