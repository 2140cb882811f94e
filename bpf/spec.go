package bpf

import (
	"fmt"

	"github.com/cilium/ebpf"
)

// ProgramName is the program's name in the spec and in the kernel
// (`bpftool prog`), by which a loader knows its own.
const ProgramName = "xdpxe"

// Version is that of the maps' meaning. Raise it whenever content of a map that
// looks the same is to be read otherwise, so that no program takes over maps of
// another sort at a restart; a change of sizes or types shows by itself.
const Version = 1

// Maps of the program, by name.
const (
	HeartbeatMap = "heartbeat_map" // ARRAY[1], mmapable: uint64, CLOCK_MONOTONIC ns of the last sign of life, 0 = none
	SettingsMap  = "settings_map"  // ARRAY[1] of Settings
	AddrsMap     = "addrs_map"     // HASH AddrKey -> AddrValue
	ClassesMap   = "classes_map"   // ARRAY[MaxClasses] of ClassEntry
	XSKsMap      = "xsks_map"      // XSKMAP: RX queue -> AF_XDP socket
	RequestsMap  = "requests_map"  // RINGBUF of RequestHeader and frame
	CountersMap  = "counters_map"  // PERCPU_ARRAY[NumReasons] of uint64
	GuardMap     = "guard_map"     // ARRAY[1] of Guard
	BucketsMap   = "buckets_map"   // ARRAY[NumBudgets] of Bucket
	FilterMap    = "filter_map"    // ARRAY[FilterEntries], the program's own
	SourcesMap   = "sources_map"   // LRU_HASH Source -> uint64, the program's own
	SamplesMap   = "samples_map"   // RINGBUF of Sample
	ScratchMap   = "scratch_map"   // PERCPU_ARRAY[1], the program's own

	// Tier 0; abi.h says how they hang together.
	GenerationMap = "generation_map" // ARRAY[1], mmapable: uint64, the number of the templates that hold, 0 = none
	LengthsMap    = "lengths_map"    // ARRAY of Length, by LengthIndex
	LayoutsMap    = "layouts_map"    // ARRAY of Layout
	IndexMap      = "index_map"      // HASH uint64 -> uint32, slot of PatternsMap
	PatternsMap   = "patterns_map"   // ARRAY of Pattern
	ExactMap      = "exact_map"      // HASH ExactKey -> ExactValue
	RepliesMap    = "replies_map"    // ARRAY of Reply
	OutcomesMap   = "outcomes_map"   // PERCPU_ARRAY[MaxOutcomes+1] of uint64, by the templates' outcome
	EventsMap     = "events_map"     // RINGBUF of Event
)

// StaleNS is the variable (uint64, nanoseconds) that says from which age on
// the heartbeat is stale: spec.Variables[StaleNS].Set before loading.
const StaleNS = "stale_ns"

// EventRate is the variable (uint32) that says how many events a CPU writes in
// 2^30 ns at most.
const EventRate = "event_rate"

// RingSize is the default size of requests_map in bytes. A loader may set
// MaxEntries of the spec to another power of two that is a multiple of the
// page size.
const RingSize = 4 << 20

// EventRingSize is the default size of events_map in bytes.
const EventRingSize = 1 << 20

// Default sizes of the guard's tables, in entries. A loader may set MaxEntries
// of the spec: of filter_map to another power of two, which Guard.FilterMask then
// follows, of sources_map to any number.
const (
	FilterEntries   = 1 << 19 // of FilterEntrySize bytes, half of them for each generation
	FilterEntrySize = 32
	SourcesEntries  = 1 << 16
)

// LoadSpec returns the program and its maps, ready to be changed and loaded.
// Each call returns a new one, which is the caller's.
func LoadSpec() (*ebpf.CollectionSpec, error) {
	spec, err := loadPxe()
	if err != nil {
		return nil, fmt.Errorf("XDP object: %w", err)
	}
	// Pinning is the loader's own business; the object names it for others.
	for _, m := range spec.Maps {
		m.Pinning = ebpf.PinNone
	}
	return spec, nil
}
