package port

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
)

// patience bounds what a test waits for a frame that must come.
const patience = 10 * time.Second

// cable is a veth pair with a port at one end and a packet socket at the other.
func cable(t *testing.T, kind Kind) (p Port, far *xsktest.Tap, near, end xsktest.End) {
	t.Helper()
	xsktest.Namespace(t)
	near, end = xsktest.Veth(t, 1)
	far = xsktest.OpenTap(t, end)
	p, err := Open(Options{Interface: near.Name, Kind: kind})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p, far, near, end
}

func eachKind(t *testing.T, f func(t *testing.T, kind Kind)) {
	for _, kind := range []Kind{XDP, Packet} {
		t.Run(kind.String(), func(t *testing.T) { f(t, kind) })
	}
}

// numbered is a frame of an experimental EtherType (IEEE 802) with a number in it.
func numbered(b []byte, n uint32) []byte {
	b = append(b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 0x88, 0xb5)
	b = binary.BigEndian.AppendUint32(b, n)
	return append(b, bytes.Repeat([]byte{byte(n)}, 100)...)
}

func isNumbered(frame []byte) bool {
	return len(frame) == 118 && frame[12] == 0x88 && frame[13] == 0xb5
}

// receive returns n frames' copies.
func receive(t *testing.T, p Port, n int) (all [][]byte) {
	t.Helper()
	var in [32]Frame
	for end := time.Now().Add(patience); len(all) < n; {
		k, err := p.Recv(in[:], time.Until(end))
		if err != nil {
			t.Fatal(err)
		}
		if k == 0 && time.Now().After(end) {
			t.Fatalf("%d of %d frames came", len(all), n)
		}
		for i := range in[:k] {
			if isNumbered(in[i].Data) {
				all = append(all, bytes.Clone(in[i].Data))
			}
		}
		p.Release(in[:k])
	}
	return all
}

