// Command boottimes measures the time from power-on to the running boot
// program of OVMF, on the server's own network and across a relay, with xdpxe
// and with dnsmasq in the same lab, in turn. It prints the medians.
//
// Most of it is the firmware's own: edk2 collects DHCP offers for 4 s and
// answers on UDP 4011 for 1 s, whatever the server does.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/wire"
)

func main() {
	daemon := flag.String("daemon", "./xdpxe", "the xdpxe program")
	rounds := flag.Int("rounds", 3, "boots of each kind")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, *daemon, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "boottimes:", err)
		os.Exit(1)
	}
}

// bootPatience bounds one boot.
const bootPatience = 90 * time.Second

// server starts a boot server on a node.
type server struct {
	name  string
	start func(ctx context.Context, r *lab.Rack, on *lab.Node, root string) error
}

// times are how long one boot took: to the boot program and to its script, and
// from the firmware's first DISCOVER to the boot program. The last has nothing
// of the firmware's start, which takes as long as the emulator lets it.
type times struct{ program, script, network time.Duration }

func measure(ctx context.Context, daemon string, rounds int) error {
	if err := lab.Missing(true); err != nil {
		return err
	}
	binary, err := filepath.Abs(daemon)
	if err != nil {
		return err
	}
	servers := []server{
		{"xdpxe", func(ctx context.Context, _ *lab.Rack, on *lab.Node, root string) error {
			_, err := on.StartDaemon(ctx, binary, lab.DaemonConfig{Root: root}, nil)
			return err
		}},
		{"dnsmasq", func(ctx context.Context, r *lab.Rack, on *lab.Node, root string) error {
			_, err := r.StartDNSMasqBoot(ctx, on, root, nil)
			return err
		}},
	}
	topologies := []lab.Topology{lab.Flat, lab.Relayed}
	took := map[string][]times{}
	for round := range rounds {
		order := slices.Clone(servers)
		if round%2 == 1 {
			slices.Reverse(order) // who comes first after a pause was seen to be slower
		}
		for _, topology := range topologies {
			for _, s := range order {
				t, err := boot(ctx, topology, s)
				if err != nil {
					return fmt.Errorf("%s, %v: %w", s.name, topology, err)
				}
				fmt.Printf("round %d: %-8s %-8v %.2f s\n", round+1, s.name, topology, t.program.Seconds())
				key := s.name + topology.String()
				took[key] = append(took[key], t)
			}
		}
	}
	fmt.Println("\nOVMF, seconds from power-on, median (lowest to highest):")
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NETWORK\tSERVER\tBOOT PROGRAM RUNS\tITS SCRIPT RUNS\tFIRST DISCOVER TO BOOT PROGRAM")
	for _, topology := range topologies {
		for _, s := range servers {
			all := took[s.name+topology.String()]
			fmt.Fprintf(w, "%v\t%s\t%s\t%s\t%s\n", topology, s.name,
				spread(all, func(t times) time.Duration { return t.program }),
				spread(all, func(t times) time.Duration { return t.script }),
				spread(all, func(t times) time.Duration { return t.network }))
		}
	}
	return w.Flush()
}

func spread(all []times, of func(times) time.Duration) string {
	var d []time.Duration
	for _, t := range all {
		d = append(d, of(t))
	}
	slices.Sort(d)
	if len(d) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", d[len(d)/2].Seconds(), d[0].Seconds(), d[len(d)-1].Seconds())
}

// boot lays a rack of its own for one boot, so that nothing is left from the one before.
func boot(ctx context.Context, topology lab.Topology, s server) (took times, err error) {
	ctx, cancel := context.WithTimeout(ctx, bootPatience)
	defer cancel()
	l, err := lab.New()
	if err != nil {
		return took, err
	}
	defer func() {
		if closeErr := l.Close(); err == nil {
			err = closeErr
		}
	}()
	r, err := l.NewRack(ctx, topology)
	if err != nil {
		return took, err
	}
	root, err := l.MakeRoot()
	if err != nil {
		return took, err
	}
	if _, err := r.StartDHCP(ctx, r.DHCP, nil); err != nil {
		return took, err
	}
	node, err := r.AddBootServer()
	if err != nil {
		return took, err
	}
	if err := s.start(ctx, r, node, root); err != nil {
		return took, err
	}
	if topology == lab.Relayed {
		if _, err := r.StartRelay(ctx, []netip.Addr{r.DHCP.Addr, node.Addr}, nil); err != nil {
			return took, err
		}
	}
	m, err := r.Boot(lab.MachineOptions{Name: strings.ToLower(s.name), Firmware: lab.UEFI})
	if err != nil {
		return took, err
	}
	defer m.Off()
	discover, err := firstDiscover(ctx, r, m)
	if err != nil {
		return took, err
	}
	program, err := m.WaitProgram(ctx)
	if err != nil {
		return took, err
	}
	script, err := m.WaitScript(ctx)
	if err != nil {
		return took, err
	}
	return times{program.Sub(m.PowerOn), script.Sub(m.PowerOn), program.Sub(discover)}, nil
}

// firstDiscover returns when the machine's first DISCOVER passed its port.
func firstDiscover(ctx context.Context, r *lab.Rack, m *lab.Machine) (time.Time, error) {
	port, err := wire.Open(r.Access.Namespace, m.Port)
	if err != nil {
		return time.Time{}, err
	}
	defer port.Close()
	for {
		d, err := port.Recv(ctx)
		if err != nil {
			return time.Time{}, err
		}
		e, ok := wire.Describe(d)
		if ok && e.DHCP != nil && e.About(m.MAC) && e.DHCP.MessageType() == dhcpv4.MessageTypeDiscover {
			return d.At, nil
		}
	}
}
