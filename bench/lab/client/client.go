// Package client simulates machines that boot from the network, in a namespace
// of the lab: edk2's and iPXE's way through DHCP, UDP 4011 and TFTP, with
// their acceptance rules as far as a server can break them, and with shorter
// timers.
package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/wire"
)

// Style is whose behaviour a Client has.
type Style uint8

const (
	EDK2 Style = iota // UEFI firmware: broadcast flag, always asks 4011, probes a file before it reads it
	IPXE              // user class iPXE: unicast replies, 4011 only if the offer had no boot file
)

func (s Style) String() string {
	if s == IPXE {
		return "iPXE"
	}
	return "edk2"
}

// ErrNoBootServer is wrapped by Boot when a DHCP server answered but no boot server did.
var ErrNoBootServer = errors.New("no boot server answered")

// ErrNoDHCP is wrapped by Boot when nobody offered an address.
var ErrNoDHCP = errors.New("no DHCP server answered")

// Client is a machine. It boots once at a time.
type Client struct {
	Node  *lab.Node
	Style Style
	Arch  uint16 // option 93; 7 is x64 UEFI
	UUID  [16]byte
	// Tries are the waits for answers after each DISCOVER and each request on
	// 4011. Default: 1, 2 and 3 s; edk2 has 4 to 32 s for the first.
	Tries []time.Duration
	// Received, if not nil, is called with how much of a file has come, before
	// that is acknowledged. Last: it is all.
	Received func(bytes int, last bool)
}

// Outcome is what a boot came to. After an error it holds what was reached.
type Outcome struct {
	MAC        net.HardwareAddr
	Addr       netip.Prefix // the lease
	DHCPServer netip.Addr   // option 54 of the lease
	Offers     []netip.Addr // boot servers that offered themselves, in order
	BootServer netip.Addr   // where the file came from
	File       string       // its name
	Size       int          // in bytes
	SHA256     [sha256.Size]byte
	Asked4011  bool
	Took       time.Duration // from the first DISCOVER to the last byte
}

// Boot goes from power-on to the downloaded boot file.
func (c *Client) Boot(ctx context.Context) (*Outcome, error) {
	start := time.Now()
	out := &Outcome{}
	err := c.boot(ctx, out)
	out.Took = time.Since(start)
	if err != nil {
		return out, fmt.Errorf("client %s (%v): %w", c.Node.Role, c.Style, err)
	}
	return out, nil
}

func (c *Client) boot(ctx context.Context, out *Outcome) error {
	port, err := wire.Open(c.Node.Namespace, lab.Iface)
	if err != nil {
		return err
	}
	defer port.Close()
	out.MAC = port.MAC

	address, boots, err := c.discover(ctx, port)
	for _, b := range boots {
		out.Offers = append(out.Offers, serverOf(b))
	}
	if err != nil {
		return err
	}
	lease, err := c.request(ctx, port, address)
	if err != nil {
		return err
	}
	out.DHCPServer = serverOf(lease)
	if out.Addr, err = c.configure(lease); err != nil {
		return err
	}
	info, err := c.bootInfo(ctx, out, boots)
	if err != nil {
		return err
	}
	out.BootServer, _ = netip.AddrFromSlice(info.ServerIPAddr.To4())
	out.File = info.BootFileName
	data, err := c.download(ctx, out.BootServer, out.File)
	out.Size, out.SHA256 = len(data), sha256.Sum256(data)
	return err
}

func (c *Client) tries() []time.Duration {
	if c.Tries != nil {
		return c.Tries
	}
	return []time.Duration{time.Second, 2 * time.Second, 3 * time.Second}
}

// discover returns the first offer of an address and all offers of boot servers that had come by then.
func (c *Client) discover(ctx context.Context, port *wire.Port) (address *dhcpv4.DHCPv4, boots []*dhcpv4.DHCPv4, err error) {
	msg, err := c.message(port.MAC, dhcpv4.MessageTypeDiscover)
	if err != nil {
		return nil, nil, err
	}
	for _, wait := range c.tries() {
		if err := port.Send(broadcast(port.MAC, msg)); err != nil {
			return nil, nil, err
		}
		err := collect(ctx, port, msg, wait, func(m *dhcpv4.DHCPv4) bool {
			switch {
			case m.MessageType() != dhcpv4.MessageTypeOffer || serverOf(m).IsUnspecified():
			case !m.YourIPAddr.IsUnspecified():
				address = m
			case isPXE(m) && !known(boots, m):
				boots = append(boots, m)
			}
			return address != nil && len(boots) > 0
		})
		if err != nil {
			return nil, nil, err
		}
		if address != nil && len(boots) > 0 {
			return address, boots, nil
		}
	}
	if address == nil {
		return nil, boots, ErrNoDHCP
	}
	return address, boots, ErrNoBootServer
}

// request takes the lease.
func (c *Client) request(ctx context.Context, port *wire.Port, offer *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, error) {
	msg, err := c.message(port.MAC, dhcpv4.MessageTypeRequest)
	if err != nil {
		return nil, err
	}
	msg.TransactionID = offer.TransactionID
	msg.UpdateOption(dhcpv4.OptServerIdentifier(offer.ServerIdentifier()))
	msg.UpdateOption(dhcpv4.OptRequestedIPAddress(offer.YourIPAddr))
	var lease *dhcpv4.DHCPv4
	for _, wait := range c.tries() {
		if err := port.Send(broadcast(port.MAC, msg)); err != nil {
			return nil, err
		}
		err := collect(ctx, port, msg, wait, func(m *dhcpv4.DHCPv4) bool {
			if m.MessageType() == dhcpv4.MessageTypeAck && serverOf(m) == serverOf(offer) {
				lease = m
			}
			return lease != nil
		})
		if err != nil || lease != nil {
			return lease, err
		}
	}
	return nil, fmt.Errorf("server %v offered %v but did not acknowledge it", serverOf(offer), offer.YourIPAddr)
}

// configure gives the interface the leased address and router.
func (c *Client) configure(lease *dhcpv4.DHCPv4) (netip.Prefix, error) {
	addr, _ := netip.AddrFromSlice(lease.YourIPAddr.To4())
	bits, _ := lease.SubnetMask().Size()
	prefix := netip.PrefixFrom(addr, bits)
	if err := c.Node.IP("addr", "replace", prefix.String(), "dev", lab.Iface); err != nil {
		return prefix, err
	}
	if routers := lease.Router(); len(routers) > 0 {
		return prefix, c.Node.IP("route", "replace", "default", "via", routers[0].String())
	}
	return prefix, nil
}

// bootInfo returns the message that names the boot file: the offer's or, from
// UDP 4011, the boot server's own. edk2 tries every server that offered (PxeBcDhcp4.c, PxeBcRetryBinlOffer).
func (c *Client) bootInfo(ctx context.Context, out *Outcome, boots []*dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, error) {
	var errs []error
	for _, offer := range boots {
		// iPXE: dhcp_has_pxeopts. edk2: an offer with option 43 is complete, one without ("BINL") never is.
		complete := offer.BootFileName != "" && !offer.ServerIPAddr.IsUnspecified()
		if c.Style == EDK2 {
			complete = complete && offer.Options.Has(dhcpv4.OptionVendorSpecificInformation)
		}
		if complete {
			return offer, nil
		}
		out.Asked4011 = true
		info, err := c.askBootServer(ctx, out, offer)
		if err == nil {
			return info, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}
