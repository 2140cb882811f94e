package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/binding"
	"github.com/xdpxe/xdpxe/responder/bootfile"
	"github.com/xdpxe/xdpxe/responder/config"
	"github.com/xdpxe/xdpxe/responder/content"
	"github.com/xdpxe/xdpxe/responder/decide"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/history"
	"github.com/xdpxe/xdpxe/responder/hook"
	"github.com/xdpxe/xdpxe/responder/mapfile"
	"github.com/xdpxe/xdpxe/responder/tftp"
)

// memory is what the daemon remembers of machines from what they did: who asked
// when, who is behind an address, what happened to each. It takes some memory,
// and a moment of each request, so who needs none of it has nil.
type memory struct {
	clients  *decide.Clients
	bindings *binding.Table
	history  *history.History
	gate     *bootfile.Gate
}

// remembers says what of a configuration takes a memory; empty: nothing.
func remembers(cfg *config.Config, root *content.Root) (key string) {
	switch {
	case cfg.Store != nil:
		return "store"
	case cfg.TFTP.StrictFiles:
		return "tftp.strict-files"
	case len(cfg.Webhooks) > 0:
		return "webhooks"
	}
	for i := range cfg.Spec.Rules {
		if r := &cfg.Spec.Rules[i]; r.Delay > 0 || r.DelaySecs > 0 {
			return "policy"
		}
	}
	if root != nil && bootfile.HasTemplates(root) {
		return "root"
	}
	return ""
}

// bindingsFile is where the table of addresses is, beside the control socket.
func bindingsFile(cfg *config.Config) string {
	return filepath.Join(filepath.Dir(cfg.Control.Socket), "bindings")
}

// openMemory makes one, which goes on with what a former process knew of addresses.
func openMemory(cfg *config.Config, log *zap.Logger) (*memory, error) {
	table, err := binding.Open(bindingsFile(cfg), 0)
	if errors.Is(err, mapfile.ErrInUse) {
		return nil, machineError(err, "another xdpxe has it: stop it, or give this one another directory (control:)")
	}
	if err != nil {
		return nil, err
	}
	switch was := table.Restored(); {
	case was.Lost != nil:
		log.Warn("who is behind which address is learned anew", zap.Error(was.Lost))
	case was.Machines+was.Torn > 0:
		log.Info("machines and their addresses are known from before", zap.Int("machines", was.Machines), zap.Int("not_whole", was.Torn))
	}
	return &memory{clients: decide.NewClients(), bindings: table, history: history.New(history.Config{})}, nil
}

// observers are who hears of each request.
func (m *memory) observers(catalogue *deploy.Catalogue, server string) []responder.Observer {
	return []responder.Observer{
		decide.NewRecorder(decide.RecorderConfig{Catalogue: catalogue, Clients: m.clients, Bindings: m.bindings, Server: server}),
		m.history,
	}
}

// openGate makes the gate of the file server.
func (m *memory) openGate(d *deployments, server string, s bootfile.Settings) tftp.Gate {
	c := bootfile.Config{Names: m.bindings, Server: server, History: m.history}
	if d != nil {
		c.Catalogue, c.Token = d.catalogue, d.tokens.For
	}
	m.gate = bootfile.New(c, s)
	return m.gate
}

// reconfigure takes another policy.
func (m *memory) reconfigure(s bootfile.Settings) {
	if m != nil && m.gate != nil {
		m.gate.Set(s)
	}
}

// moved hears of a step of a deployment.
func (m *memory) moved(move deploy.Move) { m.history.Moved(move, time.Now()) }

func (m *memory) close() error {
	if m == nil {
		return nil
	}
	return m.bindings.Close()
}

// openKept opens what outlives requests: the store, what is remembered of
// machines, and the catalogue, which tells them both of its changes.
func (d *daemon) openKept(ctx context.Context, cfg *config.Config, root *content.Root) (err error) {
	if d.kept, err = openDeployments(ctx, cfg, d.name, d.log); err != nil {
		return err
	}
	// After the store, for which a former process that is ending is waited for.
	var catalogue *deploy.Catalogue
	var moved func(deploy.Move)
	if remembers(cfg, root) != "" {
		if d.memory, err = openMemory(cfg, d.log); err != nil {
			return err
		}
		moved = d.memory.moved
	}
	d.kept.follow(ctx, cfg, d.server.VoidTemplates, moved)
	if d.kept != nil {
		catalogue = d.kept.catalogue
	}
	if d.memory != nil {
		d.server.SetObservers(d.memory.observers(catalogue, d.name)...)
	}
	return nil
}

// newDecider decides by a configuration, with what the daemon knows.
func (d *daemon) newDecider(cfg *config.Config, hooks map[string]*webhook) *decide.Decider {
	c := decide.Config{Policy: cfg.Policy, Webhooks: make(map[string]*hook.Hook, len(hooks)), StrictFiles: d.strict}
	for name, h := range hooks {
		c.Webhooks[name] = h.Hook
	}
	if d.kept != nil {
		c.Catalogue, c.Fleet = d.kept.catalogue, d.kept.fleet.view
	}
	if d.memory != nil {
		c.Clients = d.memory.clients
	}
	return decide.New(c)
}

func gateSettings(cfg *config.Config, strict bool, hooks map[string]*webhook) bootfile.Settings {
	return bootfile.Settings{Policy: cfg.Policy, Strict: strict, Variables: variablesOf(hooks)}
}
