package pcapload

import "github.com/xdpxe/xdpxe/responder/dhcp"

// The BOOTP header (RFC 2131 §2, figure 1).
const (
	offHLen   = 2
	offXID    = 4
	offCIAddr = 12
	offCHAddr = 28
	macLen    = 6
	uuidLen   = 16

	opRequest = 1
	opReply   = 2

	flagBroadcast = 0x8000
)

// Option codes (RFC 2132 unless said otherwise).
const (
	optServerID    = 54
	optVendorClass = 60
	optClientID    = 61
	optUUID        = 97 // RFC 4578 §2.3: a type of 0, then the UUID
)

const portTFTP = 69

// asks says whether a reply of that type answers a request of that type.
func asks(request, reply dhcp.MessageType) bool {
	switch reply {
	case dhcp.TypeOffer:
		return request == dhcp.TypeDiscover
	case dhcp.TypeACK, dhcp.TypeNAK:
		return request != dhcp.TypeDiscover
	}
	return request == reply // BOOTP has no types
}

// choose finds the request that a reply answers among those of its transaction,
// oldest first: the last one of a fitting type and port, else of a fitting type,
// else the last. sent says which of them have been sent; -1 if none.
func choose(requests []*Request, sent func(*Request) bool, t dhcp.MessageType, sourcePort uint16) int {
	best, bestFit := -1, -1
	for i, r := range requests {
		if !sent(r) {
			continue
		}
		fit := 0
		if asks(r.Type, t) {
			fit = 1
			if r.Meta.Dst.Port() == sourcePort {
				fit = 2
			}
		}
		if fit >= bestFit {
			best, bestFit = i, fit
		}
	}
	return best
}
