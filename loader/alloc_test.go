//go:build !race

package loader

import (
	"testing"

	"github.com/xdpxe/xdpxe/bpf"
)

// Not under the race detector, which allocates on its own.
func TestRingAllocatesNothing(t *testing.T) {
	r := newRig(t, 1)
	d := r.open(t, Options{Datapath: Ringbuf})
	frame := discover(1).frame()
	buf := make([]byte, bpf.MaxRecord)
	allocs := testing.AllocsPerRun(100, func() {
		r.client.Send(t, frame)
		if n, err := d.Ring().Read(buf, patience); n == 0 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		d.Ring().Read(buf, 0)
		d.Beat()
	})
	if allocs != 0 {
		t.Errorf("%v allocations for a record", allocs)
	}
}
