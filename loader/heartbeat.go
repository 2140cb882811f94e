package loader

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// mappedWord is a word in a map of the program's that is written without a system call.
type mappedWord struct {
	mu  sync.RWMutex // against the unmapping
	mem []byte
}

func mapWord(m *ebpf.Map) (*mappedWord, error) {
	mem, err := unix.Mmap(m.FD(), 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	return &mappedWord{mem: mem}, nil
}

// set stores a value; after close it does nothing.
func (w *mappedWord) set(value uint64) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.mem != nil {
		atomic.StoreUint64((*uint64)(unsafe.Pointer(&w.mem[0])), value)
	}
}

// get returns the value; after close it is 0.
func (w *mappedWord) get() uint64 {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.mem == nil {
		return 0
	}
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(&w.mem[0])))
}

func (w *mappedWord) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mem == nil {
		return nil
	}
	err := unix.Munmap(w.mem)
	w.mem = nil
	return err
}

// monotonic returns CLOCK_MONOTONIC, the clock of bpf_ktime_get_ns.
func monotonic() uint64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail for this clock
	return uint64(ts.Nano())
}
