package main

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/bench/arrival"
	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/bench/storm"
	"github.com/xdpxe/xdpxe/cmd/internal/fault"
	"github.com/xdpxe/xdpxe/loader/netdev"
)

const stormLong = `Boots machines: DISCOVER, the offers of DHCP and boot servers, REQUEST, the
request on 4011, the boot program by TFTP, and then the files that it fetches, as
firmware does it, with its timers and tries. The network needs a DHCP server with
an address for each machine.

The machines' addresses exist only here. With --sender xdp everything that
arrives on the interface is theirs while it runs: use one that nothing else needs.

--list says which kinds of firmware there are. --profile-dir adds some, from YAML
files like those in bench/storm/profiles. HTTP clients are done when they know
their URL.

A server that is to talk to more than about 1,000 machines on its own network
needs a larger ARP table: net.ipv4.neigh.default.gc_thresh3.

Examples, on a cable to the servers (a veth in a network namespace):
  xdpxe-bench storm -i cable0 --machines 20
  xdpxe-bench storm -i cable0 --machines 2000 --profiles edk2=50,ipxe=20,bios=30 --arrival ramp:30s
  xdpxe-bench storm -i cable0 --profiles windows --files 'windows=\Boot\BCD,\boot\fonts\wgl4_boot.ttf?,\sources\boot.wim'`

// maxMachines bounds a storm's memory: a machine has about 1 KiB.
const maxMachines = 100_000

// stormFlags is the command line of storm.
type stormFlags struct {
	output
	iface, sender string
	machines      int
	first         uint64
	mix, dir      string
	files         []string
	arrival       string
	deadline      time.Duration
	hurry         float64
	list          bool
}

func newStormCommand() *cobra.Command {
	o := new(stormFlags)
	cmd := &cobra.Command{Use: "storm -i INTERFACE [flags]", Short: "Boot whole machines", Long: stormLong,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) }}
	f := cmd.Flags()
	f.StringVarP(&o.iface, "interface", "i", "", "the `INTERFACE` that the machines are behind")
	f.StringVar(&o.sender, "sender", "xdp", "xdp (AF_XDP) or packet (AF_PACKET)")
	f.IntVar(&o.machines, "machines", 100, "how many")
	f.Uint64Var(&o.first, "first-machine", 1, "`NUMBER` of the first machine; MAC and UUID follow from it")
	f.StringVar(&o.mix, "profiles", "edk2=5,ipxe=3,bios=2", "kinds of firmware, with a weight each")
	f.StringVar(&o.dir, "profile-dir", "", "`DIRECTORY` with further profiles, *.yaml")
	f.StringArrayVar(&o.files, "files", nil, "what is downloaded after the boot program: `[PROFILE=]NAME,NAME?`, ? behind what may be missing, or none (may be repeated)")
	f.StringVar(&o.arrival, "arrival", "at-once", "when machines are switched on: at-once, poisson:RATE (a second), ramp:DURATION")
	f.DurationVar(&o.deadline, "deadline", 5*time.Minute, "when machines that are not done have failed")
	f.Float64Var(&o.hurry, "hurry", 1, "divide the firmware's waiting times by a `FACTOR`")
	f.BoolVar(&o.list, "list", false, "list the profiles, and do nothing")
	o.addFlags(cmd)
	o.addAimFlag(cmd)
	return cmd
}

func (o *stormFlags) run(cmd *cobra.Command) error {
	if err := o.begin(); err != nil {
		return err
	}
	profiles, err := storm.LoadProfiles(o.dir)
	if err != nil {
		return fault.User(err, "")
	}
	if o.list {
		for _, name := range profiles.Names() {
			fmt.Fprintf(cmd.OutOrStdout(), "%-16s %s\n", name, profiles[name].About)
		}
		return nil
	}
	options, err := o.options(profiles)
	if err != nil {
		return fault.User(err, "")
	}
	options.Progress = func(p storm.Progress) {
		o.progress(cmd, "%3.0f s: %d of %d on, %d booted, %d failed, %s", p.Since.Seconds(), p.On, p.Machines, p.Booted, p.Lost, result.Bytes.Text(float64(p.Bytes)))
	}
	if err := o.mayUse(o.iface); err != nil {
		return err
	}
	// The port is opened in the namespace of this thread, which the loop keeps for itself.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	got, err := o.boot(cmd, options)
	if err != nil {
		return err
	}
	run := &result.Run{Settings: o.settings(), Rows: got.Rows(), Notes: got.Notes()}
	if o.hurry != 1 {
		run.Notes = append(run.Notes, fmt.Sprintf("the firmware's waiting times were divided by %g: times are not those of real machines", o.hurry))
	}
	return o.finish(cmd, run)
}

