package main

import (
	"net/netip"
	"sync"

	"github.com/xdpxe/xdpxe/loader/netdev"
	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/dhcp"
)

// linkTable collects the networks of all ports for the server.
type linkTable struct {
	server *responder.Server
	mu     sync.Mutex
	ports  map[string]responder.Links
}

func newLinkTable(server *responder.Server) *linkTable {
	return &linkTable{server: server, ports: make(map[string]responder.Links)}
}

// set replaces the networks of one port; nil removes them.
func (t *linkTable) set(port string, links responder.Links) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ports[port] = links
	all := make(responder.Links)
	for _, links := range t.ports {
		for key, link := range links {
			all[key] = link
		}
	}
	t.server.SetLinks(all)
}

// linksOf returns the networks of a port, of the VLAN devices on it, and of
// the bridge that it is a port of (0 without one): there the addresses are the
// bridge's, and so are the sockets. address, if valid, is the boot server's address in all replies (`address:`),
// also on VLANs that the port has no device for.
func linksOf(f *netdev.Facts, bridge int, address netip.Addr) responder.Links {
	links := make(responder.Links)
	port := responder.LinkKey{Port: f.Index}
	addLinks(links, port, dhcp.Link{Name: f.Name, IfIndex: f.Index, MAC: f.MAC}, f.Addrs, address)
	if bridge != 0 {
		dev := dhcp.Link{Name: f.Bridge, IfIndex: bridge, MAC: f.BridgeMAC}
		addLinks(links, responder.LinkKey{Port: bridge}, dev, f.BridgeAddrs, address)
		if len(f.Addrs) == 0 {
			addLinks(links, port, dev, f.BridgeAddrs, address)
		}
	}
	for _, v := range f.VLANs {
		dev := dhcp.Link{Name: v.Name, IfIndex: v.Index, MAC: v.MAC}
		tagged := port
		copy(tagged.VIDs[:], v.VIDs)
		addLinks(links, tagged, dev, v.Addrs, address)
		// A socket on the VLAN device sees its frames without the tag.
		addLinks(links, responder.LinkKey{Port: v.Index}, dev, v.Addrs, address)
	}
	if address.IsValid() {
		port.VIDs = [2]uint16{responder.AnyVLAN, responder.AnyVLAN}
		links[port] = &dhcp.Link{Name: f.Name, IfIndex: f.Index, MAC: f.MAC, Addr: address}
	}
	return links
}

// addLinks adds one network: it is answered with the configured address, else
// with the one that was asked, else with the first.
func addLinks(links responder.Links, key responder.LinkKey, link dhcp.Link, addrs []netdev.Addr, address netip.Addr) {
	for _, a := range addrs {
		link.Prefixes = append(link.Prefixes, netip.PrefixFrom(a.IP, a.Prefix.Bits()))
	}
	if address.IsValid() {
		link.Addr = address
		links[key] = &link
		return
	}
	for i, a := range addrs {
		one := link
		one.Addr = a.IP
		if i > 0 {
			key.To = a.IP
		}
		links[key] = &one
	}
}
