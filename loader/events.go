package loader

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"

	"github.com/xdpxe/xdpxe/bpf"
)

// events reads what templates did. The program wakes nobody for it.
type events struct {
	mu     sync.Mutex
	rd     *ringbuf.Reader
	record ringbuf.Record
	event  Event
	closed bool
}

func newEvents(m *ebpf.Map) (*events, error) {
	rd, err := ringbuf.NewReader(m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", bpf.EventsMap, err)
	}
	return &events{rd: rd}, nil
}

// drain calls each with every event that there is, but no longer than the ring
// is: the program may write as fast.
func (e *events) drain(each func(*Event)) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for range e.rd.BufferSize() / bpf.EventSize {
		if e.closed || e.rd.AvailableBytes() == 0 {
			return nil
		}
		e.rd.SetDeadline(deadline(0))
		if err := e.rd.ReadInto(&e.record); errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", bpf.EventsMap, err)
		}
		if err := bpf.ParseEvent(e.record.RawSample, &e.event); err != nil {
			return fmt.Errorf("%s: %w", bpf.EventsMap, err)
		}
		each(&e.event)
	}
	return nil
}

func (e *events) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	if err := e.rd.Close(); err != nil {
		return fmt.Errorf("%s: %w", bpf.EventsMap, err)
	}
	return nil
}
