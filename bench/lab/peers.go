package lab

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// Lines gets the lines of a process's output as they come.
type Lines = func(at time.Time, line string)

// StartDHCP starts dnsmasq as a plain DHCP server for the clients' network: it
// hands out addresses and knows nothing of network boot. It returns when the
// server is ready.
func (r *Rack) StartDHCP(ctx context.Context, on *Node, lines Lines) (*Process, error) {
	args := r.dnsmasq(on)
	args = append(args, fmt.Sprintf("--dhcp-range=%s,%s,%s,10m",
		host(r.Access.Net, hostPool), host(r.Access.Net, hostLast), "255.255.255.0"))
	if router := r.ClientRouter(); router.IsValid() {
		args = append(args, "--dhcp-option=3,"+router.String())
	} else {
		args = append(args, "--dhcp-option=3") // none
	}
	p, err := startReady(ctx, on, Command{Name: "dnsmasq (DHCP) on " + on.Role, Args: args, Lines: lines}, "DHCP, IP range")
	if err == nil && r.DHCPServer == nil {
		r.DHCPServer = p
	}
	return p, err
}

// StartDNSMasqBoot starts dnsmasq as a ProxyDHCP and TFTP server, to compare with.
func (r *Rack) StartDNSMasqBoot(ctx context.Context, on *Node, root string, lines Lines) (*Process, error) {
	args := append(r.dnsmasq(on),
		fmt.Sprintf("--dhcp-range=%s,proxy,255.255.255.0", r.Access.Net.Addr()),
		"--enable-tftp", "--tftp-root="+root,
		"--dhcp-userclass=set:ipxe,iPXE",
		"--dhcp-boot=tag:ipxe,"+Script+",,"+on.Addr.String(),
		"--dhcp-boot=tag:!ipxe,"+BIOSProgram+",,"+on.Addr.String(),
		"--pxe-service=tag:!ipxe,X86-64_EFI,boot,"+UEFIProgram,
		"--pxe-service=tag:!ipxe,BC_EFI,boot,"+UEFIProgram,
	)
	return startReady(ctx, on, Command{Name: "dnsmasq (boot)", Args: args, Lines: lines}, "TFTP root")
}

// dnsmasq returns the arguments that every instance has: nothing from the
// machine's own configuration, no DNS, everything logged to us.
func (r *Rack) dnsmasq(on *Node) []string {
	return []string{"dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-", "--log-dhcp",
		"--port=0", "--user=root", "--no-ping", "--interface=" + Iface, "--pid-file=",
		"--dhcp-leasefile=/dev/null", "--leasefile-ro"}
}

// StartRelay starts ISC dhcrelay on the router, with the given servers as helpers.
func (r *Rack) StartRelay(ctx context.Context, servers []netip.Addr, lines Lines) (*Process, error) {
	args := []string{"dhcrelay", "-4", "-d", "--no-pid", "-i", "eth0", "-i", "eth1"}
	for _, s := range servers {
		args = append(args, s.String())
	}
	return startReady(ctx, &Node{Namespace: r.Router}, Command{Name: "dhcrelay", Args: args, Lines: lines}, "Sending on   Socket/fallback")
}

// routerV6 is the router of the clients' network in its advertisements (RFC 3849 documentation prefix).
const routerV6 = "2001:db8:1::1/64"

// advertiseIPv6 has a router advertise an IPv6 prefix to the clients, as in
// most networks. iPXE's ifconf waits for IPv6 as well as for DHCP, and without
// a router for 15 s in vain.
func (r *Rack) advertiseIPv6(ctx context.Context) error {
	on := &Node{Namespace: r.Router}
	if r.Topology == Flat {
		on = r.DHCP
	}
	if err := on.IP("addr", "add", routerV6, "dev", Iface, "nodad"); err != nil {
		return err
	}
	args := append(r.dnsmasq(on), "--enable-ra", "--dhcp-range=2001:db8:1::,ra-only")
	_, err := startReady(ctx, on, Command{Name: "dnsmasq (RA)", Args: args}, "router advertisement on")
	return err
}

// startReady starts a process and waits for the line that says that it serves.
func startReady(ctx context.Context, on *Node, c Command, ready string) (*Process, error) {
	p, err := on.Start(c)
	if err != nil {
		return nil, err
	}
	if _, err := p.Log.Wait(ctx, ready); err != nil {
		return nil, fmt.Errorf("lab: start %s: %w", c.Name, err)
	}
	return p, nil
}
