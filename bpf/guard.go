package bpf

import (
	"encoding/binary"
	"time"
)

// Limit is a token bucket's: a token comes every Cost ns (0: no bound), and the
// bucket is full after Depth ns.
type Limit struct {
	Cost  uint64
	Depth uint64
}

// NewLimit returns the limit of so many a second and so many at once. A rate of
// 0 has no bound.
func NewLimit(rate, burst float64) Limit {
	if rate <= 0 {
		return Limit{}
	}
	cost := uint64(max(float64(time.Second)/rate, 1))
	return Limit{Cost: cost, Depth: uint64(burst * float64(cost))}
}

// NoTokens is a limit that nothing passes.
var NoTokens = Limit{Cost: 1}

// Bucket is a value of buckets_map. Writing one fills it again.
type Bucket struct {
	Limit Limit
	Empty uint64 // when it would have been empty, had it only been filled since; 0: it is full
}

// Budget is an index into buckets_map, as enum budget.
type Budget uint32

// A budget has two buckets: one for all, and behind it one that those who asked
// before take from first, alone.
const (
	BudgetRequests Budget = iota // handed up to user space
	BudgetRequestsKnown
	BudgetBroadcasts // requests whose answer all on the segment hear
	BudgetBroadcastsKnown
	BudgetTFTP // requests to the file server
	BudgetTFTPKnown
	BudgetSamples // records of samples_map

	NumBudgets
)

var budgetNames = [NumBudgets]string{"requests", "requests_known", "broadcasts", "broadcasts_known", "tftp", "tftp_known", "samples"}

// Guard is the value of guard_map[0]. Zero: the guard is off.
type Guard struct {
	Source     Limit  // of a DHCP client that asked before
	TFTPSource Limit  // of an address that asked before
	Seed       uint64 // of hashes; drawn once for the maps
	ClockAdd   uint64 // ns added to the clock, for tests
	On         uint32
	FilterMask uint32 // entries of filter_map in a generation, a power of two, less one
	TFTPPort   uint16 // of the file server; 0: none
	TFTPSingle uint16 // its data come and go by that port too
	Strays     uint32 // what is passed to 4011 ends in our own socket
}

// SourceKind says what a Source asks for, as enum source_kind.
type SourceKind uint32

const (
	SourceDHCP  SourceKind = iota
	SourceTFTP             // a file
	SourceStray            // nothing that is a PXE request, on 4011

	numSourceKinds
)

var sourceKindNames = [numSourceKinds]string{"dhcp", "tftp", "stray"}

// String returns the name.
func (k SourceKind) String() string {
	if k < numSourceKinds {
		return sourceKindNames[k]
	}
	return "unknown"
}

// Source is who asks: a key of sources_map.
type Source struct {
	Kind   SourceKind
	Addr   [4]byte // giaddr; else the source address
	CHAddr [16]byte
}

// Sample is a record of samples_map: one of what the guard refused.
type Sample struct {
	KtimeNS uint64
	Reason  Reason
	Src     [4]byte
	MAC     [6]byte   // the frame's source
	Known   uint16    // 1: asked before
	VID     [2]uint16 // as in AddrKey
	IfIndex uint32
	Who     Source
}

// SampleSize is the size of a Sample in a record, in bytes.
const SampleSize = 56

// ParseSample reads a record of samples_map.
func ParseSample(record []byte) (Sample, error) {
	var s Sample
	if len(record) < SampleSize {
		return s, errShortRecord
	}
	e := binary.NativeEndian
	s.KtimeNS, s.Reason = e.Uint64(record), Reason(e.Uint32(record[8:]))
	copy(s.Src[:], record[12:])
	copy(s.MAC[:], record[16:])
	s.Known, s.VID = e.Uint16(record[22:]), [2]uint16{e.Uint16(record[24:]), e.Uint16(record[26:])}
	s.IfIndex = e.Uint32(record[28:])
	s.Who.Kind = SourceKind(e.Uint32(record[32:]))
	copy(s.Who.Addr[:], record[36:])
	copy(s.Who.CHAddr[:], record[40:])
	return s, nil
}
