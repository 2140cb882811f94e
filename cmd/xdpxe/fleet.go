package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/cmd/internal/build"
	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/config"
	"github.com/xdpxe/xdpxe/responder/fleet"
	"github.com/xdpxe/xdpxe/responder/fleet/membership"
	"github.com/xdpxe/xdpxe/responder/store"
)

const (
	// drainPatience is for the others to hear that this server goes: fleet.Grace and a
	// write of the store, or the time after which it goes without.
	drainPatience = fleet.Grace + 2*time.Second
	// revokePatience is for the store to take the record away.
	revokePatience = 2 * time.Second
	machineIDFile  = "/etc/machine-id"
)

// fleetMember is this server's part in a fleet. It is none before join: who
// answers nobody must not own machines.
type fleetMember struct {
	store   membership.Store
	config  membership.Config
	members atomic.Pointer[membership.Membership]
}

// newFleetMember finds out what the other members know this server by.
func newFleetMember(name string, s membership.Store, log *zap.Logger) (*fleetMember, error) {
	host, err := os.ReadFile(machineIDFile)
	if err != nil {
		return nil, machineError(err, "members of a fleet tell their machines apart by it; systemd-machine-id-setup writes it")
	}
	return &fleetMember{store: s, config: membership.Config{
		Name: name, Host: strings.TrimSpace(string(host)), Version: build.Version(), Log: log.Named("fleet"),
	}}, nil
}

// serverName is what this boot server is called.
func serverName(cfg *config.Config) (string, error) {
	if cfg.Server != "" {
		return cfg.Server, nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", machineError(err, "server: {name: …} in the configuration gives this server a name")
	}
	return name, nil
}

// join makes this server a member, now that it answers at these addresses.
func (f *fleetMember) join(addresses []string) error {
	if f == nil {
		return nil
	}
	f.config.Addresses = addresses
	m, err := membership.Join(f.store, f.config)
	if err != nil {
		return machineError(err, "server: {name: …} in the configuration gives this server another name")
	}
	f.members.Store(m)
	f.config.Changed() // until now it was alone
	return nil
}

// view is the fleet as it is known now; nil: alone.
func (f *fleetMember) view() *fleet.View {
	if f == nil {
		return nil
	}
	if m := f.members.Load(); m != nil {
		return m.View()
	}
	return nil
}

var _ api.Fleet = (*fleetMember)(nil)

// View, Members, Status, Drain and Resume are the membership's, for the API,
// which may be asked before there is one.
func (f *fleetMember) View() *fleet.View {
	if v := f.view(); v != nil {
		return v
	}
	return fleet.NewView(fleet.Member{Name: f.config.Name, Version: f.config.Version}, nil)
}

func (f *fleetMember) Members() []fleet.Member {
	if m := f.members.Load(); m != nil {
		return m.Members()
	}
	return f.View().Members()
}

func (f *fleetMember) Status() membership.Status {
	if m := f.members.Load(); m != nil {
		return m.Status()
	}
	return membership.Status{}
}

func (f *fleetMember) Drain(ctx context.Context) error {
	if m := f.members.Load(); m != nil {
		return m.Drain(ctx)
	}
	return errNoMember
}

func (f *fleetMember) Resume(ctx context.Context) error {
	if m := f.members.Load(); m != nil {
		return m.Resume(ctx)
	}
	return errNoMember
}

var errNoMember = fmt.Errorf("%w: this server has only just started and is no member yet", store.ErrUnavailable)

// drain has the others take over this server's machines before it goes, if there are any.
func (f *fleetMember) drain(log *zap.Logger) {
	if f == nil || f.members.Load() == nil {
		return
	}
	m := f.members.Load()
	if len(m.View().Members()) < 2 || !m.Status().Member {
		return
	}
	log.Info("draining: the other members take over")
	patient, cancel := context.WithTimeout(context.Background(), drainPatience)
	defer cancel()
	if err := m.Drain(patient); err != nil {
		log.Warn("leaving a fleet that may not know", zap.Error(err))
	}
}

// leave ends the membership; a successor takes over its record.
func (f *fleetMember) leave(successor bool) error {
	if f == nil || f.members.Load() == nil {
		return nil
	}
	m := f.members.Load()
	if successor {
		m.HandOver()
		return nil
	}
	patient, cancel := context.WithTimeout(context.Background(), revokePatience)
	defer cancel()
	return m.Close(patient)
}
