package guard

import (
	"fmt"
	"maps"
	"slices"
)

// virtual are the kinds of links that move frames between namespaces of this
// machine and nowhere else by themselves. Not among them: what has no kind (a
// card's driver), tunnels (vxlan, gre, wireguard, …), and what only netfilter or
// tc knows the other side of (ifb).
var virtual = map[string]bool{
	"veth": true, "netkit": true, "bridge": true, "bond": true, "team": true, "vlan": true,
	"macvlan": true, "ipvlan": true, "dummy": true,
}

// reach returns the links that frames from l may get to without being routed, l
// first; why says which of them leads off the machine, or is empty.
func (m *machine) reach(l *link) (found []*link, why string) {
	upper := m.uppers()
	seen := map[*link]bool{l: true}
	found = []*link{l}
	for i := 0; i < len(found); i++ {
		at := found[i]
		if at.isLoopback() {
			continue
		}
		if why := leads(at); why != "" {
			return nil, why
		}
		near := upper[at]
		if lower, why := m.lower(at); why != "" {
			return nil, why
		} else if lower != nil {
			near = append(near, lower)
		}
		if master := at.in.links[at.MasterIndex]; master != nil {
			near = append(near, master)
		}
		for _, next := range near {
			if !seen[next] {
				seen[next] = true
				found = append(found, next)
			}
		}
	}
	return found, ""
}

// leads says how a link leads off this machine by itself, or nothing.
func leads(l *link) string {
	switch {
	case virtual[l.kind]:
		return ""
	case l.kind == "tap":
		return tapLeads(l)
	case l.kind == "device":
		if l.ParentDev != "" {
			return fmt.Sprintf("%s is a device (%s %s)", l, l.ParentDevBus, l.ParentDev)
		}
		return fmt.Sprintf("%s is a device, no virtual link", l)
	}
	return fmt.Sprintf("%s is a link of kind %s, which is not known to end on this machine", l, l.kind)
}

// lower returns what l is on: the other end of a veth, the parent of a VLAN;
// why says that there is one which cannot be seen.
func (m *machine) lower(l *link) (_ *link, why string) {
	if l.ParentIndex == 0 || l.NetNsID < 0 && l.ParentIndex == l.Index {
		return nil, ""
	}
	in := l.in
	if l.NetNsID >= 0 {
		in = m.byID(l.in, l.NetNsID)
	}
	if in != nil {
		if lower := in.links[l.ParentIndex]; lower != nil {
			return lower, ""
		}
	}
	why = fmt.Sprintf("the other side of %s is in a network namespace that cannot be seen from here", l)
	if m.unseen != nil {
		why += fmt.Sprintf(" (%v)", m.unseen)
	}
	return nil, why
}

// uppers finds for each link what has it below: VLANs and macvlans of it, in
// whatever namespace, and the ports of a bridge or bond.
func (m *machine) uppers() map[*link][]*link {
	upper := map[*link][]*link{}
	for _, n := range m.all {
		for _, index := range slices.Sorted(maps.Keys(n.links)) {
			l := n.links[index]
			if lower, _ := m.lower(l); lower != nil {
				upper[lower] = append(upper[lower], l)
			}
			if master := n.links[l.MasterIndex]; master != nil {
				upper[master] = append(upper[master], l)
			}
		}
	}
	return upper
}
