package dhcp

import (
	"bytes"
	"net/netip"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// ReplyFacts are what a reply of another server tells about clients that will
// not boot from us.
type ReplyFacts struct {
	Type       MessageType // 0: BOOTP, or not readable
	XID        uint32
	MAC        [16]byte // chaddr; MAC[:MACLen] counts
	MACLen     uint8
	Server     netip.Addr // option 54, else siaddr; 0.0.0.0 if it says neither
	NextServer netip.Addr // siaddr
	YourIP     netip.Addr // 0.0.0.0 in another boot server's offer
	Relay      netip.Addr // giaddr, 0.0.0.0 without one
	ClaimsPXE  bool       // option 60 begins with PXEClient: clients will ask that server on 4011
	ClaimsHTTP bool       // option 60 begins with HTTPClient
	File       string     // boot file of option 67 or the header, empty if it names none
}

// InspectReply reads a DHCP reply that was seen on the wire. ok is false if it
// is none, or malformed. It allocates: it is for diagnosis, not for the hot path.
func InspectReply(payload []byte) (f ReplyFacts, ok bool) {
	var v View
	if v.Parse(payload) != packet.Answered || v.Op() != opReply {
		return ReplyFacts{}, false
	}
	f = ReplyFacts{
		XID: v.XID(), Server: optionAddr(v.Option(optServerID)),
		NextServer: v.NextServer(), YourIP: v.YourIP(), Relay: v.Relay(),
		File: string(v.File()),
	}
	f.Type, _ = v.Type()
	f.MACLen = uint8(copy(f.MAC[:], v.HardwareAddr()))
	if !f.Server.IsValid() {
		f.Server = f.NextServer
	}
	class := v.Option(optVendorClass)
	f.ClaimsPXE = bytes.HasPrefix(class, classPXE)
	f.ClaimsHTTP = bytes.HasPrefix(class, classHTTP)
	return f, true
}