// Frames go both ways unchanged and in order, more of them than there is memory.
func TestBothWays(t *testing.T) {
	eachKind(t, func(t *testing.T, kind Kind) {
		p, far, near, _ := cable(t, kind)
		if [6]byte(p.MAC()) != near.MAC {
			t.Errorf("MAC %v, want %x", p.MAC(), near.MAC)
		}
		const rounds, each = 600, 20 // 12,000 frames each way
		var out [each]Frame
		for round := range rounds {
			if n := p.Alloc(out[:]); n != each {
				t.Fatalf("round %d: %d frames", round, n)
			}
			for i := range out {
				if len(out[i].Data) != 0 || cap(out[i].Data) < FrameRoom {
					t.Fatalf("an empty frame of %d, with room for %d", len(out[i].Data), cap(out[i].Data))
				}
				out[i].Data = numbered(out[i].Data, uint32(round*each+i))
			}
			if n, err := p.Send(out[:]); n != each || err != nil {
				t.Fatalf("round %d: sent %d: %v", round, n, err)
			}
			if err := p.Flush(); err != nil {
				t.Fatal(err)
			}
			for i := range each {
				want := uint32(round*each + i)
				if got := far.Next(t, isNumbered); !bytes.Equal(got, numbered(nil, want)) {
					t.Fatalf("frame %d came as %x", want, got)
				}
				far.Send(t, numbered(nil, want))
			}
			for i, got := range receive(t, p, each) {
				if want := uint32(round*each + i); !bytes.Equal(got, numbered(nil, want)) {
					t.Fatalf("frame %d was received as %x", want, got)
				}
			}
		}
		if s := p.Stats(); s.Sent != rounds*each || s.Received < rounds*each || s.Dropped != 0 || s.SendErrors != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// A received frame can be sent, and one that is not held cannot.
func TestSendReceived(t *testing.T) {
	eachKind(t, func(t *testing.T, kind Kind) {
		p, far, _, _ := cable(t, kind)
		far.Send(t, numbered(nil, 7))
		var in [1]Frame
		for end := time.Now().Add(patience); ; {
			n, err := p.Recv(in[:], time.Until(end))
			if err != nil || time.Now().After(end) {
				t.Fatal("nothing came", err)
			}
			if n == 1 && isNumbered(in[0].Data) {
				break
			}
			p.Release(in[:n])
		}
		in[0].Data[17] = 8
		if n, err := p.Send(in[:]); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if n, err := p.Send(in[:]); n != 0 || err == nil {
			t.Errorf("a frame was sent twice: %d, %v", n, err)
		}
		if err := p.Flush(); err != nil {
			t.Fatal(err)
		}
		if got := far.Next(t, isNumbered); got[17] != 8 {
			t.Errorf("%x", got)
		}
		if n, err := p.Recv(in[:], 0); n != 0 || err != nil {
			t.Errorf("%d frames of an empty port, %v", n, err)
		}
	})
}

// What the receiver is too slow for is counted.
func TestDropped(t *testing.T) {
	eachKind(t, func(t *testing.T, kind Kind) {
		p, far, _, end := cable(t, kind)
		room := uint64(xdpRx)
		if kind == Packet {
			// The least that the kernel gives: a few frames.
			if err := unix.SetsockoptInt(p.(*packetPort).fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 0); err != nil {
				t.Fatal(err)
			}
			room = 0
		}
		const sent = xdpRx + 500
		for i := range uint32(sent) {
			far.Send(t, numbered(nil, i))
		}
		// Frames are delivered in softirq: what is sent last may not have come yet.
		for deadline := time.Now().Add(patience); ; runtime.Gosched() {
			s := p.Stats()
			if s.Dropped == sent-room && kind == XDP || s.Dropped > sent/2 && kind == Packet {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%+v, of %d sent from %s", s, sent, end.Name)
			}
		}
	})
}

// A packet port puts a tag back that the kernel keeps beside the frame.
func TestTag(t *testing.T) {
	eachKind(t, func(t *testing.T, kind Kind) {
		p, far, _, _ := cable(t, kind)
		tagged := append(numbered(nil, 1)[:12:12], append([]byte{0x81, 0, 0x20, 42}, numbered(nil, 1)[12:]...)...)
		isTagged := func(f []byte) bool { return len(f) == 122 && f[12] == 0x81 }
		far.Send(t, tagged)
		var in [8]Frame
		for deadline := time.Now().Add(patience); ; {
			n, err := p.Recv(in[:], time.Until(deadline))
			if err != nil || time.Now().After(deadline) {
				t.Fatal("no tagged frame came", err)
			}
			found := false
			for i := range in[:n] {
				if found = found || isTagged(in[i].Data); isTagged(in[i].Data) && !bytes.Equal(in[i].Data, tagged) {
					t.Errorf("%x, want %x", in[i].Data, tagged)
				}
			}
			p.Release(in[:n])
			if found {
				break
			}
		}
		var out [1]Frame
		p.Alloc(out[:])
		out[0].Data = append(out[0].Data, tagged...)
		if _, err := p.Send(out[:]); err != nil {
			t.Fatal(err)
		}
		if err := p.Flush(); err != nil {
			t.Fatal(err)
		}
		if got := far.Next(t, isTagged); !bytes.Equal(got, tagged) {
			t.Errorf("%x, want %x", got, tagged)
		}
	})
}

// All queues of an interface open, and give it up when they close.
func TestQueues(t *testing.T) {
	eachKind(t, func(t *testing.T, kind Kind) {
		xsktest.Namespace(t)
		near, far := xsktest.Veth(t, 2)
		for range 2 {
			ports, err := OpenQueues(Options{Interface: near.Name, Kind: kind}, 2)
			if err != nil {
				t.Fatal(err)
			}
			tap := xsktest.OpenTap(t, far)
			tap.Send(t, numbered(nil, 3))
			got := 0
			for deadline := time.Now().Add(patience); got == 0 && time.Now().Before(deadline); {
				for _, p := range ports {
					var in [8]Frame
					n, err := p.Recv(in[:], time.Millisecond)
					if err != nil {
						t.Fatal(err)
					}
					for i := range in[:n] {
						if isNumbered(in[i].Data) {
							got++
						}
					}
					p.Release(in[:n])
				}
			}
			if got != 1 {
				t.Errorf("the frame came %d times", got)
			}
			for _, p := range ports {
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			}
			tap.Close()
		}
	})
}

func TestClosed(t *testing.T) {
	eachKind(t, func(t *testing.T, kind Kind) {
		p, _, _, _ := cable(t, kind)
		for range 2 {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
		var f [1]Frame
		if _, err := p.Recv(f[:], 0); !errors.Is(err, ErrClosed) {
			t.Errorf("Recv: %v", err)
		}
		if err := p.Flush(); !errors.Is(err, ErrClosed) {
			t.Errorf("Flush: %v", err)
		}
		p.Stats()
	})
}

func TestNoInterface(t *testing.T) {
	if _, err := Open(Options{Interface: "nowhere0"}); err == nil {
		t.Error("a port on no interface")
	}
	if _, err := ParseKind("carrier pigeon"); err == nil {
		t.Error("no sender")
	}
}

// Nothing is allocated for a frame, once a port is warm.
func TestNoAllocation(t *testing.T) {
	eachKind(t, func(t *testing.T, kind Kind) {
		p, _, _, _ := cable(t, kind)
		frame := numbered(nil, 1)
		var f [4]Frame
		if n := testing.AllocsPerRun(100, func() {
			n := p.Alloc(f[:])
			for i := range f[:n] {
				f[i].Data = append(f[i].Data, frame...)
			}
			if k, err := p.Send(f[:n]); k != n || err != nil {
				t.Fatal(k, err)
			}
			if err := p.Flush(); err != nil {
				t.Fatal(err)
			}
			n, err := p.Recv(f[:], 0)
			if err != nil {
				t.Fatal(err)
			}
			p.Release(f[:n])
		}); n != 0 {
			t.Errorf("%g allocations", n)
		}
	})
}
