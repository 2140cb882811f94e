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
	ScratchMap   = "scratch_map"   // PERCPU_ARRAY[1], the program's own
)

// StaleNS is the variable (uint64, nanoseconds) that says from which age on
// the heartbeat is stale: spec.Variables[StaleNS].Set before loading.
const StaleNS = "stale_ns"

// RingSize is the default size of requests_map in bytes. A loader may set
// MaxEntries of the spec to another power of two that is a multiple of the
// page size.
const RingSize = 4 << 20

// LoadSpec returns the program and its maps, ready to be changed and loaded.
// Each call returns a new one, which is the caller's.
func LoadSpec() (*ebpf.CollectionSpec, error) {
	spec, err := loadPxe()
	if err != nil {
		return nil, fmt.Errorf("XDP object: %w", err)
	}
	return spec, nil
}
