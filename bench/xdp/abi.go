package xdp

import (
	"fmt"
	"math/bits"
	"time"
)

// Limits, as in abi.h.
const (
	MaxFrame = 1536 // the longest request frame, bytes
	maxMACs  = 4    // places of the hardware address besides Ethernet's source

	FloodWords  = 8 // random numbers in a frame of a flood
	FloodPlaces = 4 // places of each

	subBits    = 5
	numBuckets = 1024
)

// Verdict is what a reply was found to be; counters_map has one counter each,
// and some of the sender and of the sink.
type Verdict uint32

// Counters, as in abi.h.
const (
	counterSent Verdict = iota
	Answered            // the first good reply, in time
	Late                // the first good reply, after the patience
	Duplicate           // a good reply to a request that had one
	Stale               // for a request so old that its place was given away
	Unknown             // for a transaction that was never begun
	WrongOp             // to the client's port, and no BOOTREPLY
	WrongCHAddr         // not the machine that asked
	WrongYIAddr         // offers an address
	Malformed           // ends before the options, or without the DHCP magic
	counterWrong
	counterUnsampled
	counterFrames
	counterBytes

	numCounters
)

var counterNames = [numCounters]string{"sent", "answered", "late", "duplicate", "stale", "unknown",
	"wrong_op", "wrong_chaddr", "wrong_yiaddr", "malformed", "wrong", "unsampled", "frames", "bytes"}

// String returns the name for tables and JSON.
func (v Verdict) String() string {
	if v < numCounters {
		return counterNames[v]
	}
	return fmt.Sprintf("verdict(%d)", uint32(v))
}

// settings is the value of settings_map.
type settings struct {
	Patience   uint64
	FirstXID   uint32
	Slots      uint32
	Identities uint32
	SampleMask uint32
	Bounced    uint32
	_          uint32
	Rate       uint64
	Total      uint64
	Until      uint64
}

// pace is the value of pace_map.
type pace struct {
	Begun, Last  uint64
	Frames, Sent uint64
	Ended        uint64
}

// template is the value of template_map.
type template struct {
	Len      uint32
	XIDAt    uint16
	MACAt    [maxMACs]uint16
	UUIDAt   uint16
	EtherSrc uint8
	_        [3]uint8
	Frame    [2048 + 16]byte
}

// Identity is a simulated machine, as identities_map holds it.
type Identity struct {
	MAC  [6]byte
	_    [2]byte
	UUID [16]byte
}

// slot is a value of slots_map.
type slot struct {
	Sent  uint64
	XID   uint32
	State uint32
}

// place is four bytes of a flood's frame.
type place struct {
	At   uint32
	Mask [4]byte
	Base [4]byte
}

// flood is the value of flood_map.
type flood struct {
	Len   uint32
	IPAt  uint32
	Place [FloodWords][FloodPlaces]place
	Frame [2048 + 16]byte
}

// sample is the head of a record in samples_map.
type sample struct {
	Verdict Verdict
	Len     uint32
	Serial  uint32
	_       uint32
}

// bucketTop returns the highest value of a bucket of latency_map.
func bucketTop(bucket int) time.Duration {
	if bucket < 1<<subBits {
		return time.Duration(bucket)
	}
	shift := bucket>>subBits - 1
	return time.Duration(bucket-shift<<subBits+1)<<shift - 1
}

// bucketOf is bucket_of of reply.h.
func bucketOf(d time.Duration) int {
	if d < 1<<subBits {
		return int(d)
	}
	shift := bits.Len64(uint64(d)) - 1 - subBits
	return min(shift<<subBits+int(d>>shift), numBuckets-1)
}
