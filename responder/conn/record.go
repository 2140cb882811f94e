package conn

import (
	"encoding/binary"
	"time"
)

// RecordReader reads request records from a BPF ring buffer. Read has one
// caller at a time; Wake and Close may be called from any goroutine, Close
// only when no Read runs.
type RecordReader interface {
	// Read copies the next record into buf and returns its length; a record
	// longer than buf is cut. It waits for at most wait: negative is for ever,
	// 0 not at all. 0 and nil: nothing came, or Wake.
	Read(buf []byte, wait time.Duration) (n int, err error)
	// Wake makes a Read that waits, or else the next one that would, return 0
	// and nil. After Close it does nothing.
	Wake()
	// Close ends the reader.
	Close() error
}

// recordHeader is the size of what stands in front of the frame in a record:
// struct request of bpf/abi.h, in host byte order:
//
//	u64 ktime_ns (CLOCK_MONOTONIC), u32 ifindex, u32 length of the frame
const recordHeader = 16

// maxStale is how old a request may be to be answered, in a ring buffer or in
// the queue of a socket. A PXE client repeats its
// DISCOVER after 4 s (PXE 2.1 §2.4): an answer that is much later than the
// request meets a client that listens to the next one.
const maxStale = 2 * time.Second

// record splits a record into its time and frame; false if it is cut.
func record(b []byte) (ktime uint64, frame []byte, ok bool) {
	if len(b) < recordHeader {
		return 0, nil, false
	}
	ktime = binary.NativeEndian.Uint64(b)
	length := binary.NativeEndian.Uint32(b[12:])
	if uint64(length) > uint64(len(b)-recordHeader) {
		return 0, nil, false
	}
	return ktime, b[recordHeader : recordHeader+int(length)], true
}
