package loader

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// heartbeat is the mapped word that the program reads first.
type heartbeat struct {
	mu  sync.RWMutex // against the unmapping
	mem []byte
}

func mapHeartbeat(m *ebpf.Map) (*heartbeat, error) {
	mem, err := unix.Mmap(m.FD(), 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the heartbeat: %w", err)
	}
	return &heartbeat{mem: mem}, nil
}

// set stores the time of a sign of life in CLOCK_MONOTONIC ns, 0 for none.
func (h *heartbeat) set(ns uint64) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.mem != nil {
		atomic.StoreUint64((*uint64)(unsafe.Pointer(&h.mem[0])), ns)
	}
}

func (h *heartbeat) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mem == nil {
		return nil
	}
	err := unix.Munmap(h.mem)
	h.mem = nil
	return err
}

// monotonic returns CLOCK_MONOTONIC, the clock of bpf_ktime_get_ns.
func monotonic() uint64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail for this clock
	return uint64(ts.Nano())
}
