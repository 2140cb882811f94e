package dhcptest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// EDK2 judges replies as edk2's DHCP driver does before its PXE driver sees
// them. XID and CHAddr are those of the request.
type EDK2 struct {
	XID    uint32
	CHAddr [16]byte
}

// maxEDK2 is the longest packet that edk2's PXE driver caches (PXEBC_DHCP4_PACKET_MAX_SIZE).
const maxEDK2 = 1472

// parameters that the DHCP driver keeps of a packet (DHCP_PARAMETER).
type parametersSeen struct {
	kind     byte // 0: none
	serverID netip.Addr
}

// Accept applies the checks that every packet has to pass (Dhcp4Io.c
// DhcpInput, Dhcp4Impl.c PxeDhcpInput).
func (c *EDK2) Accept(pkt []byte) error {
	_, err := c.accept(pkt)
	return err
}

func (c *EDK2) accept(pkt []byte) (parametersSeen, error) {
	var p parametersSeen
	switch {
	case len(pkt) < 236:
		return p, fmt.Errorf("edk2: %d bytes are less than a BOOTP header", len(pkt))
	case pkt[0] != 2:
		return p, fmt.Errorf("edk2: op is %d", pkt[0])
	case binary.BigEndian.Uint32(pkt[4:]) != c.XID:
		return p, fmt.Errorf("edk2: xid is %x, want %x", pkt[4:8], c.XID)
	case pkt[2] > 16 || !bytes.Equal(pkt[28:28+pkt[2]], c.CHAddr[:pkt[2]]):
		return p, fmt.Errorf("edk2: chaddr is %x, want %x", pkt[28:44], c.CHAddr)
	}
	if len(pkt) <= 240 || binary.BigEndian.Uint32(pkt[236:]) != magic {
		return p, nil // BOOTP
	}
	data, err := gatherOptions(pkt)
	if err != nil {
		return p, fmt.Errorf("edk2: %w", err)
	}
	for code, value := range data {
		if err := validOption(byte(code), value); len(value) > 0 && err != nil {
			return p, fmt.Errorf("edk2: %w", err)
		}
	}
	if len(data[53]) == 1 {
		p.kind = data[53][0]
	}
	if len(data[54]) == 4 {
		p.serverID = netip.AddrFrom4([4]byte(data[54]))
	}
	return p, nil
}

// AcceptOffer adds the checks of the SELECTING state (DhcpHandleSelect) and
// classifies the offer as the PXE driver does.
func (c *EDK2) AcceptOffer(pkt []byte) (*Offer, error) {
	p, err := c.accept(pkt)
	switch {
	case err != nil:
		return nil, err
	case len(pkt) > maxEDK2:
		return nil, fmt.Errorf("edk2: offer of %d bytes", len(pkt))
	case p.kind != 0 && p.kind != 2:
		return nil, fmt.Errorf("edk2: message type %d while waiting for an OFFER", p.kind)
	case p.kind != 0 && (!p.serverID.IsValid() || p.serverID.IsUnspecified()):
		return nil, errors.New("edk2: OFFER without server identifier")
	}
	return Classify(pkt)
}

// AcceptBootServer adds the checks of a reply on 4011 (PxeBcDhcp4Discover,
// PxeBcRetryBinlOffer): it has to name a boot file or discovery options.
func (c *EDK2) AcceptBootServer(pkt []byte) (*Offer, error) {
	if _, err := c.accept(pkt); err != nil {
		return nil, err
	}
	if len(pkt) > maxEDK2 {
		return nil, fmt.Errorf("edk2: reply of %d bytes on 4011", len(pkt))
	}
	o, err := Classify(pkt)
	if err != nil {
		return nil, err
	}
	if o.Kind != ProxyPXE10 && o.File == "" {
		return nil, fmt.Errorf("edk2: %v on 4011 without boot file", o.Kind)
	}
	return o, nil
}

// gatherOptions joins the instances of each option (DhcpIterateOptions, DhcpParseOption).
func gatherOptions(pkt []byte) (data [256][]byte, err error) {
	overload := byte(0)
	take := func(code byte, value []byte) {
		data[code] = append(data[code], value...)
		if code == 52 && len(value) == 1 {
			overload = value[0]
		}
	}
	if err := iterate(pkt[240:], take); err != nil {
		return data, err
	}
	if overload > 3 {
		return data, fmt.Errorf("overload %d", overload)
	}
	if overload&1 != 0 {
		if err := iterate(pkt[108:236], take); err != nil {
			return data, fmt.Errorf("file field: %w", err)
		}
	}
	if overload&2 != 0 {
		if err := iterate(pkt[44:108], take); err != nil {
			return data, fmt.Errorf("sname field: %w", err)
		}
	}
	return data, nil
}

// iterate is DhcpIterateBufferOptions: a field without END is an error.
func iterate(field []byte, take func(code byte, value []byte)) error {
	for i := 0; i < len(field); {
		switch field[i] {
		case 0:
			i++
			continue
		case 255:
			return nil
		}
		if i+1 >= len(field) || i+2+int(field[i+1]) > len(field) {
			return fmt.Errorf("option %d runs over the end", field[i])
		}
		n := int(field[i+1])
		take(field[i], field[i+2:i+2+n])
		i += 2 + n
	}
	return errors.New("no END option")
}
