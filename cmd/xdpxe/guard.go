package main

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/cmd/xdpxe/internal/flood"
	"github.com/xdpxe/xdpxe/loader"
	"github.com/xdpxe/xdpxe/responder/config"
	"github.com/xdpxe/xdpxe/responder/control"
)

// guardOf returns the guard's settings for the file server that runs: its port
// is 0 without one.
func guardOf(cfg *config.Config, tftpPort uint16, singlePort bool) loader.Guard {
	g := &cfg.Guard
	budget := func(b config.GuardBudget) loader.Budget {
		return loader.Budget{Rate: rateOf(b.GuardRate), Known: b.Known}
	}
	return loader.Guard{
		On: g.Enabled, Client: rateOf(g.PerClient), TFTPClient: rateOf(g.PerTFTPClient),
		Requests: budget(g.Requests), Broadcasts: budget(g.Broadcasts), TFTP: budget(g.TFTP),
		TFTPPort: tftpPort, SinglePort: singlePort,
	}
}

func rateOf(r config.GuardRate) loader.Rate { return loader.Rate{PerSecond: r.Rate, Burst: r.Burst} }

// guard returns what ports guard by.
func (d *daemon) guard(cfg *config.Config) loader.Guard {
	if d.tftp == nil {
		return guardOf(cfg, 0, false)
	}
	return guardOf(cfg, uint16(d.tftp.Port()), d.singlePort)
}

// setGuard puts a guard in force, now and for datapaths that are opened later.
func (p *port) setGuard(g loader.Guard) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.guard == g {
		return
	}
	p.guard = g
	if p.open != nil {
		if err := p.applyGuard(p.open); err != nil {
			p.log.Error("the guard stays as it was", zap.Error(err))
		}
	}
}

// applyGuard gives the guard to a datapath. The caller holds mu.
func (p *port) applyGuard(o *opened) error {
	g := p.guard
	g.Strays = !o.foreignBINL
	return o.path.SetGuard(g)
}

// watchFloods looks at what the guard refused since it looked last, and says
// whose it is.
func (p *port) watchFloods(o *opened, now time.Time) {
	counters, err := o.path.Counters()
	if err == nil {
		err = o.path.Refused(o.floods.Add)
	}
	if err != nil {
		p.log.Warn("what the guard refuses cannot be read", zap.Error(err))
		return
	}
	sources, lull := o.floods.Report(now, counters)
	for i := range sources {
		p.log.Warn("the guard refuses packets", floodFields(&sources[i])...)
	}
	if len(sources) > 0 || lull {
		p.mu.Lock()
		o.flooding = sources
		p.mu.Unlock()
	}
}

func floodFields(s *flood.Source) []zap.Field {
	f := floodOf(s)
	fields := []zap.Field{zap.String("reason", f.Reason), zap.Uint64("packets", f.Packets), zap.Float64("per_second", f.Rate)}
	for _, text := range []struct{ key, value string }{
		{"from", f.MAC}, {"vlan", f.VLAN}, {"address", f.Address}, {"relay", f.Relay}, {"client", f.Client},
	} {
		if text.value != "" {
			fields = append(fields, zap.String(text.key, text.value))
		}
	}
	if f.Client == "" && f.Samples > 0 {
		fields = append(fields, zap.String("clients", fmt.Sprintf("%d in %d samples", f.Clients, f.Samples)))
	}
	return fields
}

// floodOf is a source as status shows it.
func floodOf(s *flood.Source) control.Flood {
	f := control.Flood{Reason: s.Reason, Packets: s.Packets, Rate: math.Round(s.Rate), Relay: addrText(s.Relay), Clients: s.Clients, Samples: s.Samples}
	if s.MAC != [6]byte{} {
		f.MAC = hardwareText(s.MAC[:])
	}
	if s.Client != [16]byte{} {
		f.Client = hardwareText(clientAddress(s.Client))
	}
	if s.Addr.IsValid() && s.Addr != netip.IPv4Unspecified() {
		f.Address = s.Addr.String()
	}
	var vids []string
	for _, id := range s.VIDs {
		if id != 0 {
			vids = append(vids, fmt.Sprint(id))
		}
	}
	f.VLAN = strings.Join(vids, ".")
	return f
}

// clientAddress cuts the zeros behind a hardware address of six octets.
func clientAddress(chaddr [16]byte) []byte {
	if slices.Equal(chaddr[6:], make([]byte, 10)) {
		return chaddr[:6]
	}
	return chaddr[:]
}
