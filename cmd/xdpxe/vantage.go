package main

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/xdpxe/xdpxe/responder/config"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// exampleAddr stands for a boot server address that nothing tells (RFC 5737).
var exampleAddr = netip.AddrFrom4([4]byte{192, 0, 2, 1})

// vantage is where explain takes the boot server to be. Explaining happens
// elsewhere and later as well: what the configuration and the host do not say
// is taken from the capture.
type vantage struct {
	given    netip.Addr     // by flag or `address:`; holds for all requests
	own      netip.Addr     // of the interface, if this host has it
	prefixes []netip.Prefix // of the interface
	learned  netip.Addr     // first unicast destination seen
	guessed  bool           // exampleAddr was used
}

// newVantage takes the address of a flag, if valid, before the configuration's
// and that before the interface's.
func newVantage(cfg *config.Config, flag netip.Addr) *vantage {
	v := &vantage{given: cfg.Address}
	if flag.IsValid() {
		v.given = flag
	}
	if len(cfg.Interfaces) > 0 {
		v.read(cfg.Interfaces[0])
	}
	return v
}

// read takes the addresses of an interface of this host; another has none.
func (v *vantage) read(name string) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return
	}
	addrs, err := ifi.Addrs()
	if err != nil {
		return
	}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || !p.Addr().Is4() {
			continue
		}
		if !v.own.IsValid() {
			v.own = p.Addr()
		}
		v.prefixes = append(v.prefixes, p)
	}
}

// learn notes the destination of a request, before any is explained.
func (v *vantage) learn(frame []byte) {
	var p packet.Packet
	if v.learned.IsValid() || packet.Parse(frame, &p) != packet.Answered {
		return
	}
	_, isReply := dhcp.InspectReply(p.Payload)
	if port := p.Dst.Port(); !isReply && unicast(p.Dst.Addr()) && (port == packet.PortDHCPServer || port == packet.PortBINL) {
		v.learned = p.Dst.Addr()
	}
}

// addr is the boot server's address for requests that name none.
func (v *vantage) addr() netip.Addr {
	for _, a := range []netip.Addr{v.given, v.own, v.learned} {
		if a.IsValid() {
			return a
		}
	}
	v.guessed = true
	return exampleAddr
}

// link is the network that a request is taken to arrive on.
func (v *vantage) link(in *packet.Packet) *dhcp.Link {
	l := &dhcp.Link{MAC: in.DstMAC, Prefixes: v.prefixes}
	if l.MAC[0]&1 != 0 {
		l.MAC = [6]byte{2}
	}
	if a := in.Dst.Addr(); unicast(a) && !v.given.IsValid() {
		l.Addr = a
	} else {
		l.Addr = v.addr()
	}
	return l
}

// note says when an answer depends on an assumption about the host.
func (v *vantage) note(in *packet.Packet) string {
	if a := in.Dst.Addr(); v.given.IsValid() && unicast(a) && a != v.given {
		return fmt.Sprintf("sent to %v: taken only if that is an address of the interface", a)
	}
	return ""
}

func unicast(a netip.Addr) bool {
	return a.Is4() && !a.IsMulticast() && a.As4()[3] != 255 && !a.IsUnspecified()
}
