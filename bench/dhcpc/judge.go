package dhcpc

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// Kind is what a client waits for.
type Kind uint8

// The kinds.
const (
	ProxyOffer    Kind = iota // a boot server's OFFER, without an address
	LeaseOffer                // a DHCP server's OFFER
	LeaseACK                  // a DHCP server's ACK
	BootServerACK             // the answer on 4011
)

// Expect is what a client knows of the request that it waits for an answer to.
type Expect struct {
	Kind Kind
	Spec *Spec // as the request was made
	Vars *Vars // likewise
}

// longest is the most that edk2's PXE driver keeps (PXEBC_DHCP4_PACKET_MAX_SIZE).
const longest = 1472

var (
	classPXE  = []byte(pxeClient)
	classHTTP = []byte(httpClient)
)

// Judge finds out whether firmware would take a reply: what edk2 checks
// (Dhcp4Io.c DhcpInput, Dhcp4Option.c), what the PXE specification and the RFCs
// on relays ask for beyond that. It has one owner at a time; it is large, reuse it.
type Judge struct {
	view dhcp.View
	last uint8 // code of the last option
}

// Reply judges the UDP payload of a reply. What is wrong first is the reason.
func (j *Judge) Reply(msg []byte, e *Expect) Reason {
	v := &j.view
	switch {
	case len(msg) > longest:
		return TooLong
	case v.Parse(msg) != packet.Answered:
		return Malformed
	case v.Op() != replyOp:
		return NotReply
	case v.XID() != e.Vars.XID:
		return WrongXID
	}
	mac := e.Vars.ID.MAC()
	if !bytes.Equal(v.HardwareAddr(), mac[:]) {
		return WrongMAC
	}
	if v.NoEnd() {
		return NoEnd
	}
	last, ok := examine(v, msg)
	if !ok {
		return BadOption
	}
	j.last = last
	if r := j.kind(e); r != Valid {
		return r
	}
	return j.relayed(e)
}

// kind judges what depends on what was asked.
func (j *Judge) kind(e *Expect) Reason {
	v := &j.view
	t, ok := v.Type()
	if !ok {
		return NoType
	}
	switch e.Kind {
	case ProxyOffer, LeaseOffer:
		ok = t == Offer
	case LeaseACK:
		ok = t == ACK
	case BootServerACK:
		ok = t == ACK || t == Offer // iPXE takes both, edk2 does not look
	}
	if !ok {
		return WrongType
	}
	server := v.Option(optServerID)
	if len(server) != 4 || binary.BigEndian.Uint32(server) == 0 {
		return NoServerID
	}
	if asked := e.Vars.ServerID; asked.Is4() && !asked.IsUnspecified() && asked.As4() != [4]byte(server) {
		return OtherServer
	}
	if e.Kind == LeaseOffer || e.Kind == LeaseACK {
		return j.lease(e)
	}
	return j.boot(e)
}

func (j *Judge) lease(e *Expect) Reason {
	address := j.view.YourIP()
	if address.IsUnspecified() {
		return NoAddress
	}
	if asked := e.Vars.RequestedIP; e.Kind == LeaseACK && asked.Is4() && asked != address {
		return OtherAddress
	}
	return Valid
}

func (j *Judge) boot(e *Expect) Reason {
	v := &j.view
	class, http := classPXE, strings.HasPrefix(e.Spec.VendorClass, httpClient)
	if http {
		class = classHTTP
	}
	if !bytes.HasPrefix(v.Option(optVendorClass), class) {
		return NotPXE
	}
	// dnsmasq copies ciaddr to yiaddr in what it sends from 4011, which no client minds.
	if yours := v.YourIP(); !yours.IsUnspecified() && (e.Kind == ProxyOffer || yours != e.Vars.CIAddr) {
		return HasAddress
	}
	file := len(v.File()) > 0
	if e.Kind == BootServerACK && !file {
		return NoBootFile
	}
	if file && !http && v.NextServer().IsUnspecified() {
		return NoNextServer
	}
	if e.Spec.UUID { // RFC 4578 §2.3
		own, uuid := e.Vars.ID.UUID(), v.Option(optUUID)
		if len(uuid) != 17 || [16]byte(uuid[1:]) != own {
			return NoUUID
		}
	}
	return Valid
}

// relayed judges what a relay agent needs to deliver the reply.
func (j *Judge) relayed(e *Expect) Reason {
	v := &j.view
	relay := e.Vars.GIAddr
	if !relay.Is4() || relay.IsUnspecified() {
		if !v.Relay().IsUnspecified() {
			return WrongGIAddr
		}
		return Valid
	}
	if v.Relay() != relay {
		return WrongGIAddr
	}
	if e.Vars.RelayInfo != nil {
		if !bytes.Equal(v.Option(optRelayInfo), e.Vars.RelayInfo) {
			return NoRelayInfo
		}
		if j.last != optRelayInfo {
			return NotLast
		}
	}
	if v.YourIP().IsUnspecified() && v.Flags()&flagBroadcast == 0 {
		return NoBroadcast
	}
	return Valid
}
