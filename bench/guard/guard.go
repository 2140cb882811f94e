// Package guard keeps a load generator on its own machine. xdpxe-bench sends
// only what cannot leave: out of interfaces behind which there are nothing but
// virtual links between network namespaces of this machine, and to addresses
// that belong to them.
//
// Two questions. Interface: may frames be put on this interface? All links of
// all namespaces that can be seen make a graph: a veth end and its peer, a
// bridge or bond and its ports, a VLAN or macvlan and what it is on. What is
// connected to the interface may be reached at layer 2; one device among it that
// leads elsewhere refuses it: a card, a tunnel, a kind this package does not
// know. A tap is as good as the process that holds it: a virtual machine's
// monitor (QEMU) keeps its frames here, any other (a VPN) does not count as here,
// and without one they go nowhere. Target: may this address be sent to? The
// route is followed from namespace to namespace, each time out of an interface
// that passes, to one that owns the address.
//
// The guard is against mistakes, not against intent: what tc, netfilter, an XDP
// program or a guest does with a frame that it was given is not looked into. What
// the answer was made from may change the moment after.
//
// Other namespaces take CAP_SYS_ADMIN to look at. Loopback and addresses of the
// own namespace need no permission.
package guard

import (
	"fmt"
	"net/netip"
)

// Refusal says that something would leave this machine. Other errors of this
// package mean that it could not be found out.
type Refusal struct {
	Aim string // "interface eth0", "address 192.0.2.1"
	Why string
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("%s may lead off this machine: %s; --i-own-this-network says that the network is yours to load", r.Aim, r.Why)
}

// Interface says whether frames may be sent out of an interface of the calling
// thread's network namespace: nil, a *Refusal, or why it cannot be told. With
// own everything may.
func Interface(ifname string, own bool) error {
	if own {
		return nil
	}
	m, err := newMachine()
	if err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	defer m.close()
	l := m.here.byName(ifname)
	if l == nil {
		return fmt.Errorf("guard: no interface %s", ifname)
	}
	if l.isLoopback() {
		return nil
	}
	if err := m.lookAround(); err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	if _, why := m.reach(l); why != "" {
		return &Refusal{Aim: "interface " + ifname, Why: why}
	}
	return nil
}

// Target says whether datagrams may be sent to an address from the calling
// thread's network namespace: nil, a *Refusal, or why it cannot be told. With own
// they may be sent anywhere.
func Target(addr netip.Addr, own bool) error {
	addr = addr.Unmap()
	if own || addr.IsLoopback() {
		return nil
	}
	if !addr.IsValid() || addr.IsUnspecified() || addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return &Refusal{Aim: "address " + addr.String(), Why: "it is not the address of one machine"}
	}
	m, err := newMachine()
	if err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	defer m.close()
	why, err := m.follow(addr)
	if err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	if why != "" {
		return &Refusal{Aim: "address " + addr.String(), Why: why}
	}
	return nil
}
