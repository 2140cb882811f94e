package dhcpc

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// The BOOTP header (RFC 2131 §2, figure 1).
const (
	offHops   = 3
	offXID    = 4
	offSecs   = 8
	offFlags  = 10
	offCIAddr = 12
	offGIAddr = 24
	offCHAddr = 28
	offFile   = 108
	offSName  = 44
	offMagic  = 236
	headerLen = 240

	magicCookie   = 0x63825363
	flagBroadcast = 0x8000
)

// Option codes (RFC 2132 unless said otherwise).
const (
	optRequestedIP  = 50
	optOverload     = 52
	optMessageType  = 53
	optServerID     = 54
	optParameters   = 55
	optMaxSize      = 57
	optVendorClass  = 60
	optClientID     = 61
	optUserClass    = 77 // RFC 3004
	optRelayInfo    = 82 // RFC 3046
	optArch         = 93 // RFC 4578
	optNII          = 94
	optUUID         = 97
	optEnd          = 255
	relayCircuitID  = 1 // sub-options of 82
	relayRemoteID   = 2
	maxOption       = 255
	ethernetType    = 1
	uuidType        = 0
	requestOp       = 1
	replyOp         = 2
	hardwareAddrLen = 6
)

// Vars are what differs between messages of one Template.
type Vars struct {
	ID   Identity
	XID  uint32
	Secs uint16
	// Addresses that are not valid, or 0.0.0.0, are not in the message.
	CIAddr      netip.Addr // the client's own
	GIAddr      netip.Addr // the relay's; the message has then passed one hop
	ServerID    netip.Addr // option 54
	RequestedIP netip.Addr // option 50
	// RelayInfo is the data of option 82 (RelayInfo makes it); nil: none. It is
	// put in last, as RFC 3046 §2.1 wants it.
	RelayInfo []byte
}

// RelayInfo makes the data of option 82 from a circuit id and a remote id, either of which may be empty.
func RelayInfo(circuitID, remoteID string) ([]byte, error) {
	var data []byte
	for _, sub := range []struct {
		code  byte
		value string
	}{{relayCircuitID, circuitID}, {relayRemoteID, remoteID}} {
		if sub.value == "" {
			continue
		}
		if len(data)+2+len(sub.value) > maxOption {
			return nil, fmt.Errorf("option 82: circuit and remote id of %d and %d bytes: at most %d fit", len(circuitID), len(remoteID), maxOption-4)
		}
		data = append(append(data, sub.code, byte(len(sub.value))), sub.value...)
	}
	return data, nil
}

// Template is a message laid out once. It may be used by several goroutines.
type Template struct {
	Spec   Spec
	head   []byte // header and the options that are the same for all machines
	uuid   int    // where option 97 has the UUID; 0: nowhere
	client int    // where option 61 has the MAC; 0: nowhere
	minLen int
}

// NewTemplate lays out a message.
func NewTemplate(s Spec) (*Template, error) {
	t := &Template{Spec: s, head: make([]byte, headerLen, 512), minLen: s.MinLen}
	if t.minLen == 0 {
		t.minLen = DefaultMinLen
	}
	h := t.head
	h[0], h[1], h[2] = requestOp, ethernetType, hardwareAddrLen
	if s.Broadcast {
		binary.BigEndian.PutUint16(h[offFlags:], flagBroadcast)
	}
	binary.BigEndian.PutUint32(h[offMagic:], magicCookie)

	// The order is edk2's.
	if s.Type != 0 {
		t.put(optMessageType, s.Type)
	}
	if s.MaxSize != 0 {
		t.put(optMaxSize, byte(s.MaxSize>>8), byte(s.MaxSize))
	}
	if len(s.Parameters) > 0 {
		t.put(optParameters, s.Parameters...)
	}
	if s.UUID {
		t.put(optUUID, make([]byte, 17)...)
		t.uuid = len(t.head) - 16
		t.head[t.uuid-1] = uuidType
	}
	if len(s.NII) > 0 {
		t.put(optNII, s.NII...)
	}
	if len(s.Arch) > 0 {
		var list []byte
		for _, a := range s.Arch {
			list = binary.BigEndian.AppendUint16(list, a)
		}
		t.put(optArch, list...)
	}
	if s.VendorClass != "" {
		t.put(optVendorClass, []byte(s.VendorClass)...)
	}
	if s.UserClass != "" {
		t.put(optUserClass, []byte(s.UserClass)...)
	}
	if s.ClientID {
		t.put(optClientID, append([]byte{ethernetType}, make([]byte, hardwareAddrLen)...)...)
		t.client = len(t.head) - hardwareAddrLen
	}
	for _, o := range s.Extra {
		t.put(o.Code, o.Data...)
	}
	return t, t.check()
}

