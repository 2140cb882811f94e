package xsk_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/loader/xsk"
	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
)

// wait is longer than anything here takes; it is never waited out in a test that passes.
const wait = 10 * time.Second

var modes = []struct {
	name string
	flag xsktest.Mode
}{{"native", xsktest.Native}, {"generic", xsktest.Generic}}

// frame is an Ethernet frame with number n in it, of an experimental EtherType (IEEE 802, 0x88b5).
func frame(n, size int) []byte {
	b := make([]byte, size)
	copy(b, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5})
	binary.BigEndian.PutUint32(b[14:], uint32(n))
	for i := 18; i < size; i++ {
		b[i] = byte(i * n)
	}
	return b
}

func ours(b []byte) bool { return len(b) >= 18 && b[12] == 0x88 && b[13] == 0xb5 }

type rig struct {
	near, far xsktest.End
	socket    *xsk.Socket
	tap       *xsktest.Tap
}

// newRig opens a socket on one end of a pair and a tap at the other.
func newRig(t testing.TB, c xsk.Config, mode xsktest.Mode) *rig {
	t.Helper()
	xsktest.Namespace(t)
	r := &rig{}
	r.near, r.far = xsktest.Veth(t, 1)
	c.IfIndex = r.near.Index
	r.socket = open(t, c)
	xsktest.Redirect(t, r.near, mode, r.socket.FD())
	r.tap = xsktest.OpenTap(t, r.far)
	return r
}

func open(t testing.TB, c xsk.Config) *xsk.Socket {
	t.Helper()
	s, err := xsk.Open(c)
	if errors.Is(err, xsk.ErrNotSupported) {
		t.Skip("needs AF_XDP in the kernel")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// recv receives exactly n frames.
func (r *rig) recv(t testing.TB, n int) []xsk.Frame {
	t.Helper()
	var got []xsk.Frame
	buf := make([]xsk.Frame, 16)
	for len(got) < n {
		k, err := r.socket.Recv(buf[:min(len(buf), n-len(got))], wait)
		if err != nil || k == 0 {
			t.Fatalf("received %d of %d frames: %v", len(got), n, err)
		}
		got = append(got, buf[:k]...)
	}
	return got
}

// settled checks that no frame is lost once nothing is under way.
func (r *rig) settled(t testing.TB, held int) {
	t.Helper()
	a := r.socket.Account()
	if a.Kernel != 0 || a.Held != held || a.Rx != 0 || a.Tx != 0 {
		t.Errorf("frames are lost or left over: %+v", a)
	}
	if a.Frames != a.Free+a.Fill+a.Rx+a.Tx+a.Completion+a.Held {
		t.Errorf("frames do not add up: %+v", a)
	}
}

func TestOpenFillsBeforeBind(t *testing.T) {
	r := newRig(t, xsk.Config{}, xsktest.Generic)
	info := r.socket.Info()
	if info.Frames != xsk.DefaultFrames || info.RxSize != xsk.DefaultRingSize || info.ZeroCopy {
		t.Errorf("obtained %+v", info)
	}
	if a := r.socket.Account(); a.Fill != info.RxSize || a.Free != info.Frames-info.RxSize {
		t.Errorf("after Open: %+v", a)
	}
}

func TestReceive(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			r := newRig(t, xsk.Config{Frames: 64}, mode.flag)
			for i := range 20 {
				r.tap.Send(t, frame(i, 60+50*i))
			}
			got := r.recv(t, 20)
			for i := range got {
				if !bytes.Equal(got[i].Data(), frame(i, 60+50*i)) {
					t.Errorf("frame %d differs: %x", i, got[i].Data())
				}
				if got[i].Off < xsk.Headroom {
					t.Errorf("frame %d has %d bytes of headroom", i, got[i].Off)
				}
			}
			r.settled(t, 20)
			r.socket.Release(got)
			r.settled(t, 0)
			if st := r.socket.Stats(); st.Received != 20 || st.Invalid != 0 || st.RxDropped != 0 {
				t.Errorf("stats %+v", st)
			}
		})
	}
}

