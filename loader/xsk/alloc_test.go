package xsk_test

import (
	"testing"

	"github.com/xdpxe/xdpxe/loader/xsk"
	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
)

func TestNoAllocationPerPacket(t *testing.T) {
	if raceEnabled {
		return // the same path runs in the other tests; only the counting is impossible
	}
	r := newRig(t, xsk.Config{Frames: 256}, xsktest.Native)
	in, out := make([]xsk.Frame, 8), make([]xsk.Frame, 8)
	request := frame(1, 300)
	turn := func() {
		for range in {
			r.tap.Send(t, request)
		}
		for left := len(in); left > 0; {
			n, err := r.socket.Recv(in[:left], -1)
			if err != nil {
				t.Fatal(err)
			}
			k := r.socket.Alloc(out[:n])
			for i := range out[:k] {
				out[i].Len = copy(out[i].Buf[out[i].Off:], in[i].Data())
			}
			if sent, err := r.socket.Send(out[:k]); sent != n || err != nil {
				t.Fatalf("sent %d of %d: %v", sent, n, err)
			}
			r.socket.Release(in[:n])
			left -= n
		}
		if err := r.socket.Flush(); err != nil {
			t.Fatal(err)
		}
		if n, err := r.socket.Recv(in, 1); n != 0 || err != nil { // the way through poll
			t.Fatal(n, err)
		}
	}
	if allocs := testing.AllocsPerRun(100, turn); allocs != 0 {
		t.Errorf("%v allocations per turn of %d packets", allocs, len(in))
	}
	r.settled(t, 0)
}
