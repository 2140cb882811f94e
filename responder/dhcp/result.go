package dhcp

import (
	"encoding/hex"
	"net/netip"
	"strings"

	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// Stage is the step of the PXE exchange that a request belongs to.
type Stage uint8

const (
	StageOther      Stage = iota // on port 67, but no DISCOVER
	StageDiscover                // DISCOVER on port 67
	StageBootServer              // anything on port 4011

	NumStages
)

// String returns the metric label.
func (s Stage) String() string {
	switch s {
	case StageDiscover:
		return "discover"
	case StageBootServer:
		return "boot_server"
	}
	return "other"
}

// Note is a set of observations about one request that do not decide its fate
// but may explain a machine that does not boot.
type Note uint16

const (
	NoteNoEnd             Note = 1 << iota // the options had no END
	NoteBadRelayInfo                       // option 82 is malformed: echoed, not believed
	NoteServerIDOverride                   // the relay wants to be the server identifier (82.11); Result.Other is that address
	NoteRelayPort                          // answered to the relay's source port (82.19)
	NoteRelayInfoDropped                   // option 82 did not fit the reply
	NoteOtherServer4011                    // asked on 4011 for another server; Result.Other is that address
	NoteRelayFactsRecall                   // the relay's 82 of the DISCOVER was used on 4011
	NoteRelayFactsMissing                  // policy asks for 82, but on 4011 nothing is remembered of the client

	numNotes = iota
)

var noteNames = [numNotes]string{
	"no_end", "bad_relay_info", "server_id_override", "relay_port", "relay_info_dropped",
	"other_server_on_4011", "relay_facts_recalled", "relay_facts_missing",
}

// String returns the names of the notes, separated by commas.
func (n Note) String() string {
	var names []string
	for i, name := range noteNames {
		if n&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// Result says what became of one request. It holds no reference to the
// request: Decision's strings are the policy's.
type Result struct {
	Reason   packet.Reason
	Stage    Stage
	Type     MessageType // 0 if unknown
	Notes    Note
	Decision policy.Decision // zero unless the policy was asked
	XID      uint32
	MAC      [16]byte // chaddr; MAC[:MACLen] counts
	MACLen   uint8
	HasUUID  bool
	UUID     [16]byte   // as in option 97
	Relay    netip.Addr // giaddr; invalid without one
	Other    netip.Addr // the other server that a note or OtherServer is about; invalid without one
	// Address is the client's, as it says: what its lease request on 67 asks for
	// (option 50), on 4011 ciaddr, or else where it asks from. Invalid: it does not say.
	Address netip.Addr
}

// identify takes the client's name from a request's header.
func (r *Result) identify(msg []byte) {
	r.XID = uint32(msg[offXID])<<24 | uint32(msg[offXID+1])<<16 | uint32(msg[offXID+2])<<8 | uint32(msg[offXID+3])
	copy(r.MAC[:], msg[offCHAddr:])
	r.MACLen = min(msg[offHLen], maxHardwareLen)
	if a := addr4(msg[offGIAddr:]); !a.IsUnspecified() {
		r.Relay = a
	}
}

// AppendClient appends the client's name for logs: hardware address, UUID if
// it sent one (the bytes in wire order), transaction id.
func (r *Result) AppendClient(dst []byte) []byte {
	for i, b := range r.MAC[:r.MACLen] {
		if i > 0 {
			dst = append(dst, ':')
		}
		dst = hex.AppendEncode(dst, []byte{b})
	}
	if r.HasUUID {
		dst = append(dst, " uuid="...)
		dst = hex.AppendEncode(dst, r.UUID[:])
	}
	dst = append(dst, " xid="...)
	return hex.AppendEncode(dst, []byte{byte(r.XID >> 24), byte(r.XID >> 16), byte(r.XID >> 8), byte(r.XID)})
}

// Client returns what AppendClient appends.
func (r *Result) Client() string { return string(r.AppendClient(nil)) }
