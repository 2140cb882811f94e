package binding

import (
	"hash/crc32"
	"sync/atomic"
	"unsafe"
)

// Version is the layout's. Whoever changes it changes the number.
const Version = 1

// magic begins the file.
var magic = [8]byte{'X', 'D', 'P', 'X', 'E', 'B', 'N', 'D'}

// Bounds of what is kept of a machine, in bytes. What is longer is left out, not
// cut: half a name may be another's. Policies and deployments keep to maxName.
const (
	maxArch    = 24
	maxName    = 63 // of profiles and deployments
	maxCircuit = 128
)

// header begins the file.
type header struct {
	magic      [8]byte
	version    uint32
	headerSize uint32
	slotSize   uint32
	slots      uint32
	boot       [16]byte // boot_id of the kernel
	sum        uint64   // of all before
	_          [80]byte
}

// slot is the place of one machine.
type slot struct {
	live  atomic.Uint64 // checksum of record; 0: free, or about to change
	heard atomic.Int64  // wall clock, nanoseconds; by itself, as each request changes it
	record
}

// record is what is kept of a machine, in the machine's own byte order.
type record struct {
	bound    int64 // when it claimed addr last
	disputed int64 // when it, or the machine that had addr before, was not alone in that; 0: never
	addr     [16]byte
	mac      [16]byte
	uuid     [16]byte // as on the wire
	arch     [maxArch]byte
	profile  [maxName]byte
	deploy   [maxName]byte
	circuit  [maxCircuit]byte

	macLen, archLen, profileLen, deployLen, circuitLen uint8

	flags uint8
	_     [20]byte // to whole cache lines
}

// Flags of a record.
const (
	hasAddr = 1 << iota
	hasUUID
	wasAnswered
)

const (
	headerSize = int(unsafe.Sizeof(header{}))
	slotSize   = int(unsafe.Sizeof(slot{}))
)

// length returns the size of a file with so many slots.
func length(slots int) int64 { return int64(headerSize) + int64(slots)*int64(slotSize) }

// view cuts a file's memory into its parts. It has the length of its header's slots.
func view(m []byte, slots int) (*header, []slot) {
	p := unsafe.Pointer(unsafe.SliceData(m))
	return (*header)(p), unsafe.Slice((*slot)(unsafe.Add(p, headerSize)), slots)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli) // which processors have an instruction for

// checksum is never 0.
func checksum(p unsafe.Pointer, n int) uint64 {
	return uint64(crc32.Checksum(unsafe.Slice((*byte)(p), n), castagnoli)) | 1<<32
}

func (h *header) checksum() uint64 { return checksum(unsafe.Pointer(h), int(unsafe.Offsetof(h.sum))) }

func (r *record) checksum() uint64 { return checksum(unsafe.Pointer(r), int(unsafe.Sizeof(*r))) }

// write changes a slot so that whoever finds it half written can tell.
func (s *slot) write(r *record) {
	s.live.Store(0)
	s.record = *r
	s.live.Store(s.record.checksum())
}
