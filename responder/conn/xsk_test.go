package conn

import (
	"errors"
	"syscall"
	"testing"

	"github.com/xdpxe/xdpxe/loader/xsk"
	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// After all kinds of traffic every frame is in its place.
func TestXSKLeaksNoFrame(t *testing.T) {
	r := xskRig(t, xsktest.Native)
	for i := range 50 {
		r.inject(t, makeFrame(requestMeta(), payload(i, 300)))
		r.junk(t)
		got := r.recv(t, 1)
		out := make([]packet.Packet, 5)
		n := r.conn.Alloc(out)
		out[0].Meta, out[0].Payload = r.broadcast(), append(out[0].Payload, payload(i, 300)...)
		out[1].Payload = make([]byte, 5000) // refused
		if sent, err := r.conn.Send(out[:2]); sent != 2 || err != nil {
			t.Fatalf("sent %d: %v", sent, err)
		}
		r.conn.Release(out[2:n])
		r.conn.Release(got)
		if err := r.conn.Flush(); err != nil {
			t.Fatal(err)
		}
		r.wantReply(t, r.broadcast(), payload(i, 300))
	}
	if n, err := r.conn.Recv(make([]packet.Packet, 4), 0); n != 0 || err != nil {
		t.Errorf("received %d: %v", n, err)
	}
	a := r.conn.(*XSK).socket.Account()
	if a.Held != 0 || a.Kernel != 0 || a.Tx != 0 || a.Free+a.Fill+a.Completion != a.Frames {
		t.Errorf("at rest: %+v", a)
	}
}

// A full TX ring leaves replies with the caller, who may give them back.
func TestXSKFullRing(t *testing.T) {
	xsktest.Namespace(t)
	near, _ := xsktest.Veth(t, 1)
	s, err := xsk.Open(xsk.Config{IfIndex: near.Index, Frames: 256, RxSize: 64, TxSize: 8})
	if err != nil {
		t.Fatal(err)
	}
	c := NewXSK(s, near.Index, near.MAC)
	defer c.Close()
	r := &rig{conn: c, ifindex: near.Index, mac: near.MAC}
	out := make([]packet.Packet, 100)
	if n := c.Alloc(out); n != len(out) {
		t.Fatalf("allocated %d", n)
	}
	for i := range out {
		out[i].Meta, out[i].Payload = r.broadcast(), append(out[i].Payload, payload(i, 300)...)
	}
	out[3].Payload = make([]byte, 5000) // refused; takes no room
	n, err := c.Send(out)
	if n != 9 || err != nil {
		t.Fatalf("sent %d of a ring of 8: %v", n, err)
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	if more, err := c.Send(out[n:]); more != 8 || err != nil {
		t.Errorf("sent %d more: %v", more, err)
	}
	c.Release(out[n+8:])
	if a := s.Account(); a.Held != 0 {
		t.Errorf("%d frames held", a.Held)
	}
}

func TestXSKDeviceDown(t *testing.T) {
	xsktest.Namespace(t)
	near, _ := xsktest.Veth(t, 1)
	s, err := xsk.Open(xsk.Config{IfIndex: near.Index, Frames: 64})
	if err != nil {
		t.Fatal(err)
	}
	c := NewXSK(s, near.Index, near.MAC)
	defer c.Close()
	near.Down(t)
	if _, err := c.Recv(make([]packet.Packet, 1), patience); !errors.Is(err, syscall.ENETDOWN) {
		t.Errorf("Recv on a device that is down: %v", err)
	}
}