// put appends an option; check finds one that is too long.
func (t *Template) put(code uint8, data ...byte) {
	t.head = append(append(t.head, code, byte(len(data))), data...)
}

func (t *Template) check() error {
	s := &t.Spec
	lengths := map[uint8]int{optParameters: len(s.Parameters), optNII: len(s.NII), optArch: 2 * len(s.Arch), optVendorClass: len(s.VendorClass), optUserClass: len(s.UserClass)}
	for _, o := range s.Extra {
		if o.Code == 0 || o.Code == optEnd || o.Code == optRelayInfo {
			return fmt.Errorf("extra option %d: not one that a client sends", o.Code)
		}
		lengths[o.Code] = max(lengths[o.Code], len(o.Data))
	}
	for code, n := range lengths {
		if n > maxOption {
			return fmt.Errorf("option %d has %d bytes, an option holds %d", code, n, maxOption)
		}
	}
	if most := t.MaxLen(); most > maxMessage {
		return fmt.Errorf("message may have %d bytes, more than the %d that one frame holds", most, maxMessage)
	}
	return nil
}

// maxMessage is the payload of a UDP datagram in an Ethernet frame of 1500 bytes.
const maxMessage = 1472

// MaxLen is the most that Append appends, without option 82.
func (t *Template) MaxLen() int { return max(len(t.head)+2*(2+4)+1, t.minLen) }

// Append appends the message for v to dst. It does not allocate where dst has room.
func (t *Template) Append(dst []byte, v *Vars) []byte {
	start := len(dst)
	dst = append(dst, t.head...)
	m := dst[start:]
	binary.BigEndian.PutUint32(m[offXID:], v.XID)
	binary.BigEndian.PutUint16(m[offSecs:], v.Secs)
	mac := v.ID.MAC()
	copy(m[offCHAddr:], mac[:])
	if t.uuid != 0 {
		uuid := v.ID.UUID()
		copy(m[t.uuid:], uuid[:])
	}
	if t.client != 0 {
		copy(m[t.client:], mac[:])
	}
	if v.CIAddr.Is4() {
		a := v.CIAddr.As4()
		copy(m[offCIAddr:], a[:])
	}
	if v.GIAddr.Is4() && !v.GIAddr.IsUnspecified() {
		a := v.GIAddr.As4()
		copy(m[offGIAddr:], a[:])
		m[offHops] = 1
	}
	dst = appendAddr(dst, optServerID, v.ServerID)
	dst = appendAddr(dst, optRequestedIP, v.RequestedIP)
	if len(v.RelayInfo) > 0 && len(v.RelayInfo) <= maxOption {
		dst = append(append(dst, optRelayInfo, byte(len(v.RelayInfo))), v.RelayInfo...)
	}
	dst = append(dst, optEnd)
	for len(dst)-start < t.minLen {
		dst = append(dst, 0)
	}
	return dst
}

func appendAddr(dst []byte, code uint8, a netip.Addr) []byte {
	if !a.Is4() || a.IsUnspecified() {
		return dst
	}
	b := a.As4()
	return append(dst, code, 4, b[0], b[1], b[2], b[3])
}

// Frame writes the message for v with the headers for m into buf, whose length
// does not matter, and returns the frame: a slice of buf's memory. It is nil if
// buf has too little room or m is no IPv4 addressing.
func (t *Template) Frame(buf []byte, m *packet.Meta, v *Vars) []byte {
	head := packet.HeaderLen(m)
	if head+t.MaxLen()+2+len(v.RelayInfo) > cap(buf) {
		return nil
	}
	payload := t.Append(buf[:head], v)
	n := packet.Build(payload[:cap(payload)], m, len(payload)-head)
	if n == 0 {
		return nil
	}
	return payload[:n]
}
