package dhcp

// DHCP option codes (RFC 2132 unless said otherwise).
const (
	optPad              = 0
	optVendorSpecific   = 43
	optRequestedAddr    = 50
	optOverload         = 52
	optMessageType      = 53
	optServerID         = 54
	optMaxMessageSize   = 57
	optVendorClass      = 60
	optClientID         = 61
	optBootFile         = 67
	optUserClass        = 77 // RFC 3004
	optRelayInfo        = 82 // RFC 3046
	optClientArch       = 93 // RFC 4578 §2.1
	optClientUUID       = 97 // RFC 4578 §2.3
	optSubnetSelection  = 118
	optIPXEEncapsulated = 175 // iPXE include/ipxe/dhcp.h DHCP_EB_ENCAP
	optEnd              = 255
)

// Sub-options of option 82.
const (
	relayCircuitID        = 1
	relayRemoteID         = 2
	relayLinkSelection    = 5  // RFC 3527
	relayServerIDOverride = 11 // RFC 5107
	relaySourcePort       = 19 // RFC 8357
)

// pxeBootItem is the sub-option of option 43 by which a client asks for an item of a boot menu (PXE 2.1 table 2-1).
const pxeBootItem = 71

// The BOOTP header (RFC 2131 §2, figure 1).
const (
	offHType  = 1
	offHLen   = 2
	offXID    = 4
	offSecs   = 8
	offFlags  = 10
	offCIAddr = 12
	offYIAddr = 16
	offSIAddr = 20
	offGIAddr = 24
	offCHAddr = 28
	offSName  = 44
	offFile   = 108
	offMagic  = 236
	headerLen = 240 // with the magic cookie

	maxHardwareLen = 16
	fileLen        = 128

	opRequest = 1
	opReply   = 2

	flagBroadcast = 0x8000
	magicCookie   = 0x63825363
)

// MessageType is the value of option 53.
type MessageType uint8

// Message types that matter to a boot server (RFC 2132 §9.6).
const (
	TypeDiscover MessageType = 1
	TypeOffer    MessageType = 2
	TypeRequest  MessageType = 3
	TypeACK      MessageType = 5
	TypeNAK      MessageType = 6
)

var messageTypeNames = [...]string{
	1: "DISCOVER", 2: "OFFER", 3: "REQUEST", 4: "DECLINE", 5: "ACK", 6: "NAK", 7: "RELEASE", 8: "INFORM",
	9: "FORCERENEW", 10: "LEASEQUERY", 11: "LEASEUNASSIGNED", 12: "LEASEUNKNOWN", 13: "LEASEACTIVE",
}

// String returns the name without its DHCP prefix.
func (t MessageType) String() string {
	if int(t) < len(messageTypeNames) && messageTypeNames[t] != "" {
		return messageTypeNames[t]
	}
	return "unknown"
}