// More frames than the kernel sends in one call in copy mode, and than the TX ring holds.
func TestTransmit(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			r := newRig(t, xsk.Config{Frames: 256, TxSize: 64}, mode.flag)
			buf := make([]xsk.Frame, 100)
			n := r.socket.Alloc(buf)
			if n != 100 {
				t.Fatalf("allocated %d frames", n)
			}
			for i := range buf {
				buf[i].Len = copy(buf[i].Buf[buf[i].Off:], frame(i, 60+10*i))
			}
			for rest := buf; len(rest) > 0; {
				sent, err := r.socket.Send(rest)
				if err != nil || sent == 0 || sent > 64 {
					t.Fatalf("sent %d of %d: %v", sent, len(rest), err)
				}
				rest = rest[sent:]
				if err := r.socket.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			for i := range buf {
				if got := r.tap.Next(t, ours); !bytes.Equal(got, frame(i, 60+10*i)) {
					t.Fatalf("frame %d differs: %x", i, got)
				}
			}
			if st := r.socket.Stats(); st.Sent != 100 || st.TxInvalid != 0 || st.Deferred != 0 {
				t.Errorf("stats %+v", st)
			}
			r.settled(t, 0)
		})
	}
}

// Many times round small rings, received frames sent back as they are: at the
// end every frame is where it can be used again.
func TestNoFrameLeaks(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			r := newRig(t, xsk.Config{Frames: 64, RxSize: 16, TxSize: 16}, mode.flag)
			for round := range 200 {
				for i := range 10 {
					r.tap.Send(t, frame(10*round+i, 100))
				}
				got := r.recv(t, 10)
				bounce := got[:6] // the other four are only released
				if n, err := r.socket.Send(bounce); n != len(bounce) || err != nil {
					t.Fatalf("round %d: sent %d: %v", round, n, err)
				}
				r.socket.Release(got[6:])
				if err := r.socket.Flush(); err != nil {
					t.Fatal(err)
				}
				for i := range bounce {
					if b := r.tap.Next(t, ours); !bytes.Equal(b, frame(10*round+i, 100)) {
						t.Fatalf("round %d: frame %d came back as %x", round, i, b)
					}
				}
			}
			r.settled(t, 0)
			if n, err := r.socket.Recv(make([]xsk.Frame, 1), 0); n != 0 || err != nil {
				t.Errorf("received %d: %v", n, err)
			}
			if a := r.socket.Account(); a.Completion != 0 || a.Fill != 16 || a.Free != 48 {
				t.Errorf("at rest: %+v", a)
			}
		})
	}
}

// What is beyond the posted frames is dropped and counted by the kernel, and
// the socket goes on. Held frames keep their room: they are not posted twice.
func TestReceiveExhaustion(t *testing.T) {
	r := newRig(t, xsk.Config{Frames: 64, RxSize: 16, TxSize: 16}, xsktest.Generic)
	for i := range 40 {
		r.tap.Send(t, frame(i, 60))
	}
	got := r.recv(t, 16)
	if n, err := r.socket.Recv(make([]xsk.Frame, 16), 0); n != 0 || err != nil {
		t.Fatalf("received %d more: %v", n, err)
	}
	if st := r.socket.Stats(); st.RxDropped+st.RxRingFull != 24 {
		t.Errorf("24 frames were dropped, stats say %+v", st)
	}
	if a := r.socket.Account(); a.Fill != 0 || a.Free != 48 {
		t.Errorf("with all that may be received held: %+v", a)
	}
	r.socket.Release(got)
	r.settled(t, 0)
	r.tap.Send(t, frame(99, 60))
	if got := r.recv(t, 1); !bytes.Equal(got[0].Data(), frame(99, 60)) {
		t.Errorf("after exhaustion: %x", got[0].Data())
	}
}

