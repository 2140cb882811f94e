package lab

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
)

// Topology is how clients and servers of a Rack are connected.
type Topology uint8

const (
	Flat    Topology = iota // one network for all
	Relayed                 // a router with a DHCP relay between them
)

func (t Topology) String() string {
	if t == Relayed {
		return "relayed"
	}
	return "flat"
}

// Addresses of the two topologies (RFC 5737 documentation networks).
var (
	flatNet    = netip.MustParsePrefix("192.0.2.0/24")
	clientNet  = netip.MustParsePrefix("198.51.100.0/24")
	serverNet  = netip.MustParsePrefix("203.0.113.0/24")
	hostRouter = 1
	hostDHCP   = 2
	hostBoot   = 10 // the first boot server
	hostPool   = 100
	hostLast   = 200
)

// Rack is a Lab with a network for clients and one for servers.
type Rack struct {
	*Lab
	Topology Topology
	Access   *Switch // where clients are plugged in
	Servers  *Switch // where servers are: Access itself when flat
	DHCP     *Node   // the place of the plain DHCP server; nothing runs there before StartDHCP
	Router   *Namespace
	// DHCPServer is the process that StartDHCP started first; nil before.
	DHCPServer *Process

	boots int // boot server nodes so far
}

// Switch is a namespace with a bridge.
type Switch struct {
	*Namespace
	Net   netip.Prefix
	ports int
}

// Node is a namespace with one interface, eth0, on a switch.
type Node struct {
	*Namespace
	Addr   netip.Addr // invalid: none yet
	Switch *Switch
	Port   string // the other end of Iface, in the switch's namespace
}

// Iface is the interface of every Node.
const Iface = "eth0"

const bridgeName = "br0"

// NewRack lays the network: switch or switches, router, and a node for the DHCP server.
func (l *Lab) NewRack(ctx context.Context, t Topology) (*Rack, error) {
	r := &Rack{Lab: l, Topology: t}
	lay := r.layFlat
	if t == Relayed {
		lay = r.layRelayed
	}
	if err := lay(); err != nil {
		return nil, err
	}
	var err error
	if r.DHCP, err = r.addNode(r.Servers, "dhcp", host(r.Servers.Net, hostDHCP)); err != nil {
		return nil, err
	}
	return r, r.advertiseIPv6(ctx)
}

func (r *Rack) layFlat() (err error) {
	r.Access, err = r.newSwitch("switch", flatNet)
	r.Servers = r.Access
	return err
}

func (r *Rack) layRelayed() (err error) {
	if r.Access, err = r.newSwitch("access", clientNet); err != nil {
		return err
	}
	if r.Servers, err = r.newSwitch("servers", serverNet); err != nil {
		return err
	}
	if r.Router, err = r.Namespace("router"); err != nil {
		return err
	}
	if _, err := r.Access.plug(r.Router, "eth0", host(clientNet, hostRouter)); err != nil {
		return err
	}
	if _, err := r.Servers.plug(r.Router, "eth1", host(serverNet, hostRouter)); err != nil {
		return err
	}
	return r.Router.Sysctl("net/ipv4/ip_forward", "1")
}

func (r *Rack) newSwitch(role string, net netip.Prefix) (*Switch, error) {
	ns, err := r.Namespace(role)
	if err != nil {
		return nil, err
	}
	return &Switch{Namespace: ns, Net: net}, ns.Bridge(bridgeName)
}

// plug connects an interface of a namespace to the switch, gives it an
// address if that is valid, and returns the switch's port.
func (s *Switch) plug(ns *Namespace, ifname string, addr netip.Addr) (port string, err error) {
	s.ports++
	port = "port" + strconv.Itoa(s.ports)
	if err := ns.Veth(ifname, s.Namespace, port); err != nil {
		return "", err
	}
	if err := s.IP("link", "set", port, "master", bridgeName); err != nil {
		return "", err
	}
	if !addr.IsValid() {
		return port, nil
	}
	return port, ns.IP("addr", "add", netip.PrefixFrom(addr, s.Net.Bits()).String(), "brd", "+", "dev", ifname)
}

// Tap makes an interface for a virtual machine, which has to run in the
// switch's namespace, and returns its name.
func (s *Switch) Tap() (string, error) {
	s.ports++
	tap := "tap" + strconv.Itoa(s.ports)
	if err := s.IP("tuntap", "add", tap, "mode", "tap"); err != nil {
		return "", err
	}
	return tap, s.IP("link", "set", tap, "master", bridgeName, "up")
}

func (r *Rack) addNode(s *Switch, role string, addr netip.Addr) (*Node, error) {
	ns, err := r.Namespace(role)
	if err != nil {
		return nil, err
	}
	port, err := s.plug(ns, Iface, addr)
	if err != nil {
		return nil, err
	}
	n := &Node{Namespace: ns, Addr: addr, Switch: s, Port: port}
	if r.Topology == Relayed && addr.IsValid() {
		return n, ns.IP("route", "add", "default", "via", host(s.Net, hostRouter).String())
	}
	return n, nil
}

// AddBootServer makes the next node for a boot server: .10, .11, ….
func (r *Rack) AddBootServer() (*Node, error) {
	i := r.boots
	r.boots++
	return r.addNode(r.Servers, fmt.Sprintf("boot%d", i), host(r.Servers.Net, hostBoot+i))
}

// AddClient makes a node without an address on the clients' network.
func (r *Rack) AddClient(role string) (*Node, error) {
	return r.addNode(r.Access, role, netip.Addr{})
}

// ClientRouter is the default router of the clients; invalid when flat.
func (r *Rack) ClientRouter() netip.Addr {
	if r.Topology == Flat {
		return netip.Addr{}
	}
	return host(clientNet, hostRouter)
}

// host returns the n-th address of an IPv4 /24.
func host(p netip.Prefix, n int) netip.Addr {
	a := p.Addr().As4()
	a[3] = byte(n)
	return netip.AddrFrom4(a)
}
