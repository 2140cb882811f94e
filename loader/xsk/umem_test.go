package xsk

import "testing"

func TestFreeListIsLIFO(t *testing.T) {
	u := newUmem(make([]byte, 4*FrameSize))
	a, b := u.alloc(), u.alloc()
	if a != 0 || b != 1 {
		t.Fatalf("first frames %d and %d, want 0 and 1", a, b)
	}
	u.release(a)
	u.release(b)
	if got := u.alloc(); got != b {
		t.Errorf("got frame %d, want the one released last, %d", got, b)
	}
}

func TestFrameCannotReachItsNeighbour(t *testing.T) {
	u := newUmem(make([]byte, 2*FrameSize))
	first := u.buf(0)
	if len(first) != FrameSize || cap(first) != FrameSize {
		t.Fatalf("frame has len %d cap %d", len(first), cap(first))
	}
	_ = append(first, 0xff)
	if u.mem[FrameSize] != 0 {
		t.Error("append wrote into the next frame")
	}
	f := Frame{Buf: first, Off: Headroom, Len: 10}
	if got := cap(f.Data()); got != FrameSize-Headroom {
		t.Errorf("datagram has cap %d", got)
	}
}

// Each frame is in one place: what would put it in a second is refused.
func TestFramesAreInOnePlace(t *testing.T) {
	u := newUmem(make([]byte, 4*FrameSize))
	id := u.alloc()
	if !u.release(id) || u.release(id) {
		t.Error("a second release was accepted")
	}
	if u.release(99) || u.sent(99) || u.holds(99) {
		t.Error("a frame that is not there was accepted")
	}
	id = u.alloc()
	if !u.sent(id) || u.sent(id) || u.release(id) {
		t.Error("a sent frame was accepted again")
	}
	addr := uint64(id)*FrameSize + Headroom
	if !u.completed(addr) || u.completed(addr) {
		t.Error("a second completion was accepted")
	}
	if _, ok := u.received(addr); ok {
		t.Error("a frame that is not posted was received")
	}
	id = u.post()
	if u.inbound != 1 || u.release(id) {
		t.Error("a posted frame was released")
	}
	if _, ok := u.received(4 * FrameSize); ok {
		t.Error("an address behind the UMEM was received")
	}
	got, ok := u.received(uint64(id)*FrameSize + 300)
	if !ok || got != id || u.held != 1 {
		t.Errorf("received frame %d, %v, held %d", got, ok, u.held)
	}
	if !u.release(id) || u.inbound != 0 || u.held != 0 || len(u.free) != 4 {
		t.Errorf("at the end: inbound %d held %d free %d", u.inbound, u.held, len(u.free))
	}
}

func TestConfigDefaults(t *testing.T) {
	for _, c := range []struct {
		in             Config
		frames, rx, tx int
		ok             bool
	}{
		{Config{IfIndex: 1}, 4096, 2048, 2048, true},
		{Config{IfIndex: 1, Frames: 1000}, 1000, 256, 256, true},
		{Config{IfIndex: 1, Frames: 512, RxSize: 64}, 512, 64, 256, true},
		{Config{}, 0, 0, 0, false},
		{Config{IfIndex: 1, Queue: -1}, 0, 0, 0, false},
		{Config{IfIndex: 1, RxSize: 100}, 0, 0, 0, false},
		{Config{IfIndex: 1, TxSize: -4}, 0, 0, 0, false},
		{Config{IfIndex: 1, Frames: 64, RxSize: 64}, 0, 0, 0, false},
		{Config{IfIndex: 1, Frames: 1}, 0, 0, 0, false},
		{Config{IfIndex: 1, Frames: -5}, 0, 0, 0, false},
	} {
		got, err := c.in.withDefaults()
		if (err == nil) != c.ok {
			t.Errorf("%+v: error %v", c.in, err)
		} else if c.ok && (got.Frames != c.frames || got.RxSize != c.rx || got.TxSize != c.tx) {
			t.Errorf("%+v: %d frames, rings %d and %d", c.in, got.Frames, got.RxSize, got.TxSize)
		}
	}
}
