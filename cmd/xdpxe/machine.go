package main

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// machine describes a client on the command line.
type machine struct {
	mac, arch, uuid        string
	subnet, relay          string
	vendorClass, userClass string
	circuitID, remoteID    string
}

// pxeClient is a machine whose texts have been understood: what its requests are made of.
type pxeClient struct {
	mac                    []byte
	arch                   policy.Arch
	uuid                   []byte // 16 bytes, or nil
	vendorClass, userClass string
	relay                  netip.Addr // invalid: on the server's network
	subnet                 netip.Addr // an address of the client's network; invalid: the server's
	circuitID, remoteID    []byte
}

// client checks the flags.
func (m *machine) client() (*pxeClient, error) {
	bad := func(flag string, err error) error { return userError(fmt.Errorf("--%s: %w", flag, err), "") }
	c := &pxeClient{vendorClass: m.vendorClass, userClass: m.userClass}
	var err error
	if c.mac, err = net.ParseMAC(m.mac); err != nil || len(c.mac) > 16 {
		return nil, bad("mac", fmt.Errorf("%q is no hardware address", m.mac))
	}
	if c.arch, err = policy.ParseArch(m.arch); err != nil {
		return nil, bad("arch", err)
	}
	if m.uuid != "" {
		c.uuid, err = hex.DecodeString(strings.ReplaceAll(strings.Trim(m.uuid, "{}"), "-", ""))
		if err != nil || len(c.uuid) != 16 {
			return nil, bad("uuid", fmt.Errorf("%q is not 32 hexadecimal digits", m.uuid))
		}
	}
	if m.relay != "" {
		if c.relay, err = netip.ParseAddr(m.relay); err != nil || !c.relay.Is4() {
			return nil, bad("relay", fmt.Errorf("%q is no IPv4 address", m.relay))
		}
	}
	if m.subnet != "" {
		if c.subnet, err = hostOf(m.subnet); err != nil {
			return nil, bad("subnet", err)
		}
	}
	if c.circuitID, err = relayBytes(m.circuitID); err != nil {
		return nil, bad("circuit-id", err)
	}
	if c.remoteID, err = relayBytes(m.remoteID); err != nil {
		return nil, bad("remote-id", err)
	}
	for flag, text := range map[string]string{"vendor-class": c.vendorClass, "user-class": c.userClass} {
		if len(text) > 255 {
			return nil, bad(flag, errors.New("longer than 255 bytes"))
		}
	}
	if c.vendorClass == "" {
		c.vendorClass = c.usualClass()
	}
	return c, nil
}

// usualClass is option 60 as firmware of that architecture sends it (PXE 2.1 table 2-1, UEFI 2.10 §24.7).
func (c *pxeClient) usualClass() string {
	family := "PXEClient"
	if c.arch.HTTP() {
		family = "HTTPClient"
	}
	return fmt.Sprintf("%s:Arch:%05d:UNDI:003016", family, uint16(c.arch))
}

// hostOf returns an address in a network given as address or prefix.
func hostOf(text string) (netip.Addr, error) {
	if p, err := netip.ParsePrefix(text); err == nil && p.Addr().Is4() {
		if a := p.Addr(); a != p.Masked().Addr() || p.Bits() > 30 {
			return a, nil
		}
		return p.Addr().Next(), nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() {
		return netip.Addr{}, fmt.Errorf("%q is no IPv4 network or address", text)
	}
	return a, nil
}

// relayBytes reads a circuit or remote id: text, or 0x and hexadecimal digits, as in rules.
func relayBytes(text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	b := []byte(text)
	if digits, ok := strings.CutPrefix(text, "0x"); ok {
		var err error
		if b, err = hex.DecodeString(digits); err != nil {
			return nil, fmt.Errorf("%q is not hexadecimal", text)
		}
	}
	if len(b) > 120 {
		return nil, errors.New("longer than 120 bytes")
	}
	return b, nil
}

// relayed says by whom: a client of another network can only reach us so.
func (c *pxeClient) relayed(server *vantage) netip.Addr {
	if c.relay.IsValid() || !c.subnet.IsValid() {
		return c.relay
	}
	for _, p := range server.prefixes {
		if p.Contains(c.subnet) {
			return netip.Addr{}
		}
	}
	return c.subnet
}

// discover builds the client's DISCOVER.
func (c *pxeClient) discover(server *vantage) []byte {
	relay := c.relayed(server)
	m := packet.Meta{
		SrcMAC: macOf(c.mac), DstMAC: [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		Src: netip.AddrPortFrom(netip.AddrFrom4([4]byte{}), packet.PortDHCPClient),
		Dst: netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), packet.PortDHCPServer),
	}
	if relay.IsValid() {
		m.SrcMAC, m.DstMAC = [6]byte{2, 0, 0, 0, 0, 1}, [6]byte{2}
		m.Src = netip.AddrPortFrom(relay, packet.PortDHCPServer)
		m.Dst = netip.AddrPortFrom(server.addr(), packet.PortDHCPServer)
	}
	return frameOf(&m, c.message(1, relay, netip.Addr{}))
}

