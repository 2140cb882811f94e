package publish

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/xdpxe/xdpxe/responder/dhcp"
)

// maxNetworks is how many networks a template has room for.
const maxNetworks = 4

var (
	// noClients are the networks that no client is in (dhcp.Link).
	noClients = prefixes("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3")
	// anywhere are the networks that stand for any, where they keep clear of
	// noClients: those of private addresses and their neighbours. There is not
	// room for all.
	anywhere = prefixes("8.0.0.0/5", "192.0.0.0/3", "128.0.0.0/2")
)

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// networksOf returns the networks whose clients are answered on port 4011: all
// addresses but the first and last of each, where the first network that an
// address is in counts. They depend on the link and on who is answered at all
// (clients), not on who asks: templates of the same request must agree.
//
// The link's own come first, since the last address of each is its broadcast
// address, which is no client's (dhcp.Link), also within a larger network.
func networksOf(link *dhcp.Link, clients []netip.Prefix) (list []netip.Prefix) {
	own := masked(link.Prefixes)
	if len(clients) == 0 {
		clients = []netip.Prefix{everywhere}
	}
	clients = masked(clients)
	var wider []netip.Prefix
	for _, c := range clients {
		for _, a := range anywhere {
			if c.Bits() <= a.Bits() && c.Contains(a.Addr()) {
				wider = append(wider, a)
			}
		}
	}
	for _, p := range slices.Concat(own, clients, wider) {
		if len(list) < maxNetworks && !slices.Contains(list, p) && covered(clients, p) && !overlaps(noClients, p) && broadcastsKept(list, own, p) {
			list = append(list, p)
		}
	}
	return list
}

// masked returns the IPv4 networks that have a broadcast address, the smallest first.
func masked(list []netip.Prefix) (nets []netip.Prefix) {
	for _, p := range list {
		if p.Addr().Is4() && p.Bits() < 31 {
			nets = append(nets, p.Masked())
		}
	}
	slices.SortFunc(nets, func(a, b netip.Prefix) int { return cmp.Or(b.Bits()-a.Bits(), a.Addr().Compare(b.Addr())) })
	return nets
}

// covered reports whether all of a network is within one of others.
func covered(by []netip.Prefix, p netip.Prefix) bool {
	return slices.ContainsFunc(by, func(b netip.Prefix) bool { return b.Bits() <= p.Bits() && b.Contains(p.Addr()) })
}

func overlaps(list []netip.Prefix, p netip.Prefix) bool {
	return slices.ContainsFunc(list, p.Overlaps)
}

// broadcastsKept reports whether no broadcast address of the link becomes a
// client's if p is added to a list.
func broadcastsKept(list, own []netip.Prefix, p netip.Prefix) bool {
	for _, n := range own {
		last := lastOf(n)
		if p.Contains(last) && last != lastOf(p) && !slices.ContainsFunc(list, func(l netip.Prefix) bool { return l.Contains(last) && lastOf(l) == last }) {
			return false
		}
	}
	return true
}

// client reports whether an address is a client's by such a list.
func client(networks []netip.Prefix, a netip.Addr) bool {
	for _, p := range networks {
		if p.Contains(a) {
			return a != p.Addr() && a != lastOf(p)
		}
	}
	return false
}
