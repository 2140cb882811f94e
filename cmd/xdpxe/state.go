package main

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/xdpxe/xdpxe/cmd/internal/build"
	"github.com/xdpxe/xdpxe/loader"
	"github.com/xdpxe/xdpxe/loader/netdev"
	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/control"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/tftp"
)

// Snapshot implements control.Source.
func (d *daemon) Snapshot() control.Status {
	now := time.Now()
	d.mu.Lock()
	cfg, reloads, hooks := d.config, d.reloads, d.hooks
	ports := make([]*port, 0, len(d.ports))
	for _, p := range d.ports {
		ports = append(ports, p.port)
	}
	d.mu.Unlock()

	st := control.Status{
		Version: build.Version(), PID: os.Getpid(), Time: now, Started: d.started,
		Config: control.Config{
			File: cfg.File, Root: cfg.Root, Loaded: reloads.loaded, ReloadsOK: reloads.ok, ReloadsFailed: reloads.failed,
			LastError: reloads.lastError, LastErrorAt: reloads.lastErrorAt,
		},
		OutcomesLost: d.server.Journal().Dropped(),
		TFTP:         tftpStatus(d.tftp, now),
	}
	for _, p := range ports {
		st.Interfaces = append(st.Interfaces, p.status(now))
	}
	var kernels []covering
	for _, p := range ports {
		if k, ok := p.covering(); ok {
			kernels = append(kernels, k)
		}
	}
	slices.SortFunc(kernels, func(a, b covering) int { return cmp.Compare(a.iface, b.iface) })
	st.Coverage, st.CoverageMore = coverageOf(cfg, kernels)
	slices.SortFunc(st.Interfaces, func(a, b control.Interface) int { return cmp.Compare(a.Name, b.Name) })
	for _, c := range d.server.Counts() {
		st.Requests = append(st.Requests, control.Requests{
			Iface: c.Iface, Tier: c.Tier, Stage: c.Stage.String(), Reason: c.Reason.String(), Count: c.Requests,
		})
	}
	for _, n := range d.server.Notes() {
		st.Notes = append(st.Notes, control.Note{Iface: n.Iface, Note: n.Note.String(), Count: n.Requests})
	}
	for _, f := range d.server.Diagnoses() {
		st.Diagnoses = append(st.Diagnoses, control.Diagnosis{
			Kind: f.Trouble.String(), Server: addrText(f.Server), Count: f.Count, LastSeen: f.LastSeen, Advice: f.Trouble.Advice(),
		})
	}
	d.kept.addStatus(&st, now)
	st.Memory = d.memory.status()
	st.Webhooks = hookStatus(hooks)
	for _, e := range d.server.Journal().Recent() {
		st.Recent = append(st.Recent, outcomeOf(&e))
	}
	return st
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func outcomeOf(e *responder.Event) control.Outcome {
	o := control.Outcome{
		Time: e.Time, Client: e.Client(), UUID: e.GUID(), XID: fmt.Sprintf("%08x", e.XID), Iface: e.Iface, Tier: e.Tier,
		Stage: e.Stage.String(), Relay: addrText(e.Relay), Reason: e.Reason.String(), Rule: e.Rule, Profile: e.Profile, File: e.File,
	}
	if e.Reason == packet.Answered {
		o.Arch = e.Arch.String()
	}
	return o
}

// status describes one interface.
func (p *port) status(now time.Time) control.Interface {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := control.Interface{Name: p.opts.Iface, State: p.state, BeatAge: -1}
	sum := totals{}
	sum.add(p.past)
	if o := p.open; o != nil {
		sum.add(o.totals())
		st.Index, st.MAC, st.State = o.facts.Index, hardwareText(o.facts.MAC[:]), "serving"
		switch {
		case !o.facts.Up:
			st.State = "interface down"
		case !o.facts.Carrier:
			st.State = "no link"
		case o.lastBeat.Load() == 0:
			st.State = "starting" // nothing comes in before the first beat
		}
		i := o.path.Info()
		st.Tier, st.ZeroCopy, st.Queues, st.Why = string(i.Tier), i.ZeroCopy, o.queues(), append(i.Why, i.Notes...)
		if i.Mode != loader.ModeNone {
			st.Attach, st.Deliver = string(i.Mode), string(i.Deliver)
		}
		st.Networks, st.Kernel = networksOf(o.facts), p.kernelStatus()
		for i := range o.flooding {
			st.Floods = append(st.Floods, floodOf(&o.flooding[i]))
		}
		st.Alive = p.alive(now)
		if at := o.lastBeat.Load(); at != 0 && st.Attach != "" {
			st.BeatAge = now.Sub(time.Unix(0, at)).Seconds()
		}
	}
	for reason, n := range sum.xdp {
		if n != 0 {
			st.XDP = append(st.XDP, control.XDPCount{Reason: reason, Packets: n})
		}
	}
	slices.SortFunc(st.XDP, func(a, b control.XDPCount) int { return cmp.Compare(a.Reason, b.Reason) })
	st.Wire = control.Wire(sum.wire)
	return st
}

func networksOf(f *netdev.Facts) (out []control.Network) {
	add := func(device, vlan string, addrs []netdev.Addr) {
		for _, a := range addrs {
			out = append(out, control.Network{Device: device, VLAN: vlan, Prefix: netip.PrefixFrom(a.IP, a.Prefix.Bits()).String()})
		}
	}
	add(f.Name, "", f.Addrs)
	for _, v := range f.VLANs {
		ids := make([]string, len(v.VIDs))
		for i, id := range v.VIDs {
			ids[i] = fmt.Sprint(id)
		}
		add(v.Name, strings.Join(ids, "."), v.Addrs)
	}
	return out
}

// maxTransfersShown bounds the transfers in a status.
const maxTransfersShown = 1 << 16

// Transfers implements control.Source.
func (d *daemon) Transfers(ctx context.Context) (list []control.TFTPTransfer) {
	if d.tftp == nil {
		return nil
	}
	transfers := d.tftp.Transfers(ctx)
	slices.SortFunc(transfers, func(a, b tftp.TransferInfo) int { return a.Started.Compare(b.Started) })
	now := time.Now()
	for _, t := range transfers[:min(len(transfers), maxTransfersShown)] {
		list = append(list, control.TFTPTransfer{
			Client: t.Client.String(), Server: t.Server.String(), File: t.File, Upload: t.Upload, Size: t.Size, Acked: t.Offset, Rate: t.Rate(now),
			BlockSize: t.Blksize, WindowSize: t.Window, RTT: t.RTT.Seconds(), Again: t.Retransmits, Started: t.Started,
		})
	}
	return list
}

func tftpStatus(s *tftp.Server, now time.Time) (st control.TFTP) {
	if s == nil {
		return st
	}
	st = tftpTotals(s.Stats())
	st.Listen = []string{fmt.Sprintf(":%d", s.Port())}
	st.Hung = hungLoops(s, now)
	return st
}

func tftpTotals(sum tftp.Stats) control.TFTP {
	st := control.TFTP{
		Active: sum.Active, Queued: sum.Queued, Requests: sum.Requests, Repeated: sum.Repeated, Waited: sum.Waited,
		Unconfirmed: sum.Unconfirmed, Uploads: sum.Uploads, BytesReceived: sum.Received,
		BytesSent: sum.Bytes, Retransmissions: sum.Retransmits, Timeouts: sum.Timeouts, Capped: sum.Capped,
		DiskReads: sum.Loads, DiskWaits: sum.Waits, LoopFaults: sum.Faults,
		Strangers: sum.Strangers, SendErrors: sum.SendErrors, Dropped: sum.Dropped,
		Restored: sum.Restored, Lost: sum.Lost,
	}
	for o, n := range sum.Outcomes {
		if n != 0 {
			st.Outcomes = append(st.Outcomes, control.TFTPOutcome{Outcome: tftp.Outcome(o).String(), Kind: tftp.Outcome(o).Kind(), Count: n})
		}
	}
	return st
}
