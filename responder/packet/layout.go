package packet

// Header sizes in bytes. IPv4 headers with options are refused, so that an
// IPv4 header is always the same size.
const (
	ethLen  = 14
	vlanLen = 4
	ipLen   = 20
	udpLen  = 8
	maxVLAN = 2

	// MaxHeader is the most that HeaderLen returns: the room to keep in front of a payload.
	MaxHeader = ethLen + maxVLAN*vlanLen + ipLen + udpLen

	// minFrame is the shortest Ethernet frame without its check sequence (IEEE 802.3 §4A.4.2).
	minFrame = 60
)

// EtherTypes and IPv4 header fields.
const (
	tpidCustomer = 0x8100 // IEEE 802.1Q C-tag
	tpidService  = 0x88a8 // IEEE 802.1Q S-tag
	etherIPv4    = 0x0800
	version4IHL5 = 0x45
	fragmentBits = 0x3fff // more-fragments flag and fragment offset (RFC 791 §3.1)
	protocolUDP  = 17
	replyTTL     = 64
)
