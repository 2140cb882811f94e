package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/bench/gun"
	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/bench/procstat"
	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/cmd/internal/fault"
	"github.com/xdpxe/xdpxe/loader/netdev"
)

const dhcpLong = `Sends DISCOVERs, boot server requests (port 4011) or both, of many machines, and
judges and times each reply.

Everything that arrives on the interface is the generator's while it runs with
--sender xdp: use an interface that nothing else needs.

Examples, on a cable to the server (a veth in a network namespace):
  xdpxe-bench dhcp -i cable0 --rate 10000 --for 10s
  xdpxe-bench dhcp -i cable0 --find-max
  xdpxe-bench dhcp -i cable0 --what bootserver --server 192.0.2.10 --client-net 192.0.2.128/25 --rate 5000
  xdpxe-bench dhcp -i cable0 --relay 198.51.100.1 --circuit-id eth0/7 --server 192.0.2.10 --rate 5000`

// Bounds of the load unless flags raise them: it is a flood tool in the wrong hands.
const (
	defaultMaxRate = 300_000
	defaultMaxFor  = time.Minute
)

// dhcpFlags is the command line of dhcp.
type dhcpFlags struct {
	output
	iface, sender, what string
	rate                float64
	ramp                string
	saturate, findMax   bool
	length, maxLength   time.Duration
	maxRate             float64
	queues              int
	machines            int
	first               uint64
	archs               []string
	lease               bool
	server              string
	relay               string
	circuitID, remoteID string
	clients             string
	vlan                uint16
	late                time.Duration
	bounced             bool
	serverPID           int
}

func newDHCPCommand() *cobra.Command {
	o := new(dhcpFlags)
	cmd := &cobra.Command{Use: "dhcp -i INTERFACE [flags]", Short: "Load a DHCP or ProxyDHCP server", Long: dhcpLong,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) }}
	f := cmd.Flags()
	f.StringVarP(&o.iface, "interface", "i", "", "the `INTERFACE` to send and receive on")
	f.StringVar(&o.sender, "sender", "", "xdp (AF_XDP), packet (AF_PACKET) or live (frames from the kernel, for high rates); default: xdp, packet with --vlan")
	f.StringVar(&o.what, "what", "discover", "discover, bootserver (port 4011) or both")
	f.Float64Var(&o.rate, "rate", 1000, "requests a second")
	f.StringVar(&o.ramp, "ramp", "", "go from one rate to another: `FROM:TO`")
	f.BoolVar(&o.saturate, "saturate", false, "as fast as it goes, up to --max-rate")
	f.BoolVar(&o.findMax, "find-max", false, "search the highest rate with at most 2.5 % unanswered, up to --max-rate")
	f.DurationVar(&o.length, "for", 0, "how long to send, of --find-max each trial (default 10s, 1s)")
	f.Float64Var(&o.maxRate, "max-rate", defaultMaxRate, "bound of all rates; 0: none")
	f.DurationVar(&o.maxLength, "max-for", defaultMaxFor, "bound of --for")
	f.IntVar(&o.queues, "queues", 0, "queues of the interface to use, a thread for each; 0: all with --sender xdp, else 1")
	f.IntVar(&o.machines, "machines", 100_000, "how many machines take turns")
	f.Uint64Var(&o.first, "first-machine", 1, "`NUMBER` of the first machine; MAC and UUID follow from it")
	f.StringSliceVar(&o.archs, "arch", []string{"x64-uefi"}, "architectures, with a weight each: x64-uefi=3,bios=1")
	f.BoolVar(&o.lease, "lease", false, "expect a DHCP server's offers, with an address, instead of a boot server's")
	f.StringVar(&o.server, "server", "", "the `ADDRESS[,MAC]` of the server; only its replies count")
	f.StringVar(&o.relay, "relay", "", "send DISCOVERs as a relay agent with this `ADDRESS` (giaddr)")
	f.StringVar(&o.circuitID, "circuit-id", "", "option 82 circuit id of the relay agent")
	f.StringVar(&o.remoteID, "remote-id", "", "option 82 remote id of the relay agent")
	f.StringVar(&o.clients, "client-net", "", "`NETWORK` that clients of port 4011 have their addresses from; the generator answers ARP for it")
	f.Uint16Var(&o.vlan, "vlan", 0, "VLAN `ID` to tag frames with")
	f.DurationVar(&o.late, "late", gun.DefaultLate, "replies after that are late")
	f.IntVar(&o.serverPID, "server-pid", 0, "measure CPU time of this process and its children")
	f.BoolVar(&o.bounced, "bounced", false, "take the request itself for the answer: the server is xdpxe-bench bounce (with --sender live)")
	o.addFlags(cmd)
	o.addAimFlag(cmd)
	return cmd
}

