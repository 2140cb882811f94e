package pcapload

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// Way is how the server is reached from an interface of the calling thread's
// network namespace.
type Way struct {
	Source netip.Addr // own address towards the server; not valid if there is none
	Own    []netip.Addr
	hop    netip.Addr // the server, or the router before it
	link   netlink.Link
	why    string // why there is no source
}

// FindWay looks at the routes. That there is none to the server is no error yet:
// broadcasts need none.
func FindWay(ifname string, server netip.Addr) (*Way, error) {
	link, err := netlink.LinkByName(ifname)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", ifname, err)
	}
	w := &Way{link: link, hop: server}
	addrs, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("addresses of %s: %w", ifname, err)
	}
	for _, a := range addrs {
		if ip, ok := netip.AddrFromSlice(a.IP.To4()); ok {
			w.Own = append(w.Own, ip)
		}
	}
	routes, err := netlink.RouteGet(server.AsSlice())
	switch {
	case err != nil:
		w.why = err.Error()
	case len(routes) == 0:
		w.why = "no route"
	case routes[0].LinkIndex != link.Attrs().Index:
		w.why = "the route is not out of it"
	default:
		if gw, ok := netip.AddrFromSlice(routes[0].Gw.To4()); ok && !gw.IsUnspecified() {
			w.hop = gw
		}
		w.Source, _ = netip.AddrFromSlice(routes[0].Src.To4())
	}
	return w, nil
}

// Needs says whether the plan sends anything to the server's own address.
func (p *Plan) Needs() bool {
	return slices.ContainsFunc(p.Requests, func(r *Request) bool { return r.Meta.Dst.Addr() != broadcastAddr })
}

const (
	resolveTime  = 3 * time.Second
	resolveEvery = 20 * time.Millisecond
)

// Resolve has the kernel find the MAC of the next hop.
func (w *Way) Resolve(ctx context.Context) (mac [macLen]byte, err error) {
	name := w.link.Attrs().Name
	if !w.Source.IsValid() {
		return mac, fmt.Errorf("no way to %s out of %s: %s", w.hop, name, w.why)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, resolveTime, errors.New("it does not answer ARP"))
	defer cancel()
	tick := time.NewTicker(resolveEvery)
	defer tick.Stop()
	for {
		// NTF_USE: as if a packet were to be sent there.
		err := netlink.NeighSet(&netlink.Neigh{LinkIndex: w.link.Attrs().Index, Family: netlink.FAMILY_V4, IP: w.hop.AsSlice(), Flags: netlink.NTF_USE})
		if err != nil {
			return mac, fmt.Errorf("neighbour %s on %s: %w", w.hop, name, err)
		}
		known, err := netlink.NeighList(w.link.Attrs().Index, netlink.FAMILY_V4)
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return mac, fmt.Errorf("neighbours on %s: %w", name, err)
		}
		for _, n := range known {
			if ip, ok := netip.AddrFromSlice(n.IP.To4()); ok && ip == w.hop && len(n.HardwareAddr) == macLen && n.State&unusable == 0 {
				return [macLen]byte(n.HardwareAddr), nil
			}
		}
		select {
		case <-ctx.Done():
			return mac, fmt.Errorf("neighbour %s on %s: %w", w.hop, name, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

const unusable = netlink.NUD_INCOMPLETE | netlink.NUD_FAILED

// Hold opens the ports that answers to own addresses come to, and reads nothing
// from them: without, the kernel would call them unreachable to the server. One
// that a process here has already is as good. The caller closes them.
func (p *Plan) Hold(ctx context.Context) (closeAll func(), err error) {
	var held []net.PacketConn
	closeAll = func() {
		for _, c := range held {
			c.Close()
		}
	}
	done := map[netip.AddrPort]bool{}
	for _, r := range p.Requests {
		src := r.Meta.Src
		if r.relay.IsValid() && !r.relay.IsUnspecified() {
			src = netip.AddrPortFrom(r.relay, packet.PortDHCPServer)
		}
		if src.Addr().IsUnspecified() || done[src] {
			continue
		}
		done[src] = true
		c, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp4", src.String())
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			closeAll()
			return nil, fmt.Errorf("hold the port: %w", err)
		}
		held = append(held, c)
	}
	return closeAll, nil
}