func TestAllocExhaustion(t *testing.T) {
	r := newRig(t, xsk.Config{Frames: 64, RxSize: 16, TxSize: 16}, xsktest.Generic)
	buf := make([]xsk.Frame, 100)
	if n := r.socket.Alloc(buf); n != 48 {
		t.Fatalf("allocated %d frames, want all but the posted 16", n)
	}
	if n := r.socket.Alloc(buf[48:]); n != 0 {
		t.Fatalf("allocated %d frames more", n)
	}
	r.socket.Release(buf[:48])
	r.socket.Release(buf[:48]) // a second time does no harm
	r.settled(t, 0)
	if n := r.socket.Alloc(buf); n != 48 {
		t.Errorf("allocated %d frames after release", n)
	}
}

func TestSendRefusesWrongFrames(t *testing.T) {
	r := newRig(t, xsk.Config{Frames: 64, RxSize: 16, TxSize: 16}, xsktest.Generic)
	var one [1]xsk.Frame
	r.socket.Alloc(one[:])
	for name, change := range map[string]func(*xsk.Frame){
		"empty":         func(f *xsk.Frame) { f.Len = 0 },
		"negative":      func(f *xsk.Frame) { f.Off, f.Len = -1, 60 },
		"over the end":  func(f *xsk.Frame) { f.Off, f.Len = xsk.FrameSize-10, 11 },
		"far":           func(f *xsk.Frame) { f.Off, f.Len = 1<<62, 1<<62 },
		"not held":      func(f *xsk.Frame) { f.ID, f.Len = 40, 60 },
		"no such frame": func(f *xsk.Frame) { f.ID, f.Len = 1<<31, 60 },
	} {
		bad := one
		change(&bad[0])
		if n, err := r.socket.Send(bad[:]); n != 0 || !errors.Is(err, xsk.ErrBadFrame) {
			t.Errorf("%s: sent %d, %v", name, n, err)
		}
	}
	r.socket.Release(one[:])
	r.settled(t, 0)
}

func TestQueues(t *testing.T) {
	xsktest.Namespace(t)
	near, far := xsktest.Veth(t, 2)
	s0 := open(t, xsk.Config{IfIndex: near.Index, Queue: 0, Frames: 64})
	s1 := open(t, xsk.Config{IfIndex: near.Index, Queue: 1, Frames: 64})
	xsktest.Redirect(t, near, xsktest.Native, s0.FD(), s1.FD())
	tap := xsktest.OpenTap(t, far)
	for i, s := range []*xsk.Socket{s0, s1} {
		var f [1]xsk.Frame
		s.Alloc(f[:])
		f[0].Len = copy(f[0].Buf[f[0].Off:], frame(i, 60))
		if n, err := s.Send(f[:]); n != 1 || err != nil {
			t.Fatalf("queue %d: %v", i, err)
		}
		if err := s.Flush(); err != nil {
			t.Fatalf("queue %d: %v", i, err)
		}
		if got := tap.Next(t, ours); !bytes.Equal(got, frame(i, 60)) {
			t.Errorf("queue %d: %x", i, got)
		}
	}
	if _, err := xsk.Open(xsk.Config{IfIndex: near.Index, Queue: 2, Frames: 64}); !errors.Is(err, unix.EINVAL) {
		t.Errorf("queue 2 of 2: %v", err)
	}
}

func TestZeroCopyIsNotSilentlyCopy(t *testing.T) {
	xsktest.Namespace(t)
	near, _ := xsktest.Veth(t, 1)
	s, err := xsk.Open(xsk.Config{IfIndex: near.Index, ZeroCopy: true, Frames: 64})
	if err == nil {
		s.Close()
		t.Skip("needs a driver without zero-copy; this veth has it")
	}
	if !errors.Is(err, xsk.ErrNoZeroCopy) {
		t.Errorf("veth has no zero-copy; got %v", err)
	}
}