func (o *dhcpFlags) run(cmd *cobra.Command) error {
	if err := o.begin(); err != nil {
		return err
	}
	schedule, err := o.schedule()
	if err != nil {
		return fault.User(err, "")
	}
	load, err := o.load()
	if err != nil {
		return fault.User(err, "")
	}
	kind, err := o.kind()
	if err != nil {
		return fault.User(err, "")
	}
	if err := o.mayUse(o.iface); err != nil {
		return err
	}
	if o.serverPID != 0 {
		if _, err := procstat.Read(o.serverPID); err != nil {
			return fault.User(fmt.Errorf("--server-pid: %w", err), "")
		}
	}
	run := &result.Run{Settings: o.settings(load)}
	if o.sender == liveSender {
		err = o.flood(cmd, load, schedule, run)
	} else {
		err = o.shoot(cmd, load, kind, schedule, run)
	}
	if err != nil {
		return err
	}
	return o.finish(cmd, run)
}

// notWarm is a note.
const notWarm = "the server answered none of the requests that were sent before the measurement"

// shoot runs the load from ports.
func (o *dhcpFlags) shoot(cmd *cobra.Command, load gun.Load, kind port.Kind, s gun.Schedule, run *result.Run) error {
	if kind == port.XDP && load.VLAN != 0 {
		load.HiddenTags = true
		run.Notes = append(run.Notes, "replies without a VLAN tag were taken: AF_XDP does not see a tag that the server's kernel keeps beside the frame")
	}
	facts, err := netdev.Read(o.iface)
	if err != nil {
		return err
	}
	switch {
	case o.queues == 0 && kind == port.XDP:
		o.queues = facts.RXQueues
	case o.queues == 0:
		o.queues = 1
	case o.queues < facts.RXQueues && kind == port.XDP:
		run.Notes = append(run.Notes, fmt.Sprintf("%s has %d receive queues, of which %d were used: replies on the others were not seen", o.iface, facts.RXQueues, o.queues))
	}
	ports, err := port.OpenQueues(port.Options{Interface: o.iface, Kind: kind}, o.queues)
	if err != nil {
		return fault.Machine(err, "sending needs root, or CAP_NET_RAW; --sender xdp also CAP_BPF, CAP_NET_ADMIN and an interface without another XDP program")
	}
	defer func() {
		for _, p := range ports {
			p.Close()
		}
	}()
	g, err := gun.New(cmd.Context(), load, ports)
	if err != nil {
		return err
	}
	answers, err := g.Warm(cmd.Context())
	if err != nil {
		return err
	}
	if !answers {
		run.Notes = append(run.Notes, notWarm)
	}
	if o.findMax {
		return o.search(cmd, run, g.Run)
	}
	g.Progress = o.report(cmd)
	return o.once(run, func() (*gun.Outcome, error) { return g.Run(cmd.Context(), s) })
}

// once does one run, and measures meanwhile what the server takes.
func (o *dhcpFlags) once(run *result.Run, shoot func() (*gun.Outcome, error)) error {
	meter, err := startMeter(o.serverPID)
	if err != nil {
		return err
	}
	outcome, err := shoot()
	if err != nil {
		return err
	}
	row := outcome.Row(o.what)
	if err := meter.stop(&row, outcome.Sending); err != nil {
		return err
	}
	run.Rows = append(run.Rows, row)
	return nil
}

// report prints how far a run is.
func (o *dhcpFlags) report(cmd *cobra.Command) func(gun.Progress) {
	return func(p gun.Progress) {
		o.progress(cmd, "%3.0f s: sent %d, answered %d (%.1f %%)", p.Elapsed.Seconds(), p.Sent, p.Answered, 100*float64(p.Answered)/float64(max(p.Sent, 1)))
	}
}

// search looks for the highest rate.
func (o *dhcpFlags) search(cmd *cobra.Command, run *result.Run, shoot func(context.Context, gun.Schedule) (*gun.Outcome, error)) error {
	trial := func(ctx context.Context, s gun.Schedule) (*gun.Outcome, error) {
		outcome, err := shoot(ctx, s)
		if err == nil {
			o.progress(cmd, "%.0f/s: %.2f %% answered in time", s.To, 100*outcome.Share())
		}
		return outcome, err
	}
	found, err := gun.FindMax(cmd.Context(), gun.Search{Most: o.most(), For: o.length}, trial)
	if err != nil {
		return err
	}
	run.Rows = append(run.Rows, found.Row(o.what))
	return nil
}

// flood runs the load from the kernel.
func (o *dhcpFlags) flood(cmd *cobra.Command, load gun.Load, s gun.Schedule, run *result.Run) error {
	ifi, err := net.InterfaceByName(o.iface)
	if err != nil {
		return fmt.Errorf("interface %s: %w", o.iface, err)
	}
	if len(ifi.HardwareAddr) != 6 {
		return fault.User(fmt.Errorf("interface %s is no Ethernet", o.iface), "")
	}
	mac := [6]byte(ifi.HardwareAddr)
	answers, err := gun.WarmLive(cmd.Context(), o.iface, mac, load)
	if err != nil {
		return err
	}
	if !answers {
		run.Notes = append(run.Notes, notWarm)
	}
	if o.findMax {
		return o.search(cmd, run, func(ctx context.Context, s gun.Schedule) (*gun.Outcome, error) {
			return gun.Live(ctx, o.iface, mac, load, s, 1, nil)
		})
	}
	return o.once(run, func() (*gun.Outcome, error) {
		return gun.Live(cmd.Context(), o.iface, mac, load, s, max(o.queues, 1), o.report(cmd))
	})
}
