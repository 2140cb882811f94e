package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/bench/pcapload"
	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/cmd/internal/fault"
	"github.com/xdpxe/xdpxe/responder/pcapfile"
)

const pcapLong = `Send the DHCP requests of a capture (ports 67 and 4011) to another server, and
say where its answers differ in shape from those in the capture: message type,
options, boot file, kinds of addresses, ports; silence where the capture has an
answer, an answer where it has silence.

Each machine of the capture becomes --copies machines with MACs, UUIDs and
transaction ids of their own. The capture's timing is kept, unless --speed or
--rate change it. Addresses of the captured boot server become --server.

Clients that have an address send from this host's own. Relayed requests are
sent only for relays whose address this host has (--relay). TFTP requests are
not replayed: xdpxe-bench tftp loads TFTP servers.`

const pcapExample = `  xdpxe-bench pcap boot.pcap -i eth1 --server 192.0.2.10
  xdpxe-bench pcap boot.pcap -i eth1 --server 192.0.2.10 --copies 500 --speed 10 --require "alike == 100%"`

// pcapFlags are what pcap is told.
type pcapFlags struct {
	output
	iface     string
	server    string
	captured  string
	relays    []string
	untag     bool
	pace      pcapload.Pace
	maxLength time.Duration
}

func newPcapCommand() *cobra.Command {
	var f pcapFlags
	cmd := &cobra.Command{
		Use:     "pcap FILE -i INTERFACE --server ADDRESS",
		Short:   "Replay a capture's clients against a server",
		Long:    pcapLong,
		Example: pcapExample,
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.addFlags(cmd)
	f.addAimFlag(cmd)
	fl := cmd.Flags()
	fl.StringVarP(&f.iface, "interface", "i", "", "the `INTERFACE` to send and receive on")
	fl.StringVar(&f.server, "server", "", "`ADDRESS` of the server under test")
	fl.StringVar(&f.captured, "captured-server", "", "`ADDRESS` of the server in the capture; default: the one boot server there")
	fl.StringSliceVar(&f.relays, "relay", nil, "own `ADDRESSES` to send the requests of relays (giaddr) from")
	fl.BoolVar(&f.untag, "untag", false, "send without the capture's VLAN tags")
	fl.IntVar(&f.pace.Copies, "copies", 1, "machines for each machine of the capture")
	fl.DurationVar(&f.pace.Spread, "spread", time.Second, "time over which the copies of a request are spread")
	fl.Float64Var(&f.pace.Speed, "speed", 1, "how many times as fast as the capture")
	fl.Float64Var(&f.pace.Rate, "rate", 0, "requests a second, evenly, instead of the capture's timing")
	fl.Float64Var(&f.pace.Most, "max-rate", 10_000, "bound of all rates; 0: none")
	fl.DurationVar(&f.maxLength, "max-for", 10*time.Minute, "bound of the time that it takes")
	fl.DurationVar(&f.pace.Late, "late", time.Second, "answers after that are late")
	cmd.MarkFlagRequired("interface")
	cmd.MarkFlagRequired("server")
	cmd.MarkFlagsMutuallyExclusive("rate", "speed")
	return cmd
}

// target reads the addresses.
func (f *pcapFlags) target() (t pcapload.Target, err error) {
	t.Untag = f.untag
	address := func(flag, text string) netip.Addr {
		a, e := netip.ParseAddr(text)
		if err == nil && (e != nil || !a.Is4()) {
			err = fault.User(fmt.Errorf("--%s %q: want an IPv4 address", flag, text), "")
		}
		return a
	}
	t.Server = address("server", f.server)
	if f.captured != "" {
		t.Captured = address("captured-server", f.captured)
	}
	for _, r := range f.relays {
		t.Relays = append(t.Relays, address("relay", r))
	}
	return t, err
}

func (f *pcapFlags) run(cmd *cobra.Command, file string) error {
	if err := f.begin(); err != nil {
		return err
	}
	if f.pace.Most > 0 && f.pace.Rate > f.pace.Most {
		return fault.User(fmt.Errorf("--rate %g: at most %g unless --max-rate says more", f.pace.Rate, f.pace.Most), "")
	}
	target, err := f.target()
	if err != nil {
		return err
	}
	frames, err := pcapfile.Read(file, cmd.InOrStdin())
	if err != nil {
		return fault.User(err, "")
	}
	way, err := pcapload.FindWay(f.iface, target.Server)
	if err != nil {
		return err
	}
	for _, r := range target.Relays {
		if !slices.Contains(way.Own, r) {
			return fault.User(fmt.Errorf("--relay %s is no address of %s", r, f.iface), "")
		}
	}
	target.Source = way.Source
	plan, err := pcapload.NewPlan(frames, target)
	if err != nil {
		return fault.User(fmt.Errorf("capture %s: %w", file, err), "")
	}
	session, err := pcapload.NewSession(plan, f.pace)
	if err != nil {
		return fault.User(err, "")
	}
	if length := session.Length(); length > f.maxLength {
		return fault.User(fmt.Errorf("the replay would take %v: at most %v unless --max-for says more", length.Round(time.Millisecond), f.maxLength), "--speed shortens it")
	}
	session.FirstXID = rand.Uint32()
	row, notes, err := f.replay(cmd, session, way)
	if err != nil {
		return err
	}
	return f.finish(cmd, &result.Run{Settings: f.settings(file, plan), Rows: []result.Row{row}, Notes: notes})
}

// replay does what is done on the wire.
func (f *pcapFlags) replay(cmd *cobra.Command, s *pcapload.Session, way *pcapload.Way) (row result.Row, notes []string, err error) {
	if err := f.mayUse(f.iface); err != nil {
		return row, nil, err
	}
	ctx := cmd.Context()
	if s.Needs() {
		if err := f.mayAimAt(s.Server); err != nil {
			return row, nil, err
		}
		if s.Hop, err = way.Resolve(ctx); err != nil {
			return row, nil, err
		}
	}
	release, err := s.Hold(ctx)
	if err != nil {
		return row, nil, err
	}
	defer release()
	p, err := port.Open(port.Options{Interface: f.iface, Kind: port.Packet})
	if err != nil {
		return row, nil, err
	}
	defer p.Close()
	f.progress(cmd, "%d requests in about %v", s.Total(), s.Length().Round(time.Millisecond))
	err = s.Run(ctx, p, func(elapsed time.Duration, sent int) {
		if sent < s.Total() {
			f.progress(cmd, "%4.0f s: %d of %d requests", elapsed.Seconds(), sent, s.Total())
		}
	})
	if err != nil && ctx.Err() == nil {
		return row, nil, err
	}
	row, notes = s.Result(p.Stats())
	if context.Cause(ctx) != nil {
		notes = append(notes, "stopped before the end")
	}
	return row, notes, nil
}

// settings are what was asked for, and what the capture holds.
func (f *pcapFlags) settings(file string, p *pcapload.Plan) []result.Setting {
	captured := "none"
	if p.Captured.IsValid() {
		captured = p.Captured.String()
	}
	timing := fmt.Sprintf("the capture's × %g", f.pace.Speed)
	if f.pace.Rate > 0 {
		timing = fmt.Sprintf("%g/s", f.pace.Rate)
	}
	return []result.Setting{
		{Name: "capture", Value: file},
		{Name: "interface", Value: f.iface},
		{Name: "server", Value: p.Server.String()},
		{Name: "captured server", Value: captured},
		{Name: "requests", Value: strconv.Itoa(len(p.Requests))},
		{Name: "of these without answer", Value: strconv.Itoa(p.Silent())},
		{Name: "machines", Value: strconv.Itoa(p.Machines())},
		{Name: "copies", Value: strconv.Itoa(f.pace.Copies)},
		{Name: "timing", Value: timing},
		{Name: "late", Value: f.pace.Late.String()},
	}
}
