package dhcptest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// AcceptHTTP is edk2's HttpBootParseDhcp4Packet for an offer without lease: it
// returns the boot URI, whose host has to be an IP literal, since no name
// server comes with such an offer.
func (c *EDK2) AcceptHTTP(pkt []byte) (uri string, err error) {
	if _, err := c.AcceptOffer(pkt); err != nil {
		return "", err
	}
	if class := first(pkt, 60); !bytes.HasPrefix(class, []byte("HTTPClient")) {
		return "", fmt.Errorf("edk2 HTTP boot: vendor class %q", class)
	}
	uri = cstring(first(pkt, 67))
	if uri == "" {
		uri = cstring(pkt[108:236])
	}
	u, err := url.Parse(uri)
	if err != nil {
		return "", fmt.Errorf("edk2 HTTP boot: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("edk2 HTTP boot: %q is no HTTP URL", uri)
	}
	if _, err := netip.ParseAddr(u.Hostname()); err != nil {
		return "", fmt.Errorf("edk2 HTTP boot: %w", err)
	}
	return uri, nil
}

// AcceptBIOS is what ROMs of the Intel lineage need to boot from an OFFER
// without asking further: PXEClient, discovery control bit 3, and a name in the header.
func AcceptBIOS(pkt []byte) (server netip.Addr, name string, err error) {
	o, err := Classify(pkt)
	if err != nil {
		return netip.Addr{}, "", err
	}
	control := o.Vendor[6]
	switch {
	case len(control) != 1 || control[0]&8 == 0:
		return netip.Addr{}, "", errors.New("BIOS: no discovery control with bit 3")
	case pkt[240] != 53:
		return netip.Addr{}, "", errors.New("BIOS: the message type is not the first option")
	case pkt[108] == 0:
		return netip.Addr{}, "", errors.New("BIOS: no file name in the header")
	case o.Next.IsUnspecified():
		return netip.Addr{}, "", errors.New("BIOS: no next server")
	}
	return o.Next, cstring(pkt[108:236]), nil
}

// IPXE judges replies as iPXE does (net/udp/dhcp.c). MAC is the client's.
type IPXE struct {
	XID uint32
	MAC [6]byte
}

// IPXEOffer is a proxy offer, or a reply on 4011, as iPXE has understood it.
type IPXEOffer struct {
	PseudoID      netip.Addr // option 54, else siaddr, else the UDP source
	Next          netip.Addr
	File          string // header, else option 67
	AskBootServer bool   // it has no boot information of its own (dhcp_has_pxeopts)
}

func (c *IPXE) accept(pkt []byte, src netip.AddrPort) (*IPXEOffer, error) {
	switch {
	case len(pkt) < 240 || pkt[0] != 2 || binary.BigEndian.Uint32(pkt[236:]) != magic:
		return nil, errors.New("iPXE: no DHCP reply")
	case binary.BigEndian.Uint32(pkt[4:]) != c.XID:
		return nil, fmt.Errorf("iPXE: xid %x", pkt[4:8])
	case !bytes.Equal(pkt[28:34], c.MAC[:]):
		return nil, fmt.Errorf("iPXE: chaddr %x", pkt[28:34])
	}
	o := &IPXEOffer{PseudoID: src.Addr(), Next: netip.AddrFrom4([4]byte(pkt[20:24])), File: cstring(pkt[108:236])}
	if !o.Next.IsUnspecified() {
		o.PseudoID = o.Next
	}
	if id := first(pkt, 54); len(id) == 4 {
		o.PseudoID = netip.AddrFrom4([4]byte(id))
	}
	if o.File == "" {
		o.File = cstring(first(pkt, 67))
	}
	menu := vendorOptions(first(pkt, 43))[9] != nil
	o.AskBootServer = (o.Next.IsUnspecified() || o.File == "") && !menu
	return o, nil
}

// AcceptOffer takes a proxy offer (dhcp_discovery_rx).
func (c *IPXE) AcceptOffer(pkt []byte, src netip.AddrPort) (*IPXEOffer, error) {
	o, err := c.accept(pkt, src)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(string(first(pkt, 60)), "PXEClient") {
		return nil, errors.New("iPXE: no PXEClient")
	}
	return o, nil
}

// AcceptBootServer takes the answer to its request on 4011 (dhcp_proxy_rx).
func (c *IPXE) AcceptBootServer(offer *IPXEOffer, pkt []byte, src netip.AddrPort) (*IPXEOffer, error) {
	o, err := c.accept(pkt, src)
	kind := first(pkt, 53)
	switch {
	case err != nil:
		return nil, err
	case src.Port() != 4011:
		return nil, fmt.Errorf("iPXE: answer on 4011 from port %d", src.Port())
	case len(kind) != 1 || kind[0] != 2 && kind[0] != 5:
		return nil, fmt.Errorf("iPXE: message type %v on 4011", kind)
	case o.PseudoID != offer.PseudoID:
		return nil, fmt.Errorf("iPXE: server %v, offer was from %v", o.PseudoID, offer.PseudoID)
	case o.AskBootServer:
		return nil, errors.New("iPXE: no boot information on 4011")
	}
	return o, nil
}

// RelayForward is what ISC dhcrelay does with a server's reply (do_relay4): it
// returns the packet without option 82 and where it goes on the client's network.
func RelayForward(giaddr netip.Addr, reply []byte) (pkt []byte, to netip.AddrPort, err error) {
	if len(reply) < 240 || netip.AddrFrom4([4]byte(reply[24:28])) != giaddr {
		return nil, netip.AddrPort{}, errors.New("dhcrelay: bogus giaddr, dropped")
	}
	pkt = append([]byte(nil), reply[:240]...)
	if err := iterate(reply[240:], func(code byte, value []byte) {
		if code != 82 {
			pkt = append(append(pkt, code, byte(len(value))), value...)
		}
	}); err != nil {
		return nil, netip.AddrPort{}, fmt.Errorf("dhcrelay: %w", err)
	}
	pkt = append(pkt, 255)
	for len(pkt) < 300 {
		pkt = append(pkt, 0)
	}
	if binary.BigEndian.Uint16(pkt[10:])&0x8000 != 0 {
		return pkt, netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), 68), nil
	}
	return pkt, netip.AddrPortFrom(netip.AddrFrom4([4]byte(pkt[16:20])), 68), nil
}
