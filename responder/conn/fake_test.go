package conn

import (
	"errors"
	"testing"

	"github.com/xdpxe/xdpxe/responder/packet"
)

func TestFakeFails(t *testing.T) {
	f := NewFake(2)
	broken := errors.New("broken")
	f.Fail(broken)
	if _, err := f.Recv(make([]packet.Packet, 1), -1); !errors.Is(err, broken) {
		t.Errorf("Recv: %v", err)
	}
	if n, err := f.Recv(make([]packet.Packet, 1), 0); n != 0 || err != nil {
		t.Errorf("Recv after the failure: %d, %v", n, err)
	}
}

// Nothing leaves before Flush: that is how tests see a worker that forgets it.
func TestFakeHoldsRepliesUntilFlush(t *testing.T) {
	f := NewFake(2)
	r := &rig{conn: f, ifindex: 1}
	p := r.alloc(t)
	p.Meta, p.Payload = r.broadcast(), append(p.Payload, 1, 2, 3)
	f.Send([]packet.Packet{p})
	if got := f.Replies(0); len(got) != 0 || f.Held() != 1 {
		t.Errorf("%d replies, %d buffers held before Flush", len(got), f.Held())
	}
	f.Flush()
	if got := f.Replies(1); len(got) != 1 || string(got[0].Payload) != "\x01\x02\x03" || f.Held() != 0 {
		t.Errorf("replies %v, %d buffers held after Flush", got, f.Held())
	}
}

func TestFakeDropsWhatItHasNoRoomFor(t *testing.T) {
	f := NewFake(1)
	request := packet.Packet{Meta: requestMeta(), Payload: payload(1, 300)}
	if !f.Inject(request) || f.Inject(request) || f.InjectFrame(1, nil) {
		t.Error("one buffer took two requests, or none")
	}
	if st := f.Stats(); st.Dropped != 1 || st.BadFrames != 1 {
		t.Errorf("stats %+v", st)
	}
	var in [1]packet.Packet
	f.Recv(in[:], -1)
	go f.Release(in[:])
	f.Settle()
	f.Close()
	if got := f.Replies(5); len(got) != 0 {
		t.Errorf("replies after Close: %v", got)
	}
}
