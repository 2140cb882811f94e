package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/bench/flood"
	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/cmd/internal/fault"
)

const floodLong = `Sends what a server must withstand, as frames from the kernel, at a rate that is
kept to: DISCOVERs or boot server requests of clients that do not exist, by a
relay or not, TFTP requests, or garbage. Addresses are from 128.0.0.0/2.

With --honest so many clients ask meanwhile as firmware does, a second time where
they get no answer, and what is told is how many had an OFFER by then. Each
DISCOVER comes --honest-gap after the one before, and the second ones --honest-wait after the
last, and for twice as long they then wait; firmware does so for 4 and 8 s.

The other end of the interface must take XDP frames: an XDP program there does,
or "ethtool -K PEER gro on".

  xdpxe-bench flood -i cable0 --what discover --rate 500000 --for 10s --cpu 1 --honest 200
  xdpxe-bench flood -i cable0 --what rrq --server 192.0.2.10,02:00:00:00:00:01`

// Bounds of a flood, unless flags raise them.
const (
	defaultFloodRate = 500_000
	defaultFloodFor  = time.Minute
)

type floodFlags struct {
	output
	iface, what, server, file string
	rate, maxRate             float64
	length, maxLength         time.Duration
	cpu, honest               int
	honestGap, honestWait     time.Duration
}

func newFloodCommand() *cobra.Command {
	o := new(floodFlags)
	cmd := &cobra.Command{Use: "flood -i INTERFACE [flags]", Short: "Flood a server, and see what honest clients have of it", Long: floodLong,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) }}
	f := cmd.Flags()
	f.StringVarP(&o.iface, "interface", "i", "", "the `INTERFACE` to send on")
	f.StringVar(&o.what, "what", "discover", "one of "+strings.Join(flood.Kinds(), ", "))
	f.StringVar(&o.server, "server", "", "`ADDRESS,MAC` of the server; not needed for discover")
	f.StringVar(&o.file, "file", "snponly.efi", "what rrq asks for")
	f.Float64Var(&o.rate, "rate", 100_000, "frames a second; 0: only honest clients")
	f.Float64Var(&o.maxRate, "max-rate", defaultFloodRate, "bound of --rate")
	f.DurationVar(&o.length, "for", 10*time.Second, "how long to send; at least as long as honest clients ask")
	f.DurationVar(&o.maxLength, "max-for", defaultFloodFor, "bound of --for")
	f.IntVar(&o.cpu, "cpu", -1, "`CPU` to send from; -1: any")
	f.IntVar(&o.honest, "honest", 0, "`NUMBER` of honest clients")
	f.DurationVar(&o.honestGap, "honest-gap", 10*time.Millisecond, "from one honest client's DISCOVER to the next one's")
	f.DurationVar(&o.honestWait, "honest-wait", 2*time.Second, "from the last one's to the second DISCOVERs")
	o.addFlags(cmd)
	o.addAimFlag(cmd)
	return cmd
}

func (o *floodFlags) run(cmd *cobra.Command) error {
	if err := o.begin(); err != nil {
		return err
	}
	kind, aim, err := o.aim()
	if err != nil {
		return fault.User(err, "")
	}
	if err := o.mayUse(o.iface); err != nil {
		return err
	}
	ifi, err := net.InterfaceByName(o.iface)
	if err != nil {
		return fmt.Errorf("interface %s: %w", o.iface, err)
	}
	if len(ifi.HardwareAddr) != 6 {
		return fault.User(fmt.Errorf("interface %s is no Ethernet", o.iface), "")
	}
	aim.MAC = [6]byte(ifi.HardwareAddr)
	row := result.Row{Name: o.what}
	if err := o.fire(cmd.Context(), kind, aim, &row); err != nil {
		return err
	}
	return o.finish(cmd, &result.Run{Rows: []result.Row{row}, Settings: []result.Setting{
		{Name: "interface", Value: o.iface}, {Name: "what", Value: o.what}, {Name: "rate", Value: fmt.Sprint(o.rate)},
		{Name: "for", Value: o.length.String()}, {Name: "cpu", Value: fmt.Sprint(o.cpu)}, {Name: "honest clients", Value: fmt.Sprint(o.honest)},
	}})
}

// aim reads and checks flags.
func (o *floodFlags) aim() (kind flood.Kind, aim *flood.Aim, err error) {
	if kind, err = flood.ParseKind(o.what); err != nil {
		return 0, nil, fmt.Errorf("--what: %w", err)
	}
	switch {
	case o.iface == "":
		return 0, nil, errors.New("-i INTERFACE is needed")
	case o.rate < 0 || o.rate > o.maxRate:
		return 0, nil, fmt.Errorf("--rate %g: at most %g unless --max-rate says more", o.rate, o.maxRate)
	case o.length <= 0 || o.length > o.maxLength:
		return 0, nil, fmt.Errorf("--for %v: at most %v unless --max-for says more", o.length, o.maxLength)
	case o.honest < 0 || o.honest > 1<<20 || o.rate == 0 && o.honest == 0:
		return 0, nil, fmt.Errorf("--honest %d: want some without a flood, and at most %d", o.honest, 1<<20)
	case kind != flood.Discover && o.server == "":
		return 0, nil, fmt.Errorf("--server ADDRESS,MAC is needed for %s", o.what)
	}
	aim = &flood.Aim{Server: netip.AddrFrom4([4]byte{192, 0, 2, 1}), File: o.file}
	if o.server == "" {
		return kind, aim, nil
	}
	addr, mac, _ := strings.Cut(o.server, ",")
	if aim.Server, err = netip.ParseAddr(addr); err != nil || !aim.Server.Is4() {
		return 0, nil, fmt.Errorf("--server: %q is no IPv4 address", addr)
	}
	hw, err := net.ParseMAC(mac)
	if err != nil || len(hw) != 6 {
		return 0, nil, fmt.Errorf("--server: %q is no MAC address", mac)
	}
	aim.ServerMAC = [6]byte(hw)
	return kind, aim, nil
}

// fire floods, and asks meanwhile.
func (o *floodFlags) fire(ctx context.Context, kind flood.Kind, aim *flood.Aim, row *result.Row) error {
	const hint = "a flood needs root: CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN"
	f, err := flood.Open(o.iface, kind, aim)
	if err != nil {
		return fault.Machine(err, hint)
	}
	defer f.Close()
	type shot struct {
		sent uint64
		took time.Duration
		err  error
	}
	done := make(chan shot, 1)
	go func() {
		begin := time.Now()
		if o.rate == 0 {
			done <- shot{}
			return
		}
		sent, err := f.Fire(ctx, o.rate, o.length, o.cpu)
		done <- shot{sent, time.Since(begin), err}
	}()
	if o.honest > 0 {
		p, err := port.Open(port.Options{Interface: o.iface, Kind: port.Packet})
		if err != nil {
			return fault.Machine(err, hint)
		}
		defer p.Close()
		h := flood.Honest{Clients: o.honest, Gap: o.honestGap, Wait: o.honestWait, Last: 2 * o.honestWait, First: 1}
		a, err := h.Ask(ctx, p)
		if err != nil {
			return err
		}
		row.Add("answered at first", result.Share, float64(a.First)/float64(a.Clients))
		row.Add("answered at second", result.Share, a.Share())
	}
	s := <-done
	if s.err != nil {
		return fault.Machine(s.err, hint)
	}
	if s.sent > 0 {
		row.Add("flood", result.PerSecond, float64(s.sent)/s.took.Seconds())
	}
	return nil
}
