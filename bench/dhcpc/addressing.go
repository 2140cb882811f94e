package dhcpc

import (
	"net/netip"

	"github.com/xdpxe/xdpxe/responder/packet"
)

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// Addressing judges where a reply came from and where it was sent (RFC 2131
// §4.1, PXE 2.1 §2.2): from the port that was asked, to the relay, to a client
// that has an address, or else as a broadcast. request is the addressing of the
// request, reply that of the reply.
func Addressing(request, reply *packet.Meta, e *Expect) Reason {
	if reply.Src.Port() != request.Dst.Port() {
		return WrongSource
	}
	to := reply.Dst
	switch relay := e.Vars.GIAddr; {
	case relay.Is4() && !relay.IsUnspecified():
		if to != netip.AddrPortFrom(relay, packet.PortDHCPServer) {
			return WrongDest
		}
	case e.Kind == BootServerACK:
		if to != request.Src {
			return WrongDest
		}
	case to.Port() != packet.PortDHCPClient:
		return WrongDest
	case e.Spec.Broadcast && to.Addr() != broadcast && e.Kind != LeaseACK:
		return WrongDest
	}
	return Valid
}

// Tagged judges whether a reply came in the request's VLAN.
func Tagged(request, reply *packet.Meta) Reason {
	if request.NumVLANs != reply.NumVLANs {
		return WrongVLAN
	}
	for i := range request.VLANs[:request.NumVLANs] {
		if request.VLANs[i].VID() != reply.VLANs[i].VID() {
			return WrongVLAN
		}
	}
	return Valid
}
