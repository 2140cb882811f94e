package bpf

import (
	"errors"
	"fmt"
	"net/netip"
)

// Template says which requests get which answer, before it is put into maps.
//
// A request fits if port, VLAN ids, destination address and length are the
// same, and so is every byte of its DHCP message that Mask does not leave out.
type Template struct {
	Generation uint64 // as it was before the decision was made
	Tag        uint32 // of the publisher: events name it
	Outcome    uint16 // index of the exact counter, below MaxOutcomes

	Port    uint16    // 67 or 4011
	VIDs    [2]uint16 // as in AddrKey
	Dst     [4]byte   // destination address of the request
	Request []byte    // the DHCP message; where Mask is 0 its bytes do not matter
	Mask    []byte    // 0xff where another request's byte must be the same, as in sname and file, else 0

	// UUIDAt is where the 16 bytes of a UUID stand in Request; 0: nowhere.
	UUIDAt int

	// Exact limits the template to one identity. UUID is zero without UUIDAt;
	// Source and CIAddr are zero but on 4011.
	Exact          bool
	CHAddr, UUID   [16]byte
	Source, CIAddr [4]byte

	// On 4011 a template that is not Exact holds for sources in Networks
	// (MaxNetworks at most) that are not their first or last address, nor
	// Own, if ciaddr is 0 or the source.
	Networks []netip.Prefix
	Own      [4]byte

	// Reply is the DHCP message of the answer; nil: silence. The request's
	// xid and chaddr take their place in it, on 4011 ciaddr as well, and what
	// Echoes says; there its own bytes do not matter.
	Reply  []byte
	Echoes []Echo // at most MaxEchoes

	// Where the answer comes from and goes to. At layer 2 that is the source
	// of the request's frame, or all (Broadcast). On 4011 it goes to address
	// and port of the request's source: DstPort is 0, and DstIP does not matter.
	SrcMAC           [6]byte
	Broadcast        bool
	SrcIP, DstIP     [4]byte
	SrcPort, DstPort uint16
}

// Echo is a piece of a request's message that is copied into the reply's.
type Echo struct {
	From uint16 // offset in the request
	To   uint16 // offset in the reply, behind the BOOTP header
	Len  uint16 // 1 to 255
}

// Limits of templates, as in abi.h.
const (
	MaxMessage         = 590 // longest DHCP message, request or reply, bytes
	MessageWords       = 74  // the same in 64-bit words
	MaxLayoutsOfLength = 4   // masks tried for one port and length
	MaxEchoes          = 4
	MaxNetworks        = 4
	MaxOutcomes        = 128
	// OutcomeEventsDropped is where outcomes_map counts events not written.
	OutcomeEventsDropped = MaxOutcomes

	NumLayouts  = 256   // default slots of layouts_map
	NumPatterns = 4096  // of patterns_map, and entries of index_map
	NumExact    = 65536 // entries of exact_map
	NumReplies  = 1024  // slots of replies_map
)

// Where things stand in a DHCP message (RFC 2131 §2).
const (
	offXID     = 4
	offCIAddr  = 12
	offGIAddr  = 24
	offCHAddr  = 28
	chaddrLen  = 16
	offSName   = 44
	wholeBegin = 48 // all bytes count from here (WHOLE_BEGIN in template.h)
	wholeEnd   = 232
	bootpLen   = 240 // with the magic
	uuidLen    = 16
	portDHCP   = 67
	portBINL   = 4011
	maxEchoLen = 255
)

// ErrTemplate is what Check's errors wrap: a template that cannot be held.
var ErrTemplate = errors.New("no template for the kernel")

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrTemplate, fmt.Sprintf(format, args...))
}

// Check says why a template cannot be held, if so.
func (t *Template) Check() error {
	switch n := len(t.Request); {
	case t.Port != portDHCP && t.Port != portBINL:
		return refuse("port %d", t.Port)
	case n < bootpLen || n > MaxMessage:
		return refuse("request of %d bytes: not %d to %d", n, bootpLen, MaxMessage)
	case len(t.Mask) != n:
		return refuse("mask of %d bytes for a request of %d", len(t.Mask), n)
	case t.UUIDAt != 0 && (t.UUIDAt < bootpLen || t.UUIDAt+uuidLen > n):
		return refuse("UUID at %d in a request of %d bytes", t.UUIDAt, n)
	case t.Outcome >= MaxOutcomes:
		return refuse("outcome %d: not below %d", t.Outcome, MaxOutcomes)
	case t.Port == portDHCP && (t.Source != [4]byte{} || t.CIAddr != [4]byte{}):
		return refuse("a source on port %d", portDHCP)
	case t.UUIDAt == 0 && t.UUID != [16]byte{}:
		return refuse("a UUID without its place")
	case len(t.Networks) > MaxNetworks:
		return refuse("%d networks: at most %d", len(t.Networks), MaxNetworks)
	}
	for _, p := range t.Networks {
		if !p.IsValid() || !p.Addr().Is4() {
			return refuse("network %v: not IPv4", p)
		}
	}
	for i, m := range t.Mask {
		if m != 0xff && (m != 0 || i >= wholeBegin && i < wholeEnd) {
			return refuse("mask has %#x at %d", m, i)
		}
	}
	if t.Reply == nil {
		return nil
	}
	return t.checkReply()
}

func (t *Template) checkReply() error {
	n := len(t.Reply)
	switch {
	case n < bootpLen || n > MaxMessage:
		return refuse("reply of %d bytes: not %d to %d", n, bootpLen, MaxMessage)
	case len(t.Echoes) > MaxEchoes:
		return refuse("%d echoes: at most %d", len(t.Echoes), MaxEchoes)
	case (t.DstPort == 0) != (t.Port == portBINL):
		return refuse("a reply to port %d for a request to port %d", t.DstPort, t.Port)
	}
	for i, e := range t.Echoes {
		if e.Len == 0 || e.Len > maxEchoLen || int(e.From)+int(e.Len) > len(t.Request) || e.To < bootpLen || int(e.To)+int(e.Len) > n {
			return refuse("echo %+v of a request of %d bytes in a reply of %d", e, len(t.Request), n)
		}
		for _, o := range t.Echoes[:i] {
			if e.To < o.To+o.Len && o.To < e.To+e.Len {
				return refuse("echoes %+v and %+v overlap", o, e)
			}
		}
	}
	return nil
}
