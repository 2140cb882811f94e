// Command demo shows xdpxe at work on this machine: a rack in network
// namespaces, with a plain DHCP server, an ISC relay and xdpxe on another
// network, boots real UEFI and BIOS firmware and a few simulated machines, and
// is gone afterwards.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/xdpxe/xdpxe/bench/lab"
)

// patience bounds the whole demonstration; it takes about 20 s.
const patience = 3 * time.Minute

func main() {
	daemon := flag.String("daemon", "./xdpxe", "the xdpxe program")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := run(ctx, *daemon); err != nil {
		if errors.Is(err, context.Canceled) {
			err = errors.New("interrupted; everything is removed again")
		}
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, daemon string) (err error) {
	if err := lab.Missing(true); err != nil {
		return err
	}
	binary, err := filepath.Abs(daemon)
	if err != nil {
		return err
	}
	l, err := lab.New()
	if err != nil {
		return err
	}
	show := newTimeline(os.Stdout)
	defer func() {
		err = errors.Join(err, l.Close())
		show.say("rack", "processes ended, namespaces and files removed")
	}()

	r, d, err := lay(ctx, l, binary, show)
	if err != nil {
		return err
	}
	machines, err := bootAll(ctx, r, show)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	status, err := d.Status(ctx)
	if err != nil {
		return err
	}
	return table(os.Stdout, machines, status)
}

// policy names the machines of the demonstration; one of them is none of xdpxe's business.
const policy = `
policy:
  default: ignore
  rules:
    - {name: storage, match: {mac: ["` + storageMAC + `"]}, boot: ignore}
    - {name: rack, match: {subnet: [198.51.100.0/24]}, boot: ipxe}
profiles:
  ipxe: {files: {bios: ` + lab.BIOSProgram + `, x64-uefi: ` + lab.UEFIProgram + `, ipxe: ` + lab.Script + `}}
`

// lay lays the rack and starts its servers.
func lay(ctx context.Context, l *lab.Lab, binary string, show *timeline) (*lab.Rack, *lab.Daemon, error) {
	r, err := l.NewRack(ctx, lab.Relayed)
	if err != nil {
		return nil, nil, err
	}
	root, err := l.MakeRoot()
	if err != nil {
		return nil, nil, err
	}
	show.say("rack", "clients in %v, router with a DHCP relay, servers in %v", r.Access.Net, r.Servers.Net)
	if _, err := r.StartDHCP(ctx, r.DHCP, nil); err != nil {
		return nil, nil, err
	}
	show.say("dhcp", "dnsmasq on %v hands out addresses and knows nothing of network boot", r.DHCP.Addr)
	node, err := r.AddBootServer()
	if err != nil {
		return nil, nil, err
	}
	d, err := node.StartDaemon(ctx, binary, lab.DaemonConfig{Root: root, Policy: policy}, nil)
	if err != nil {
		return nil, nil, err
	}
	status, err := d.Status(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, i := range status.Interfaces {
		show.say("xdpxe", "ready on %v, datapath %s", node.Addr, i.Tier)
	}
	if _, err := r.StartRelay(ctx, []netip.Addr{r.DHCP.Addr, node.Addr}, nil); err != nil {
		return nil, nil, err
	}
	show.say("relay", "ISC dhcrelay on %v sends DHCP to %v and to %v", r.ClientRouter(), r.DHCP.Addr, node.Addr)
	return r, d, nil
}
