package dhcp_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// judge applies to a reply all that holds for every reply: statements A8, A9,
// A10, A11, A12, A36, C3, C4, D2, E3 and E4, and table 3 of RFC 2131.
func judge(request []byte, in, out *packet.Packet, link *dhcp.Link) (*dhcpv4.DHCPv4, error) {
	b := out.Payload
	edk2 := dhcptest.EDK2{XID: binary.BigEndian.Uint32(request[4:]), CHAddr: [16]byte(request[28:44])}
	if err := edk2.Accept(b); err != nil {
		return nil, err
	}
	p, err := dhcpv4.FromBytes(b)
	if err != nil {
		return nil, fmt.Errorf("insomniacslk/dhcp: %w", err)
	}
	if err := judgeOptions(b, p, maxSize(request)); err != nil {
		return nil, err
	}
	bootServer := in.Dst.Port() == 4011
	flags := binary.BigEndian.Uint16(request[10:])
	relayed := !bootServer && !bytes.Equal(request[24:28], make([]byte, 4))
	if relayed {
		flags |= 0x8000
	}
	ciaddr := make([]byte, 4)
	kind := dhcpv4.MessageTypeOffer
	if bootServer {
		copy(ciaddr, request[12:16])
		kind = dhcpv4.MessageTypeAck
	}
	switch {
	case p.MessageType() != kind:
		return nil, fmt.Errorf("message type %v", p.MessageType())
	case b[0] != 2 || b[1] != request[1] || b[2] != request[2] || b[3] != 0:
		return nil, fmt.Errorf("op, htype, hlen, hops are %x", b[:4])
	case b[8] != 0 || b[9] != 0 || binary.BigEndian.Uint16(b[10:]) != flags:
		return nil, fmt.Errorf("secs, flags are %x", b[8:12])
	case !bytes.Equal(b[12:16], ciaddr) || !p.YourIPAddr.Equal(zero.AsSlice()):
		return nil, fmt.Errorf("ciaddr, yiaddr are %x", b[12:20])
	case !bytes.Equal(b[20:24], link.Addr.AsSlice()) || !p.ServerIdentifier().Equal(link.Addr.AsSlice()):
		return nil, fmt.Errorf("siaddr %v, server identifier %v", p.ServerIPAddr, p.ServerIdentifier())
	case !bytes.Equal(b[24:44], request[24:44]):
		return nil, fmt.Errorf("giaddr, chaddr are %x", b[24:44])
	case !bytes.Equal(b[44:108], make([]byte, 64)) || b[235] != 0:
		return nil, errors.New("sname is used, or file is not NUL-terminated")
	}
	m := &out.Meta
	port := uint16(67)
	if bootServer {
		port = 4011
	}
	switch {
	case m.Src != netip.AddrPortFrom(link.Addr, port):
		return nil, fmt.Errorf("leaves from %v", m.Src)
	case m.IfIndex != in.IfIndex || m.VLANs != in.VLANs || m.NumVLANs != in.NumVLANs || m.SrcMAC != link.MAC:
		return nil, fmt.Errorf("leaves by %d %v %x", m.IfIndex, m.VLANs, m.SrcMAC)
	case bootServer && m.Dst != in.Src:
		return nil, fmt.Errorf("goes to %v, request was from %v", m.Dst, in.Src)
	case (bootServer || relayed) && (m.DstMAC != in.SrcMAC || m.Dst.Addr() == bcast):
		return nil, fmt.Errorf("goes to %v at %x, request was from %x", m.Dst, m.DstMAC, in.SrcMAC)
	}
	return p, nil
}

// judgeOptions judges the options of a reply.
func judgeOptions(b []byte, p *dhcpv4.DHCPv4, limit int) error {
	if len(b) < 300 || len(b) > limit {
		return fmt.Errorf("%d bytes, want 300 to %d", len(b), limit)
	}
	seen := make(map[byte]bool)
	last := byte(0)
	i := 240
	for b[i] != 255 {
		if b[i] == 0 || seen[b[i]] {
			return fmt.Errorf("option %d is repeated, or pad stands between options", b[i])
		}
		last = b[i]
		seen[last] = true
		i += 2 + int(b[i+1])
	}
	if n := bytes.Count(b[i+1:], []byte{0}); n != len(b)-i-1 {
		return errors.New("padding is not zero")
	}
	for _, code := range []byte{52, 51, 58, 59, 1, 3, 6, 13, 50, 12, 15, 66} {
		if seen[code] {
			return fmt.Errorf("option %d is none of ours", code)
		}
	}
	if seen[82] && last != 82 {
		return fmt.Errorf("option 82 stands before %d", last)
	}
	if name := p.Options[67]; seen[67] && (len(name) == 0 || name[len(name)-1] != 0 || p.BootFileName != "") {
		return fmt.Errorf("option 67 is %q, header file %q", name, p.BootFileName)
	}
	if p.BootFileName == "" && !seen[67] {
		return errors.New("no boot file")
	}
	class := string(p.Options[60])
	if class != "PXEClient" && class != "HTTPClient" {
		return fmt.Errorf("vendor class %q", class)
	}
	if vendor, ok := p.Options[43]; ok && string(vendor) != "\x06\x01\x08\x0a\x04\x00PXE\xff" {
		return fmt.Errorf("option 43 is %x", vendor)
	}
	return nil
}

// maxSize is the longest reply to a request (statement A10), by insomniacslk's reading of it.
func maxSize(request []byte) int {
	switch p, err := dhcpv4.FromBytes(request); {
	case err != nil || len(p.Options[52]) > 0:
		return 1472 // no END, or overload, which it does not read
	case len(p.Options[57]) == 2:
		return min(max(int(binary.BigEndian.Uint16(p.Options[57]))-28, 548), 1472)
	}
	return 548
}
