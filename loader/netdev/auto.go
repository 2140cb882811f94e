package netdev

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// autoKinds are the link kinds that `interfaces: auto` takes: what carries a
// site's network. Bridges, tunnels and taps are named by hand or not at all.
var autoKinds = []string{"device", "veth", "bond", "team", "vlan", "macvlan"}

// AutoInterfaces returns the names of every up Ethernet, bond or VLAN
// interface with an IPv4 address, in index order. A VLAN interface whose port
// is among them is left out: XDP on the port sees its frames first.
func AutoInterfaces() ([]string, error) {
	links, err := linkList()
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	var names []string
	covered := map[int]bool{}
	for _, l := range links {
		a := l.Attrs()
		if !slices.Contains(autoKinds, l.Type()) || a.EncapType != "ether" || a.RawFlags&unix.IFF_UP == 0 || covered[a.Index] {
			continue
		}
		have, err := addrs(l)
		if err != nil {
			return nil, err
		}
		if len(have) == 0 {
			continue
		}
		names = append(names, a.Name)
		above, err := vlans(a.Index, links, nil)
		if err != nil {
			return nil, err
		}
		for _, v := range above {
			covered[v.Index] = true
			// A VLAN device may have the lower index, after a device
			// was replaced below it: take it out again.
			names = slices.DeleteFunc(names, func(n string) bool { return n == v.Name })
		}
	}
	return names, nil
}
