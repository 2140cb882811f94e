// Command rates measures how many DISCOVERs a second xdpxe answers on each of
// its datapaths, and dnsmasq as a ProxyDHCP server beside it: one server and
// one sender with a cable between them, the same requests for all, in turn.
//
// The sender is a simple one: a packet socket and sendmmsg, one thread. Where
// it, and not the server, is the limit, the table says so. On a machine with
// two cores it takes one of them from the server.
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
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/xdpxe/xdpxe/bench/lab"
)

func main() {
	daemon := flag.String("daemon", "./xdpxe", "the xdpxe program")
	rounds := flag.Int("rounds", 3, "measurements of each kind")
	length := flag.Duration("for", time.Second, "length of one measurement")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, *daemon, *rounds, *length); err != nil {
		fmt.Fprintln(os.Stderr, "rates:", err)
		os.Exit(1)
	}
}

// cable is the interface that server and sender have to each other.
const cable = "cable0"

var (
	serverAddr = netip.MustParsePrefix("192.0.2.10/24")
	// steps are the offered rates, in DISCOVERs a second; 0 is as fast as the sender can.
	steps = []int{2_000, 5_000, 10_000, 20_000, 30_000, 40_000, 60_000, 80_000, 100_000, 150_000, 200_000, 250_000, 300_000, 0}
)

// enough is the share of requests that must be answered for a rate to count (Kea's criterion: 2.5 % unanswered).
const enough = 0.975

// contender is a server that is measured.
type contender struct {
	name  string
	start func(ctx context.Context, on *lab.Node, root string) (stop func() error, err error)
}

// result is the highest rate that was answered well enough, and what was
// answered of as much as could be sent.
type result struct {
	best, flooded, offered float64 // a second
	senderLimit            bool    // no offered rate was too high
}

func measure(ctx context.Context, daemon string, rounds int, length time.Duration) error {
	if err := lab.Missing(false); err != nil {
		return err
	}
	binary, err := filepath.Abs(daemon)
	if err != nil {
		return err
	}
	contenders := []contender{
		{"xdpxe native", xdpxe(binary, "native", "steal")}, {"xdpxe generic", xdpxe(binary, "generic", "steal")},
		{"xdpxe ringbuf", xdpxe(binary, "ringbuf", "steal")}, {"xdpxe socket", xdpxe(binary, "socket", "auto")},
		{"dnsmasq", dnsmasq},
	}
	results := make(map[string][]result)
	for round := range rounds {
		for _, c := range contenders {
			r, err := one(ctx, c, length)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			fmt.Printf("round %d: %-14s %7.0f/s answered to %.1f %%; flooded with %.0f/s: %.0f/s\n",
				round+1, c.name, r.best, 100*enough, r.offered, r.flooded)
			results[c.name] = append(results[c.name], r)
		}
	}
	fmt.Printf("\nAnswered DISCOVERs a second, median (lowest to highest) of %d rounds:\n", rounds)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "SERVER\tAT LEAST %.1f %% ANSWERED\tFLOODED\tLIMIT\n", 100*enough)
	for _, c := range contenders {
		all, limit := results[c.name], "the server"
		if slices.ContainsFunc(all, func(r result) bool { return r.senderLimit }) {
			limit = "the sender"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.name,
			spread(all, func(r result) float64 { return r.best }), spread(all, func(r result) float64 { return r.flooded }), limit)
	}
	return w.Flush()
}

func spread(all []result, of func(result) float64) string {
	var v []float64
	for _, r := range all {
		v = append(v, of(r))
	}
	slices.Sort(v)
	return fmt.Sprintf("%.0f (%.0f to %.0f)", v[len(v)/2], v[0], v[len(v)-1])
}

// one measures a server in a lab of its own.
func one(ctx context.Context, c contender, length time.Duration) (r result, err error) {
	l, err := lab.New()
	if err != nil {
		return r, err
	}
	defer func() {
		if closeErr := l.Close(); err == nil {
			err = closeErr
		}
	}()
	rack, err := l.NewRack(ctx, lab.Flat)
	if err != nil {
		return r, err
	}
	root, err := l.MakeRoot()
	if err != nil {
		return r, err
	}
	server, err := rack.AddBootServer()
	if err != nil {
		return r, err
	}
	// The switch is not what is measured.
	if err := server.IP("addr", "flush", "dev", lab.Iface); err != nil {
		return r, err
	}
	sender, err := l.Namespace("sender")
	if err != nil {
		return r, err
	}
	if err := sender.Veth(cable, server.Namespace, cable); err != nil {
		return r, err
	}
	if err := server.IP("addr", "add", serverAddr.String(), "dev", cable); err != nil {
		return r, err
	}
	stop, err := c.start(ctx, server, root)
	if err != nil {
		return r, err
	}
	g, err := openGun(sender, cable)
	if err != nil {
		return r, err
	}
	defer g.close()
	if err := g.warm(ctx); err != nil {
		return r, err
	}
	r.senderLimit = true
	for _, rate := range steps {
		sent, answered, err := g.fire(ctx, rate, length)
		if err != nil {
			return r, err
		}
		if rate == 0 {
			r.offered, r.flooded = sent/length.Seconds(), answered/length.Seconds()
		}
		if answered >= enough*sent {
			r.best = max(r.best, answered/length.Seconds())
		} else {
			r.senderLimit = false
		}
	}
	return r, stop()
}

func xdpxe(binary, datapath, deliver string) func(context.Context, *lab.Node, string) (func() error, error) {
	return func(ctx context.Context, on *lab.Node, root string) (func() error, error) {
		d, err := on.StartDaemon(ctx, binary, lab.DaemonConfig{Interface: cable, Datapath: datapath, Deliver: deliver, Root: root}, nil)
		if err != nil {
			return nil, err
		}
		return d.Stop, nil
	}
}

// dnsmasq answers as ProxyDHCP, with its logging off.
func dnsmasq(ctx context.Context, on *lab.Node, _ string) (func() error, error) {
	p, err := on.Start(lab.Command{Args: []string{
		"dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-", "--quiet-dhcp", "--port=0", "--user=root",
		"--interface=" + cable, "--pid-file=", "--leasefile-ro", "--dhcp-range=" + serverAddr.Masked().Addr().String() + ",proxy,255.255.255.0",
		"--pxe-service=X86-64_EFI,boot," + lab.UEFIProgram,
	}})
	if err != nil {
		return nil, err
	}
	if _, err := p.Log.Wait(ctx, "DHCP, proxy"); err != nil {
		return nil, err
	}
	return p.Stop, nil
}
