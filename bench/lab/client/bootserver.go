package client

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// askBootServer asks the server of an offer on UDP 4011 for the boot file:
// edk2 from port 4011 at siaddr or else option 54, iPXE from port 68 at option 54.
func (c *Client) askBootServer(ctx context.Context, out *Outcome, offer *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, error) {
	server, local := serverOf(offer), uint16(portDHCPClient)
	if c.Style == EDK2 {
		local = portBINL
		if next, ok := netip.AddrFromSlice(offer.ServerIPAddr.To4()); ok && next.As4()[0] != 0 {
			server = next
		}
	}
	msg, err := c.BootRequest(out.MAC, out.Addr.Addr())
	if err != nil {
		return nil, err
	}
	if c.Style == IPXE {
		msg.UpdateOption(dhcpv4.OptServerIdentifier(offer.ServerIdentifier()))
	}
	conn, err := c.listen(netip.AddrPortFrom(out.Addr.Addr(), local))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	for _, wait := range c.tries() {
		if _, err := conn.WriteToUDPAddrPort(msg.ToBytes(), netip.AddrPortFrom(server, portBINL)); err != nil {
			return nil, fmt.Errorf("ask boot server %v: %w", server, err)
		}
		if m := c.bootReply(conn, msg, offer, time.Now().Add(wait)); m != nil {
			return m, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return nil, fmt.Errorf("boot server %v did not answer on UDP 4011", server)
}

func (c *Client) bootReply(conn *net.UDPConn, request, offer *dhcpv4.DHCPv4, until time.Time) *dhcpv4.DHCPv4 {
	if err := conn.SetReadDeadline(until); err != nil {
		return nil
	}
	buf := make([]byte, 2*maxMessage)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return nil // the deadline, or ctx closed the socket
		}
		m, ok := reply(buf[:n], request)
		if !ok || m.BootFileName == "" {
			continue
		}
		// iPXE's dhcp_proxy_rx: the source port, the same server as in the offer, and its address.
		if c.Style == IPXE && (from.Port() != portBINL || serverOf(m) != serverOf(offer) || m.ServerIPAddr.IsUnspecified()) {
			continue
		}
		return m
	}
}

// listen opens a UDP socket in the client's namespace.
func (c *Client) listen(local netip.AddrPort) (conn *net.UDPConn, err error) {
	err = c.Node.Do(func() error {
		conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(local))
		return err
	})
	return conn, err
}
