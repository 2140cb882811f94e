package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/xdpxe/xdpxe/bench/lab/wire"
)

const (
	portDHCPServer = 67
	portDHCPClient = 68
	portTFTP       = 69
	portBINL       = 4011
)

// maxMessage is edk2's and iPXE's option 57 (edk2 PXEBC_DHCP4_PACKET_MAX_SIZE).
const maxMessage = 1472

// option175 is iPXE's encapsulated options (bus id and a few features), as its DISCOVER has them.
var option175 = []byte{0xb1, 5, 1, 0x80, 0x86, 0x10, 0x0e, 0x13, 1, 1, 0x19, 1, 1}

// message makes a DISCOVER or REQUEST with the options of the client's style.
func (c *Client) message(mac net.HardwareAddr, kind dhcpv4.MessageType) (*dhcpv4.DHCPv4, error) {
	var xid dhcpv4.TransactionID
	rand.Read(xid[:])
	undi := "003000"
	if c.Style == IPXE {
		undi = "003010"
	}
	m, err := dhcpv4.New(
		dhcpv4.WithTransactionID(xid),
		dhcpv4.WithHwAddr(mac),
		dhcpv4.WithMessageType(kind),
		dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(maxMessage)),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionSubnetMask, dhcpv4.OptionRouter, dhcpv4.OptionVendorSpecificInformation,
			dhcpv4.OptionServerIdentifier, dhcpv4.OptionClassIdentifier, dhcpv4.OptionBootfileName),
		dhcpv4.WithOption(dhcpv4.OptClientArch(iana.Arch(c.Arch))),
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionClientNetworkInterfaceIdentifier, []byte{1, 3, 0})),
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionClientMachineIdentifier, append([]byte{0}, c.UUID[:]...))),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier(fmt.Sprintf("PXEClient:Arch:%05d:UNDI:%s", c.Arch, undi))),
	)
	if err != nil {
		return nil, fmt.Errorf("make %v: %w", kind, err)
	}
	if c.Style == EDK2 {
		m.SetBroadcast()
		return m, nil
	}
	m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionUserClassInformation, []byte("iPXE"))) // no RFC 3004 length byte
	m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(175), option175))
	m.UpdateOption(dhcpv4.OptClientIdentifier(append([]byte{1}, mac...)))
	return m, nil
}

// Discover is the DISCOVER of a client, for tests that look at single messages.
func (c *Client) Discover(mac net.HardwareAddr) (*dhcpv4.DHCPv4, error) {
	return c.message(mac, dhcpv4.MessageTypeDiscover)
}

// BootRequest is the request that a client with an address sends to a boot server on UDP 4011.
func (c *Client) BootRequest(mac net.HardwareAddr, addr netip.Addr) (*dhcpv4.DHCPv4, error) {
	m, err := c.message(mac, dhcpv4.MessageTypeRequest)
	if err != nil {
		return nil, err
	}
	m.SetUnicast()
	m.ClientIPAddr = addr.AsSlice()
	return m, nil
}

func broadcast(mac net.HardwareAddr, m *dhcpv4.DHCPv4) wire.Datagram {
	return wire.Datagram{
		SrcMAC: mac, DstMAC: wire.Broadcast,
		Src:     netip.AddrPortFrom(netip.IPv4Unspecified(), portDHCPClient),
		Dst:     netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), portDHCPServer),
		Payload: m.ToBytes(),
	}
}

// collect hands the DHCP replies to a request to use, until that says it has
// enough or wait has passed, which is no error.
func collect(ctx context.Context, port *wire.Port, request *dhcpv4.DHCPv4, wait time.Duration, use func(*dhcpv4.DHCPv4) bool) error {
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		d, err := port.Recv(limited)
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			return nil
		}
		if err != nil {
			return err
		}
		// Both edk2 (UDP port filter) and iPXE look at port 68 only, and iPXE wants source port 67.
		if d.Outgoing || d.Dst.Port() != portDHCPClient || d.Src.Port() != portDHCPServer {
			continue
		}
		if m, ok := reply(d.Payload, request); ok && use(m) {
			return nil
		}
	}
}

// reply parses an answer to request, as strictly as edk2 does: FromBytes fails
// without an END option, and options come at most once.
func reply(payload []byte, request *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, bool) {
	m, err := dhcpv4.FromBytes(payload)
	if err != nil || len(payload) > maxMessage || m.OpCode != dhcpv4.OpcodeBootReply {
		return nil, false
	}
	return m, m.TransactionID == request.TransactionID && bytes.Equal(m.ClientHWAddr, request.ClientHWAddr)
}

func isPXE(m *dhcpv4.DHCPv4) bool {
	return bytes.HasPrefix(m.GetOneOption(dhcpv4.OptionClassIdentifier), []byte("PXEClient"))
}

func known(offers []*dhcpv4.DHCPv4, m *dhcpv4.DHCPv4) bool {
	for _, o := range offers {
		if serverOf(o) == serverOf(m) {
			return true
		}
	}
	return false
}

// serverOf returns option 54, 0.0.0.0 without one.
func serverOf(m *dhcpv4.DHCPv4) netip.Addr {
	a, ok := netip.AddrFromSlice(m.ServerIdentifier().To4())
	if !ok {
		return netip.IPv4Unspecified()
	}
	return a
}
