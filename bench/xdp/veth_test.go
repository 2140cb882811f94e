package xdp

import (
	"context"
	"encoding/binary"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/loader/xsk"
	"github.com/xdpxe/xdpxe/responder/packet"
)

const cable = "cable0"

// veth lays a cable between two namespaces.
func veth(t *testing.T) (near, far *lab.Namespace) {
	t.Helper()
	labtest.Need(t, false)
	l := labtest.New(t)
	near, err := l.Namespace("near")
	if err != nil {
		t.Fatal(err)
	}
	if far, err = l.Namespace("far"); err != nil {
		t.Fatal(err)
	}
	if err := near.Veth(cable, far, cable); err != nil {
		t.Fatal(err)
	}
	return near, far
}

func openOn(t *testing.T, ns *lab.Namespace, o Options) (g *Gun) {
	t.Helper()
	tmpl, machines, err := discover(t).template()
	if err != nil {
		t.Fatal(err)
	}
	o.Interface, o.Template, o.Identities, o.FirstXID = cable, tmpl, machines, discover(t).vars.XID
	if err := ns.Do(func() error { g, err = Open(o); return err }); err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// within waits until f says true, at most a good while.
func within(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// What is sent comes back from a bounce, or the interface says that it had no room.
func TestBounce(t *testing.T) {
	near, far := veth(t)
	var b *Bounce
	if err := far.Do(func() (err error) { b, err = OpenBounce(cable); return err }); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	g := openOn(t, near, Options{Slots: 128, Sink: true})
	_, before, err := g.Drops()
	if err != nil {
		t.Fatal(err)
	}
	shot, err := g.Fire(t.Context(), 20*time.Millisecond, 2)
	if err != nil {
		t.Fatal(err)
	}
	var c Counts
	within(t, "all frames back", func() bool {
		_, dropped, err := g.Drops()
		if err != nil {
			t.Fatal(err)
		}
		if c, err = g.Counts(); err != nil {
			t.Fatal(err)
		}
		return c.Frames()+dropped-before >= shot.Sent
	})
	if c.Frames() > shot.Sent || c.Frames() == 0 || c.Bytes() != c.Frames()*uint64(g.o.Template.Len()) || c[counterSent] != shot.Sent+shot.Refused {
		t.Errorf("%+v, counts %v", shot, c)
	}
}

// At a rate no more is sent than is due, and the sender is as fast as it goes again afterwards.
func TestPace(t *testing.T) {
	near, far := veth(t)
	var b *Bounce
	if err := far.Do(func() (err error) { b, err = OpenBounce(cable); return err }); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	g := openOn(t, near, Options{Slots: 1 << 16, Bounced: true, Patience: time.Hour})
	const due = 500
	shot, err := g.Pace(t.Context(), 10_000, due*time.Second/10_000)
	if err != nil {
		t.Fatal(err)
	}
	if shot.Sent == 0 || shot.Sent+shot.Refused > due || shot.Elapsed <= 0 {
		t.Errorf("%+v, want at most %d sent", shot, due)
	}
	c, err := g.Settle(t.Context(), 20*time.Second) // ends when all are answered
	if err != nil || shot.Refused == 0 && c[Answered] != shot.Sent || c[counterSent] != shot.Sent+shot.Refused {
		t.Errorf("%+v, counts %v, %v", shot, c, err)
	}
	if err := g.Shoot(100); err != nil {
		t.Fatal(err)
	}
	if now, err := g.Counts(); err != nil || now[counterSent] != c[counterSent]+100 {
		t.Errorf("%v after 100 more than %v, %v", now, c, err)
	}
	for _, rate := range []float64{0, 0.4, -1, 1e18} {
		if _, err := g.Pace(t.Context(), rate, time.Second); err == nil {
			t.Errorf("%g/s was taken", rate)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.Pace(ctx, 1000, time.Hour); err == nil {
		t.Error("went on after the end")
	}
}

// shorten makes an end of the cable send back, 8 bytes shorter, what is as long
// as it should be, and throw away the rest.
func shorten(t *testing.T, ns *lab.Namespace, length int) {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "Dual MIT/GPL", Instructions: asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.FnXdpGetBuffLen.Call(),
		asm.JNE.Imm(asm.R0, int32(length), "drop"),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Imm(asm.R2, -8),
		asm.FnXdpAdjustTail.Call(),
		asm.Mov.Imm(asm.R0, tx),
		asm.Return(),
		asm.Mov.Imm(asm.R0, drop).WithSymbol("drop"),
		asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := ns.Do(func() error {
		ifi, err := net.InterfaceByName(cable)
		if err != nil {
			return err
		}
		l, err := attach(p, ifi.Index)
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// Requests are as long as they should be, whatever became of the page's last one.
func TestRecycledLength(t *testing.T) {
	near, far := veth(t)
	g := openOn(t, near, Options{Slots: 1 << 16, Bounced: true, Patience: time.Hour})
	shorten(t, far, g.o.Template.Len())
	shot, err := g.Pace(t.Context(), 10_000, 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	within(t, "all frames back", func() bool {
		c, err := g.Counts()
		if err != nil {
			t.Fatal(err)
		}
		return c[Answered] == shot.Sent
	})
}

func TestFireStops(t *testing.T) {
	near, _ := veth(t)
	g := openOn(t, near, Options{Slots: 128})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if shot, err := g.Fire(ctx, time.Hour, 1); err == nil || shot.Sent != 0 {
		t.Errorf("%+v, %v", shot, err)
	}
	if _, err := g.Fire(t.Context(), time.Second, 1000); err == nil {
		t.Error("1000 senders")
	}
}

// The faults of a fakeServer, by the last digit of a request's serial number;
// the others are answered.
const (
	ignored   = 3
	twice     = 5
	stranger  = 7 // with another machine's chaddr
	leased    = 8 // with an address
	corrected = 9 // wrong first, then right
)

// fakeServer answers on an AF_XDP socket, with faults.
type fakeServer struct {
	socket   *xsk.Socket
	firstXID uint32
	requests [10]atomic.Uint64 // by last digit: each CPU's sender has numbers of its own, so they are not even
	replies  atomic.Uint64
	done     chan error
}

func startFakeServer(t *testing.T, ns *lab.Namespace) *fakeServer {
	t.Helper()
	s := &fakeServer{firstXID: discover(t).vars.XID, done: make(chan error, 1)}
	var redirect *Redirect
	if err := ns.Do(func() error {
		ifi, err := net.InterfaceByName(cable)
		if err != nil {
			return err
		}
		if redirect, err = NewRedirect(ifi.Index, 1); err != nil {
			return err
		}
		if s.socket, err = xsk.Open(xsk.Config{IfIndex: ifi.Index}); err != nil {
			return err
		}
		return redirect.Put(0, s.socket.FD())
	}); err != nil {
		t.Fatal(err)
	}
	go func() { s.done <- s.serve() }()
	t.Cleanup(func() {
		if err := redirect.Close(); err != nil {
			t.Error(err)
		}
		if err := s.socket.Close(); err != nil {
			t.Error(err)
		}
		if err := <-s.done; err != xsk.ErrClosed {
			t.Errorf("fake server: %v", err)
		}
	})
	return s
}

// seen is how many requests came with one of the digits.
func (s *fakeServer) seen(digits ...int) (n uint64) {
	for _, d := range digits {
		n += s.requests[d].Load()
	}
	return n
}

func (s *fakeServer) serve() error {
	frames := make([]xsk.Frame, 64)
	for {
		n, err := s.socket.Recv(frames, time.Second)
		if err != nil {
			return err
		}
		for i := range n {
			if err := s.answer(&frames[i]); err != nil {
				return err
			}
		}
		s.socket.Release(frames[:n])
		if err := s.socket.Flush(); err != nil {
			return err
		}
	}
}

func (s *fakeServer) answer(f *xsk.Frame) error {
	var p packet.Packet
	if packet.Parse(f.Data(), &p) != packet.Answered || p.Dst.Port() != packet.PortDHCPServer {
		return nil // the kernel's own chatter on a new cable
	}
	digit := (binary.BigEndian.Uint32(p.Payload[4:]) - s.firstXID) % 10
	s.requests[digit].Add(1)
	send := func(change func(msg []byte)) error {
		var out [1]xsk.Frame
		if s.socket.Alloc(out[:]) == 0 {
			return xsk.ErrBadFrame
		}
		msg := append([]byte(nil), p.Payload...)
		msg[0] = 2 // BOOTREPLY
		if change != nil {
			change(msg)
		}
		m := p.Meta
		m.Src, m.Dst = packetAddr("192.0.2.10", 67), packetAddr("255.255.255.255", 68)
		room := out[0].Buf[out[0].Off:]
		copy(room[packet.HeaderLen(&m):], msg)
		out[0].Len = packet.Build(room, &m, len(msg))
		s.replies.Add(1)
		_, err := s.socket.Send(out[:])
		return err
	}
	wrongMAC := func(msg []byte) { msg[28+5] ^= 0xff }
	switch digit {
	case ignored:
		return nil
	case stranger:
		return send(wrongMAC)
	case leased:
		return send(func(msg []byte) { msg[16] = 192 })
	case corrected:
		if err := send(wrongMAC); err != nil {
			return err
		}
	case twice:
		if err := send(nil); err != nil {
			return err
		}
	}
	return send(nil)
}

// Every request and every reply of a server with known faults is accounted for.
func TestAccounts(t *testing.T) {
	near, far := veth(t)
	server := startFakeServer(t, far)
	g := openOn(t, near, Options{Slots: 1024, Sample: 1, Patience: time.Hour})
	samples := make(chan map[Verdict]uint64, 1)
	go func() {
		seen := map[Verdict]uint64{}
		if err := g.Samples(func(s *Sample) { seen[s.Verdict]++ }); err != nil {
			t.Error(err)
		}
		samples <- seen
	}()
	// A veth queues 256 frames: no more are under way at once, so that none is lost.
	const shots, each = 10, 100
	for range shots {
		if err := g.Shoot(each); err != nil {
			t.Fatal(err)
		}
		within(t, "all replies counted", func() bool {
			c, err := g.Counts()
			if err != nil {
				t.Fatal(err)
			}
			return server.seen(0, 1, 2, 3, 4, 5, 6, 7, 8, 9) == c[counterSent] && c.Replies() == server.replies.Load()
		})
	}
	c, err := g.Counts()
	if err != nil {
		t.Fatal(err)
	}
	want := Counts{
		counterSent: shots * each, Answered: server.seen(0, 1, 2, 4, twice, 6, corrected), Duplicate: server.seen(twice),
		WrongCHAddr: server.seen(stranger, corrected), WrongYIAddr: server.seen(leased), counterWrong: server.seen(stranger, leased),
	}
	if c != want {
		t.Errorf("counts %v, want %v", c, want)
	}
	h := result.NewHistogram()
	if err := g.Latencies(h); err != nil || h.Count() != int64(want[Answered]) {
		t.Errorf("%d latencies, %v", h.Count(), err)
	}
	if err := g.EndSamples(); err != nil {
		t.Fatal(err)
	}
	seen := <-samples
	for v := Answered; v <= Malformed; v++ {
		if seen[v] != want[v] {
			t.Errorf("%d samples %v, want %d", seen[v], v, want[v])
		}
	}
}