// ask builds the client's request for its boot file, on UDP 4011 (edk2 PxeBcRetryBinlOffer).
func (c *pxeClient) ask(server *vantage) []byte {
	from := server.addr().Next()
	if c.subnet.IsValid() {
		from = c.subnet.Next()
	} else if c.relay.IsValid() {
		from = c.relay.Next()
	}
	m := packet.Meta{
		SrcMAC: macOf(c.mac), DstMAC: [6]byte{2},
		Src: netip.AddrPortFrom(from, packet.PortBINL), Dst: netip.AddrPortFrom(server.addr(), packet.PortBINL),
	}
	return frameOf(&m, c.message(3, netip.Addr{}, from))
}

// message is a DHCP request with the options of PXE firmware.
func (c *pxeClient) message(kind byte, relay, own netip.Addr) []byte {
	b := make([]byte, 240, 600)
	b[0], b[1], b[2] = 1, 1, byte(len(c.mac))
	binary.BigEndian.PutUint32(b[4:], 0x70786531)
	if own.IsValid() {
		copy(b[12:], own.AsSlice())
	}
	if relay.IsValid() {
		copy(b[24:], relay.AsSlice())
	} else if kind == 1 {
		b[10] = 0x80
	}
	copy(b[28:44], c.mac)
	binary.BigEndian.PutUint32(b[236:], 0x63825363)
	add := func(code byte, data ...byte) {
		if len(data) > 0 {
			b = append(append(b, code, byte(len(data))), data...)
		}
	}
	add(53, kind)
	add(57, 0x05, 0xc0) // 1472, as edk2 and iPXE say
	if c.uuid != nil {
		add(97, append([]byte{0}, c.uuid...)...)
	}
	add(93, byte(c.arch>>8), byte(c.arch))
	add(94, 1, 3, 16)
	add(60, []byte(c.vendorClass)...)
	add(77, []byte(c.userClass)...)
	if kind == 1 {
		add(82, c.relayInfo(relay)...)
	}
	return append(b, 255)
}

// relayInfo is option 82: what the relay says of the client's port, and of its
// network where giaddr does not (RFC 3527).
func (c *pxeClient) relayInfo(relay netip.Addr) (info []byte) {
	add := func(code byte, data []byte) {
		if data != nil {
			info = append(append(info, code, byte(len(data))), data...)
		}
	}
	add(1, c.circuitID)
	add(2, c.remoteID)
	if c.subnet.IsValid() && relay.IsValid() && relay != c.subnet {
		add(5, c.subnet.AsSlice())
	}
	return info
}

func frameOf(m *packet.Meta, payload []byte) []byte {
	frame := make([]byte, packet.MaxHeader+len(payload))
	copy(frame[packet.HeaderLen(m):], payload)
	return frame[:packet.Build(frame, m, len(payload))]
}

// macOf is an Ethernet source for a hardware address that may be longer.
func macOf(hw []byte) (mac [6]byte) {
	copy(mac[:], hw)
	mac[0] &^= 1
	return mac
}
