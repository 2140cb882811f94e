//go:build !race

package tftp

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestSteadyStateAllocates has a transfer going on for ever.
func TestSteadyStateAllocates(t *testing.T) {
	file := randomFile(4<<20, 3)
	for _, gso := range []bool{true, false} {
		w, client := byHand(t, Config{GSO: gso}, file)
		d := w.open(t, client, "blksize", "1468", "windowsize", "4")
		e := w.endpoints[0]
		w.sendRound(e)
		n := 0
		allocs := testing.AllocsPerRun(500, func() {
			n += 4
			d.payload[2], d.payload[3] = byte(n>>8), byte(n)
			w.now = w.server.clock()
			w.onPacket(e, d)
			w.expire()
			w.sendRound(e)
			w.sweep()
			if _, errno := w.recv.recv(e.requests); errno != unix.EAGAIN {
				t.Fatal(errno)
			}
		})
		if allocs != 0 {
			t.Errorf("gso %v: %v allocations per acknowledgement", gso, allocs)
		}
		if got := w.counters.blocks.Load(); got < 2000 {
			t.Errorf("only %d blocks were sent", got)
		}
	}
}
