package bpf

import (
	"encoding/binary"
	"errors"
	"unsafe"
)

// Length is a value of lengths_map: the slots of layouts_map, plus 1, whose
// masks are tried on messages of that length. The first 0 ends the list.
type Length struct {
	Layout [MaxLayoutsOfLength]uint16
}

// LengthIndex is the key of a port (67 or 4011) and message length in lengths_map.
func LengthIndex(port uint16, length int) uint32 {
	if port == portBINL {
		length += MaxMessage + 1
	}
	return uint32(length)
}

// LengthAt is the inverse of LengthIndex for the length.
func LengthAt(index uint32) int {
	if index > MaxMessage {
		index -= MaxMessage + 1
	}
	return int(index)
}

// Layout is a value of layouts_map: 0xff in Mask for each byte of a message
// that counts. The last two Keys are for what stands beside the message.
type Layout struct {
	Mask [MessageWords * 8]byte
	Key  [MessageWords + 2]uint64
}

// Verdict is what to do with a request.
type Verdict struct {
	Tag     uint32
	Outcome uint16
	Reply   uint16 // slot of replies_map plus 1; 0: silence
}

// Network is an IPv4 network. [NoNetwork] has no addresses.
type Network struct {
	Addr, Mask [4]byte
}

// NoNetwork fills a Pattern up.
var NoNetwork = Network{Addr: [4]byte{255, 255, 255, 255}}

// Pattern is a value of patterns_map: which requests a template is for.
type Pattern struct {
	Generation uint64
	Message    [MessageWords * 8]byte // under the layout's mask
	Dst        [4]byte
	VID        [2]uint16
	Port       uint16
	Len        uint16 // of the message
	Layout     uint16 // slot of layouts_map
	UUIDAt     uint16
	Verdict    Verdict
	Exact      uint32 // not 0: the verdict is in exact_map
	Own        [4]byte
	Network    [MaxNetworks]Network
}

// ExactKey is a key of exact_map: who asks.
type ExactKey struct {
	Pattern uint32 // slot of patterns_map
	CHAddr  [16]byte
	UUID    [16]byte
	Src     [4]byte
	CIAddr  [4]byte
}

// ExactValue is a value of exact_map.
type ExactValue struct {
	Generation uint64
	Verdict    Verdict
}

// EchoImage is an [Echo] as it stands in a [Reply].
type EchoImage struct {
	From, To, Len, Pad uint16
}

// Sizes of the two parts of a Reply, in bytes: IPv4, UDP and BOOTP up to
// chaddr; the rest of the longest message.
const (
	ReplyHead = 72
	ReplyRest = 552
)

// Reply is a value of replies_map: an answer without what is the client's own.
// Its sums are of 16-bit words in native order, folded.
type Reply struct {
	Head      [ReplyHead]byte
	Rest      [ReplyRest]byte
	IPSum     uint16
	UDPSum    uint16
	Len       uint16 // of the message
	SrcMAC    [6]byte
	Broadcast uint16
	ToSource  uint16
	Echo      [MaxEchoes]EchoImage
}

// Event is a record of events_map: what a template did.
type Event struct {
	KtimeNS uint64 // CLOCK_MONOTONIC, as of the last tick
	Tag     uint32
	XID     [4]byte
	Src     [4]byte
	Relay   [4]byte // giaddr
	VID     [2]uint16
	SrcPort uint16
	HLen    uint8
	HasUUID uint8
	CHAddr  [16]byte
	UUID    [16]byte
}

// EventSize is the size of an Event in a record, in bytes.
const EventSize = int(unsafe.Sizeof(Event{}))

var errShortEvent = errors.New("event record shorter than an event")

// ParseEvent reads a record of events_map into e. It does not allocate.
func ParseEvent(record []byte, e *Event) error {
	if len(record) < EventSize {
		return errShortEvent
	}
	ne := binary.NativeEndian
	e.KtimeNS, e.Tag = ne.Uint64(record), ne.Uint32(record[8:])
	copy(e.XID[:], record[12:])
	copy(e.Src[:], record[16:])
	copy(e.Relay[:], record[20:])
	e.VID = [2]uint16{ne.Uint16(record[24:]), ne.Uint16(record[26:])}
	e.SrcPort, e.HLen, e.HasUUID = ne.Uint16(record[28:]), record[30], record[31]
	copy(e.CHAddr[:], record[32:])
	copy(e.UUID[:], record[48:])
	return nil
}
