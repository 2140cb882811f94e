package guard

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// mostHops ends the way through a routing loop.
const mostHops = 32

// follow goes the way of a datagram from the calling thread's namespace to the
// one that owns the address. Why says how it leads off the machine.
func (m *machine) follow(addr netip.Addr) (why string, err error) {
	at, zone := m.here, 0
	if addr.Zone() != "" {
		l := at.byName(addr.Zone())
		if l == nil {
			return "", fmt.Errorf("no interface %s", addr.Zone())
		}
		addr, zone = addr.WithZone(""), l.Index
	}
	for range mostHops {
		routes, err := at.h.RouteGetWithOptions(addr.AsSlice(), &netlink.RouteGetOptions{OifIndex: zone})
		if err == nil && len(routes) == 0 {
			err = unix.EHOSTUNREACH
		}
		if err != nil {
			return "", fmt.Errorf("route to %s from %s: %w", addr, orHere(at.name), err)
		}
		route := routes[0]
		if route.Type == unix.RTN_LOCAL {
			return "", nil
		}
		if route.Type != unix.RTN_UNICAST {
			return "it is not the address of one machine", nil
		}
		out := at.links[route.LinkIndex]
		if out == nil {
			return "", fmt.Errorf("route to %s from %s: by interface %d, which is new", addr, orHere(at.name), route.LinkIndex)
		}
		if err := m.lookAround(); err != nil {
			return "", err
		}
		near, why := m.reach(out)
		if why != "" {
			return fmt.Sprintf("the route is out of %s, and %s", out, why), nil
		}
		next := gateway(route, addr)
		if at, err = owner(near, next); err != nil {
			return "", err
		}
		if at == nil {
			return fmt.Sprintf("the route is out of %s, and no network namespace of this machine has %s there", out, next), nil
		}
		zone = 0
	}
	return fmt.Sprintf("the route did not end within %d hops", mostHops), nil
}

// gateway is the next hop of a route, addr itself on its own network.
func gateway(r netlink.Route, addr netip.Addr) netip.Addr {
	if gw, ok := netip.AddrFromSlice(r.Gw); ok && !gw.IsUnspecified() {
		return gw.Unmap()
	}
	if via, ok := r.Via.(*netlink.Via); ok {
		if gw, ok := netip.AddrFromSlice(via.Addr); ok {
			return gw.Unmap()
		}
	}
	return addr
}

// owner finds the namespace with one of the links that has an address. On which
// of its links does not matter: Linux answers for any of them.
func owner(near []*link, addr netip.Addr) (*namespace, error) {
	asked := map[*namespace]bool{}
	for _, l := range near {
		if asked[l.in] {
			continue
		}
		asked[l.in] = true
		list, err := l.in.h.AddrList(nil, netlink.FAMILY_ALL)
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return nil, fmt.Errorf("addresses of %s: %w", orHere(l.in.name), err)
		}
		for _, a := range list {
			if have, ok := netip.AddrFromSlice(a.IP); ok && have.Unmap() == addr {
				return l.in, nil
			}
		}
	}
	return nil, nil
}
