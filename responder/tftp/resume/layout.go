package resume

import (
	"sync/atomic"
	"unsafe"
)

// Version is the layout's.
const Version = 1

// magic begins the file.
var magic = [8]byte{'X', 'D', 'P', 'X', 'E', 'T', 'F', 'T'}

// maxPath is the longest path of a file that is kept, in bytes.
const maxPath = 576

// header begins the file.
type header struct {
	magic      [8]byte
	version    uint32
	headerSize uint32 // of these three structures in bytes
	fileSize   uint32
	recordSize uint32
	files      uint32 // entries of the tables
	records    uint32
	boot       [16]byte // boot_id of the kernel: sockets and inodes do not outlive it
	sum        uint64   // of all before
	_          [64]byte
}

// fileEntry is one file that is being served.
type fileEntry struct {
	live            uint64 // checksum of the rest; 0: free
	dev, ino        uint64
	size, sec, nsec int64
	length          uint64 // of path
	_               uint64
	path            [maxPath]byte
}

// Record is the place of one transfer in the mapping.
type Record struct {
	live atomic.Uint64 // checksum of all but base; 0: free
	base atomic.Uint64
	fixed
}

// fixed is the part of a record that does not change.
type fixed struct {
	size    int64
	request uint64
	started int64 // wall clock, nanoseconds
	file    uint64
	client  [16]byte
	local   [16]byte
	zone    uint32
	port    uint16
	tid     uint16
	socket  uint16
	blksize uint16
	window  uint16
	burst   uint16
	mtu     uint16
	timeout uint8
	options uint8
	_       [16]byte
}

const (
	headerSize = int(unsafe.Sizeof(header{}))
	entrySize  = int(unsafe.Sizeof(fileEntry{}))
	recordSize = int(unsafe.Sizeof(Record{}))
)

// length returns the size of a file with such tables.
func length(files, records uint32) int64 {
	return int64(headerSize) + int64(files)*int64(entrySize) + int64(records)*int64(recordSize)
}

// checksum is FNV-1a over the n bytes at p, and never 0.
func checksum(p unsafe.Pointer, n int) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range unsafe.Slice((*byte)(p), n) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h | 1<<63
}

func (h *header) checksum() uint64 { return checksum(unsafe.Pointer(h), int(unsafe.Offsetof(h.sum))) }

func (e *fileEntry) checksum() uint64 {
	first := unsafe.Sizeof(e.live)
	return checksum(unsafe.Add(unsafe.Pointer(e), first), entrySize-int(first))
}

func (f *fixed) checksum() uint64 { return checksum(unsafe.Pointer(f), int(unsafe.Sizeof(*f))) }

// tables cuts the mapping into its parts. It has the length of its header's tables.
func tables(m []byte, files, records uint32) (*header, []fileEntry, []Record) {
	p := unsafe.Pointer(unsafe.SliceData(m))
	entries := unsafe.Add(p, headerSize)
	return (*header)(p), unsafe.Slice((*fileEntry)(entries), files),
		unsafe.Slice((*Record)(unsafe.Add(entries, int(files)*entrySize)), records)
}

// place returns the number of a record.
func (s *State) place(r *Record) uint32 {
	return uint32((uintptr(unsafe.Pointer(r)) - uintptr(unsafe.Pointer(&s.records[0]))) / uintptr(recordSize))
}
