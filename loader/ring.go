package loader

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
)

// Ring reads the request records of one interface's ring buffer. Read has one
// caller at a time; the other methods may be called from any goroutine.
//
// It has the methods of responder/conn.RecordReader.
type Ring struct {
	mu     sync.Mutex // held while Read runs
	rd     *ringbuf.Reader
	closed bool
	woken  bool // a Wake that came while Read was not to wait

	record ringbuf.Record
}

func newRing(m *ebpf.Map) (*Ring, error) {
	rd, err := ringbuf.NewReader(m)
	if err != nil {
		return nil, fmt.Errorf("ring buffer reader: %w", err)
	}
	return &Ring{rd: rd}, nil
}

// Read copies the next record (bpf.RequestHeader and frame) into buf and
// returns its length; a record longer than buf is cut. It waits for at most
// wait: negative is for ever, 0 not at all. 0 and nil: nothing came, or Wake.
// After Close it returns an error that satisfies errors.Is(err, os.ErrClosed).
func (r *Ring) Read(buf []byte, wait time.Duration) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, fmt.Errorf("ring buffer: %w", os.ErrClosed)
	}
	if wait == 0 && r.rd.AvailableBytes() == 0 {
		return 0, nil // no system call to find nothing
	}
	if r.woken && wait != 0 {
		r.woken, wait = false, 0
	}
	r.rd.SetDeadline(deadline(wait))
	// The reader takes the record's buffer if it is long enough.
	r.record.RawSample = buf[:0]
	err := r.rd.ReadInto(&r.record)
	switch {
	case err == nil:
		n := copy(buf, r.record.RawSample)
		r.record.RawSample = nil
		return n, nil
	case errors.Is(err, ringbuf.ErrFlushed):
		r.woken = r.woken || wait == 0
		return 0, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, nil
	}
	return 0, fmt.Errorf("ring buffer: %w", err)
}

// deadline returns the time to wait until; the zero time is for ever.
func deadline(wait time.Duration) time.Time {
	switch {
	case wait < 0:
		return time.Time{}
	case wait == 0:
		return time.Unix(1, 0) // long past, and no look at the clock
	}
	return time.Now().Add(wait)
}

// Wake makes a Read that waits, or else the next one that would, return 0 and
// nil. After Close it does nothing.
func (r *Ring) Wake() { _ = r.rd.Flush() }

// Close ends the reader, and a Read that waits with it. Twice does no harm.
func (r *Ring) Close() error {
	err := r.rd.Close() // ends a Read, which holds the lock
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if err != nil {
		return fmt.Errorf("close ring buffer: %w", err)
	}
	return nil
}