// options makes a storm of the command line. Errors are the user's.
func (o *stormFlags) options(profiles storm.Profiles) (s storm.Options, err error) {
	switch {
	case o.iface == "":
		return s, errors.New("--interface is needed")
	case o.machines < 1 || o.machines > maxMachines:
		return s, fmt.Errorf("--machines %d: want 1 to %d", o.machines, maxMachines)
	case o.first < 1 || o.first >= 1<<40-maxMachines:
		return s, fmt.Errorf("--first-machine %d: want 1 to 2^40", o.first)
	case o.deadline <= 0:
		return s, fmt.Errorf("--deadline %v: want more than nothing", o.deadline)
	case !(o.hurry >= 0.01 && o.hurry <= 1000):
		return s, fmt.Errorf("--hurry %g: want 0.01 to 1000", o.hurry)
	}
	for _, files := range o.files {
		if err := profiles.SetFiles(files); err != nil {
			return s, err
		}
	}
	for name, p := range profiles {
		profiles[name] = p.Hurry(o.hurry)
	}
	shares, err := profiles.ParseMix(o.mix)
	if err != nil {
		return s, err
	}
	s = storm.Options{Profiles: storm.Deal(shares, o.machines), First: dhcpc.Identity(o.first), Deadline: o.deadline}
	if s.Arrival, err = arrival.Parse(o.arrival); err != nil {
		return s, fmt.Errorf("--%w", err)
	}
	return s, nil
}

// boot opens the interface and runs the storm.
func (o *stormFlags) boot(cmd *cobra.Command, options storm.Options) (got *storm.Result, err error) {
	kind, err := port.ParseKind(o.sender)
	if err != nil {
		return nil, fault.User(err, "")
	}
	facts, err := netdev.Read(o.iface)
	switch {
	case err != nil:
		return nil, err
	case !facts.Up:
		return nil, fault.User(fmt.Errorf("interface %s is down", o.iface), "ip link set "+o.iface+" up")
	case kind == port.XDP && facts.RXQueues > 1:
		return nil, fault.User(fmt.Errorf("interface %s has %d receive queues, and a storm reads one by AF_XDP", o.iface, facts.RXQueues),
			"--sender packet, or ethtool -L "+o.iface+" combined 1")
	}
	p, err := port.Open(port.Options{Interface: o.iface, Kind: kind})
	if err != nil {
		return nil, fault.Machine(err, "it needs root, or CAP_NET_RAW; --sender xdp also CAP_BPF, CAP_NET_ADMIN and an interface without another XDP program")
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	end, err := storm.Promiscuous(o.iface)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	return storm.Run(cmd.Context(), p, options)
}

func (o *stormFlags) settings() []result.Setting {
	settings := []result.Setting{
		{Name: "interface", Value: o.iface}, {Name: "sender", Value: o.sender},
		{Name: "machines", Value: strconv.Itoa(o.machines)}, {Name: "first machine", Value: strconv.FormatUint(o.first, 10)},
		{Name: "profiles", Value: o.mix}, {Name: "arrival", Value: o.arrival}, {Name: "deadline", Value: o.deadline.String()},
		{Name: "hurry", Value: strconv.FormatFloat(o.hurry, 'g', -1, 64)},
	}
	if len(o.files) > 0 {
		settings = append(settings, result.Setting{Name: "files", Value: strings.Join(o.files, " ")})
	}
	return settings
}
