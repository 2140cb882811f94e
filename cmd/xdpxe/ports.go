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
	names, err := interfaceNames(cfg)
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
	if len(failed) == len(names) || len(failed) > 0 && !cfg.Auto {
		return errors.Join(failed...)
	}
	return nil
}

// interfaceNames returns the interfaces to serve now.
func interfaceNames(cfg *config.Config) ([]string, error) {
	if cfg.Auto {
		return netdev.AutoInterfaces()
	}
	return withoutCovered(cfg.Interfaces), nil
}

// withoutCovered leaves out VLAN devices on listed interfaces: XDP on the port
// sees their frames first, and answers in their name.
func withoutCovered(names []string) []string {
	var covered []string
	for _, name := range names {
		if f, err := netdev.Read(name); err == nil { // what is missing now is not a port of others
			for _, v := range f.VLANs {
				covered = append(covered, v.Name)
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(covered, name) })
}

// startPort starts serving an interface; the channel gets the first outcome.
func (d *daemon) startPort(ctx context.Context, cfg *config.Config, name string) <-chan error {
	p := newPort(portOptionsOf(cfg, name), d.server, d.links, d.log)
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

// networkChanged tells every port, and looks for interfaces that `auto` now means.
func (d *daemon) networkChanged(ctx context.Context) {
	d.mu.Lock()
	cfg := d.config
	for _, p := range d.ports {
		p.networkChanged()
	}
	d.mu.Unlock()
	if cfg.Auto {
		d.matchPorts(ctx, cfg)
	}
}

// matchPorts starts and stops ports until they are those of cfg.
func (d *daemon) matchPorts(ctx context.Context, cfg *config.Config) {
	names, err := interfaceNames(cfg)
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
		same := d.ports[name].sameOptions(wanted[name])
		d.mu.Unlock()
		// With `auto` an interface that is gone is awaited: it may only be down.
		if _, ok := wanted[name]; !ok && cfg.Auto || ok && same {
			delete(wanted, name)
			continue
		}
		d.stopPorts([]string{name})
	}
	for name := range wanted {
		d.startPort(ctx, cfg, name)
	}
}
