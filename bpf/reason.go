package bpf

import "fmt"

// Reason says why a run of the program ended, as enum reason in abi.h. It is
// the index into counters_map.
type Reason uint32

// Reasons to pass a packet on untouched.
const (
	HeartbeatStale Reason = iota // the daemon is dead, or never began
	ShortFrame                   // ends inside a header, or the header is not in the first buffer
	VLANDepth                    // three tags or more
	NotIPv4
	NotUDP
	IPOptions      // UDP, but its IPv4 header is not 20 bytes long
	Fragment       // of an IPv4 datagram
	OtherPort      // not to 67 or 4011
	NotSteered     // Settings say DeliverNone for this port
	NotForUs       // neither broadcast nor to an address of ours
	BadChecksum    // of the IPv4 header
	BadLength      // frame, IPv4 and UDP disagree on the length
	TooLong        // more than MaxFrame, or headers split from data by the driver
	ShortMessage   // less than a BOOTP header and the magic
	NotRequest     // op is not BOOTREQUEST
	BadMagic       // not DHCP
	Malformed      // an option runs over the end, or option 52 is none
	TooManyOptions // more than MaxOptions
	NoClass        // no vendor class (60)
	OtherClass     // a vendor class that classes_map does not name
	NoSocket       // DeliverXSK, but none for this RX queue
	RingFull       // a ring buffer, but no room in it
)

// Reasons that a request was delivered for.
const (
	Teed       Reason = RingFull + 1 + iota // copied, and passed on
	Stolen                                  // copied, and dropped
	Redirected                              // to an AF_XDP socket
)

// Reasons that a template decided on.
const (
	Answered    Reason = Redirected + 1 + iota // the frame is the reply now, and goes back
	Ignored                                    // no answer is the answer: dropped
	IgnoredTeed                                // the same where others must see the request: passed
	Broken                                     // the reply could not be written to its end
)

// Reasons that the guard refused a request for: it was dropped, or where it
// would have been teed only the copy was withheld.
const (
	GuardSource     Reason = Broken + 1 + iota // this client asks too often
	GuardRequests                              // more requests than user space is given
	GuardBroadcasts                            // more than are answered to everybody
	GuardStray                                 // to our socket on 4011, and no PXE request: more than it is given
	GuardTFTPSource                            // this address asks the file server too often
	GuardTFTP                                  // more requests than the file server is given
	WithheldSource
	WithheldRequests
	WithheldBroadcasts

	NumReasons
)

var reasonNames = [NumReasons]string{
	HeartbeatStale: "heartbeat_stale", ShortFrame: "short_frame", VLANDepth: "vlan_depth",
	NotIPv4: "not_ipv4", NotUDP: "not_udp", IPOptions: "ip_options", Fragment: "fragment",
	OtherPort: "other_port", NotSteered: "not_steered", NotForUs: "not_for_us",
	BadChecksum: "bad_checksum", BadLength: "bad_length", TooLong: "too_long",
	ShortMessage: "short_message", NotRequest: "not_request", BadMagic: "bad_magic",
	Malformed: "malformed", TooManyOptions: "too_many_options", NoClass: "no_class",
	OtherClass: "other_class", NoSocket: "no_socket", RingFull: "ring_full",
	Teed: "teed", Stolen: "stolen", Redirected: "redirected",
	Answered: "answered", Ignored: "ignored", IgnoredTeed: "ignored_teed", Broken: "broken",
	GuardSource: "guard_source", GuardRequests: "guard_requests", GuardBroadcasts: "guard_broadcasts", GuardStray: "guard_stray",
	GuardTFTPSource: "guard_tftp_source", GuardTFTP: "guard_tftp",
	WithheldSource: "withheld_source", WithheldRequests: "withheld_requests", WithheldBroadcasts: "withheld_broadcasts",
}

// String returns the metric label.
func (r Reason) String() string {
	if r < NumReasons {
		return reasonNames[r]
	}
	return fmt.Sprintf("reason(%d)", uint32(r))
}

// Delivered reports whether user space got the request.
func (r Reason) Delivered() bool { return r == Teed || r == Stolen || r == Redirected }

// Refused reports whether the guard kept the request from being worked on.
func (r Reason) Refused() bool { return r >= GuardSource && r <= WithheldBroadcasts }

// Action is what the program returns to the kernel, as enum xdp_action.
type Action uint32

const (
	Aborted Action = iota
	Drop
	Pass
	TX
	Redirect
)

var actionNames = [...]string{"aborted", "drop", "pass", "tx", "redirect"}

// String returns the kernel's name in lower case.
func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return fmt.Sprintf("action(%d)", uint32(a))
}

// Action returns what the program does with a packet for this reason.
func (r Reason) Action() Action {
	switch r {
	case Redirected:
		return Redirect
	case Stolen, Ignored, GuardSource, GuardRequests, GuardBroadcasts, GuardStray, GuardTFTPSource, GuardTFTP:
		return Drop
	case Answered:
		return TX
	case Broken:
		return Aborted
	default:
		return Pass
	}
}
