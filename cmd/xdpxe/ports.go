package main

import (
	"context"
	"errors"
	"slices"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/loader/netdev"
	"github.com/xdpxe/xdpxe/responder/config"
)

// runningPort is a port and the way to end it.
type runningPort struct {
	*port
	stop func() // ends it and waits
}

// startPorts opens the configured interfaces and waits until each is served
// or has failed. A named interface that fails is an error; of `auto` one must work.
func (d *daemon) startPorts(ctx context.Context, cfg *config.Config) error {
	names, err := d.interfaceNames(cfg)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return errors.New("interfaces: auto: there is no up Ethernet, bond or VLAN interface with an IPv4 address")
	}
	outcomes := make([]<-chan error, len(names))
	for i, name := range names {
		outcomes[i] = d.startPort(ctx, cfg, name)
	}
	var failed []error
	for _, outcome := range outcomes {
		if err := <-outcome; err != nil {
			failed = append(failed, err)
		}
	}
	d.boot.release("")
	if len(failed) == len(names) || len(failed) > 0 && !cfg.Auto {
		return errors.Join(failed...)
	}
	return nil
}

// interfaceNames returns the interfaces to serve now, and says which of the
// listed ones are served by another of them.
func (d *daemon) interfaceNames(cfg *config.Config) ([]string, error) {
	if cfg.Auto {
		return netdev.AutoInterfaces()
	}
	covered := coveredBy(cfg.Interfaces)
	for name, by := range covered {
		if d.covered[name] != by {
			d.log.Info("served by another interface of the list", zap.String("iface", name), zap.String("by", by))
		}
	}
	d.covered = covered
	return slices.DeleteFunc(slices.Clone(cfg.Interfaces), func(name string) bool { return covered[name] != "" }), nil
}

// coveredBy returns the listed interfaces whose requests another listed one
// answers, so that nobody is answered twice: ports of a bridge, which passes
// their requests up, and VLAN devices, whose frames XDP on the port sees first.
func coveredBy(names []string) map[string]string {
	covered := make(map[string]string)
	var served []*netdev.Facts
	for _, name := range names {
		f, err := netdev.Read(name)
		switch {
		case err != nil: // what is missing now is not a port of others
		case slices.Contains(names, f.Bridge):
			covered[name] = f.Bridge
		default:
			served = append(served, f)
		}
	}
	for _, f := range served {
		for _, v := range f.VLANs {
			if slices.Contains(names, v.Name) {
				covered[v.Name] = f.Name
			}
		}
	}
	return covered
}

// startPort starts serving an interface; the channel gets the first outcome.
func (d *daemon) startPort(ctx context.Context, cfg *config.Config, name string) <-chan error {
	p := newPort(portOptionsOf(cfg, name), d.guard(cfg), d.server, d.links, d.boot, &d.leaving, d.log)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	d.mu.Lock()
	d.ports[name] = &runningPort{p, func() { cancel(); <-done }}
	d.mu.Unlock()
	first := make(chan error, 1)
	go func() {
		defer close(done)
		p.run(ctx, func(err error) { first <- err })
	}()
	return first
}

// stopPorts ends the named ports and waits for them.
func (d *daemon) stopPorts(names []string) {
	for _, name := range names {
		d.mu.Lock()
		p := d.ports[name]
		delete(d.ports, name)
		d.mu.Unlock()
		if p != nil {
			p.stop()
		}
	}
}

func (d *daemon) portNames() (names []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name := range d.ports {
		names = append(names, name)
	}
	return names
}

// networkChanged tells every port, and looks for interfaces that `auto` now
// means, or that came to be or are no longer covered by another.
func (d *daemon) networkChanged(ctx context.Context) {
	d.mu.Lock()
	cfg := d.config
	for _, p := range d.ports {
		p.networkChanged()
	}
	d.mu.Unlock()
	if cfg.Auto || len(cfg.Interfaces) > 1 {
		d.matchPorts(ctx, cfg)
	}
}

// matchPorts starts and stops ports until they are those of cfg.
func (d *daemon) matchPorts(ctx context.Context, cfg *config.Config) {
	names, err := d.interfaceNames(cfg)
	if err != nil {
		d.log.Error("interfaces", zap.Error(err))
		return
	}
	wanted := make(map[string]portOptions)
	for _, name := range names {
		wanted[name] = portOptionsOf(cfg, name)
	}
	for _, name := range d.portNames() {
		d.mu.Lock()
		p := d.ports[name]
		d.mu.Unlock()
		p.setGuard(d.guard(cfg))
		same := p.sameOptions(wanted[name])
		// With `auto` an interface that is gone is awaited: it may only be down.
		if _, ok := wanted[name]; !ok && cfg.Auto || ok && same {
			delete(wanted, name)
			continue
		}
		d.stopPorts([]string{name})
		if _, ok := wanted[name]; !ok {
			d.boot.release(name)
		}
	}
	for name := range wanted {
		d.startPort(ctx, cfg, name)
	}
}
