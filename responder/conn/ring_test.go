package conn

import (
	"encoding/binary"
	"errors"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// newTestRing is a Ring on one end of a pair.
func newTestRing(t *testing.T) (c *Ring, reader *records, near, far xsktest.End) {
	t.Helper()
	xsktest.Namespace(t)
	near, far = xsktest.Veth(t, 1)
	reader = newRecords()
	made, err := NewRing(reader, near.Index, near.MAC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { made.Close() })
	return made.(*Ring), reader, near, far
}

func TestRingDropsStaleRecords(t *testing.T) {
	c, reader, _, _ := newTestRing(t)
	now := monotonic()
	if now < uint64(maxStale)*2 {
		t.Fatal("the clock has not run long enough for a record to be old")
	}
	frame := func(n int) []byte { return makeFrame(requestMeta(), payload(n, 300)) }
	reader.ch <- makeRecord(now-uint64(maxStale)-1, frame(1)) // by the time it is read
	reader.ch <- makeRecord(now, frame(2))
	reader.ch <- makeRecord(0, frame(3))
	reader.ch <- makeRecord(now+uint64(time.Hour), frame(4)) // written after the batch's look at the clock
	in := make([]packet.Packet, 8)
	n, err := c.Recv(in, patience)
	if n != 2 || err != nil || in[0].Payload[3] != 2 || in[1].Payload[3] != 4 {
		t.Fatalf("received %d: %v", n, err)
	}
	if st := c.Stats(); st.Stale != 2 || st.Received != 4 || st.BadFrames != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestRingRefusesBrokenRecords(t *testing.T) {
	c, reader, near, _ := newTestRing(t)
	good := makeRecord(monotonic(), makeFrame(requestMeta(), payload(1, 300)))
	long := append([]byte(nil), good...)
	binary.NativeEndian.PutUint32(long[12:], 1<<31)
	short := append([]byte(nil), good...)
	binary.NativeEndian.PutUint32(short[12:], 30)
	for _, b := range [][]byte{good[:8], good[:recordHeader], good[:100], long, short,
		makeRecord(monotonic(), makeFrame(requestMeta(), payload(1, 60000)))} {
		reader.ch <- b
	}
	reader.ch <- append(append([]byte(nil), good...), make([]byte, 200)...) // a record of fixed size
	in := make([]packet.Packet, 8)
	n, err := c.Recv(in, patience)
	if n != 1 || err != nil || string(in[0].Payload) != string(payload(1, 300)) {
		t.Fatalf("received %d: %v", n, err)
	}
	if in[0].IfIndex != near.Index {
		t.Errorf("ifindex %d, want the port's %d and not the record's", in[0].IfIndex, near.Index)
	}
	if st := c.Stats(); st.BadFrames != 6 || st.Received != 7 {
		t.Errorf("stats %+v", st)
	}
}

// What was received before an error is not lost with it.
func TestRingReaderError(t *testing.T) {
	c, reader, _, _ := newTestRing(t)
	reader.fail = errors.New("map gone")
	reader.ch <- makeRecord(monotonic(), makeFrame(requestMeta(), payload(1, 300)))
	in := make([]packet.Packet, 8)
	if n, err := c.Recv(in, patience); n != 0 || !errors.Is(err, reader.fail) {
		t.Errorf("received %d: %v", n, err)
	}
	if len(c.requests.free) != ringBuffers {
		t.Errorf("%d buffers free of %d", len(c.requests.free), ringBuffers)
	}
}

func TestRingClosesItsReader(t *testing.T) {
	c, reader, _, _ := newTestRing(t)
	c.Close()
	select {
	case <-reader.closed:
	default:
		t.Error("the reader was not closed")
	}
}

// The packet socket is for sending: what arrives must not fill its buffer, nor cost a copy.
func TestRingSocketReceivesNothing(t *testing.T) {
	c, _, near, far := newTestRing(t)
	tap, seen := xsktest.OpenTap(t, far), xsktest.OpenTap(t, near)
	for i := range 10 {
		tap.Send(t, makeFrame(requestMeta(), payload(i, 300)))
	}
	for range 10 {
		seen.Next(t, func(frame []byte) bool { return len(frame) > 300 })
	}
	_, _, err := unix.Recvfrom(c.fds.socket, make([]byte, 2048), unix.MSG_DONTWAIT)
	if !errors.Is(err, unix.EAGAIN) {
		t.Errorf("the socket received: %v", err)
	}
}

func TestRingDeviceDownAndDeleted(t *testing.T) {
	c, _, near, _ := newTestRing(t)
	r := &rig{conn: c, ifindex: near.Index, mac: near.MAC}
	flush := func() error {
		p := r.alloc(t)
		p.Meta, p.Payload = r.broadcast(), append(p.Payload, payload(1, 300)...)
		if n, err := c.Send([]packet.Packet{p}); n != 1 || err != nil {
			t.Fatalf("sent %d: %v", n, err)
		}
		return c.Flush()
	}
	near.Down(t)
	if err := flush(); !errors.Is(err, syscall.ENETDOWN) {
		t.Errorf("Flush on a device that is down: %v", err)
	}
	near.Up(t)
	if err := flush(); err != nil {
		t.Errorf("Flush on a device that is up again: %v", err)
	}
	near.Delete(t)
	if err := flush(); !errors.Is(err, syscall.ENETDOWN) {
		t.Errorf("Flush on a device that is gone: %v", err)
	}
	// One was refused while the device was down, one when it was gone; the one
	// in between was taken or refused by a queue that was not running yet.
	if st := c.Stats(); st.Sent+st.SendErrors != 3 || st.SendErrors < 2 {
		t.Errorf("stats %+v", st)
	}
	if _, err := NewRing(newRecords(), near.Index, near.MAC); err == nil {
		t.Error("a ring on a device that is gone was opened")
	}
}
