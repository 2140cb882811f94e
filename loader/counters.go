package loader

import (
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/xdpxe/xdpxe/bpf"
)

// sum adds up one per-CPU counter.
func sum(m *ebpf.Map, key uint32) (total uint64, err error) {
	var perCPU []uint64
	if err := m.Lookup(key, &perCPU); err != nil {
		return 0, fmt.Errorf("per-CPU counter %d: %w", key, err)
	}
	for _, n := range perCPU {
		total += n
	}
	return total, nil
}

// Counters returns how often the program ended for each reason since Open, in
// packets, by bpf.Reason names. Without a program it is empty.
func (d *Datapath) Counters() (map[string]uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.coll == nil {
		return nil, nil
	}
	out := make(map[string]uint64, bpf.NumReasons)
	for r := range bpf.NumReasons {
		n, err := sum(d.coll.Maps[bpf.CountersMap], uint32(r))
		if err != nil {
			return nil, fmt.Errorf("interface %s: %w", d.info.Iface, err)
		}
		out[r.String()] = n
	}
	return out, nil
}
