package responder

import (
	"context"
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/responder/conn"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// rack is a Server with one worker on a fake wire.
type rack struct {
	*Server
	wire *conn.Fake
	end  chan error
	stop context.CancelFunc
}

func newRack(t *testing.T, spec policy.Spec, links Links) *rack {
	t.Helper()
	r := &rack{Server: New(zap.NewNop()), wire: conn.NewFake(128), end: make(chan error, 1)}
	r.SetAnswers(answersOf(t, spec))
	r.SetLinks(links)
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	go func() { r.end <- r.Serve(ctx, r.wire, "eth0", "native", nil) }()
	return r
}

func answersOf(t *testing.T, spec policy.Spec) *dhcp.Responder {
	t.Helper()
	p, err := policy.Compile(spec)
	if err != nil {
		t.Fatal(err)
	}
	return dhcp.New(p, dhcp.Options{})
}

func bootAll(file string) policy.Spec {
	return policy.Spec{Default: "all", Profiles: map[string]policy.Profile{"all": {Files: map[string]string{"x64-uefi": file}}}}
}

var eth0 = Links{{Port: 2}: {Name: "eth0", IfIndex: 2, Addr: netip.MustParseAddr("192.0.2.10"), MAC: [6]byte{2, 0xaa}}}

// discover is the DISCOVER of an x64 UEFI client.
func discover(port int, mac byte) packet.Packet {
	msg := make([]byte, 240, 300)
	msg[0], msg[1], msg[2], msg[7], msg[10] = 1, 1, 6, mac, 0x80
	copy(msg[28:], []byte{2, 0, 0, 0, 0, mac})
	copy(msg[236:], []byte{0x63, 0x82, 0x53, 0x63})
	msg = append(msg, 53, 1, 1, 93, 2, 0, 7, 60, 9)
	msg = append(append(msg, "PXEClient"...), 255)
	return packet.Packet{
		Meta: packet.Meta{
			IfIndex: port, SrcMAC: [6]byte{2, 0, 0, 0, 0, mac}, DstMAC: [6]byte{255, 255, 255, 255, 255, 255},
			Src: netip.MustParseAddrPort("0.0.0.0:68"), Dst: netip.MustParseAddrPort("255.255.255.255:67"),
		},
		Payload: msg,
	}
}

// What waits when a worker is to end is answered first.
func TestServeAnswersWhatWaits(t *testing.T) {
	s := New(zap.NewNop())
	s.SetAnswers(answersOf(t, bootAll("a.efi")))
	s.SetLinks(eth0)
	wire := conn.NewFake(256)
	const waiting = 2*batch + 1
	for i := range waiting {
		wire.Inject(discover(2, byte(i+1)))
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := s.Serve(ended, wire, "eth0", "socket", nil); err != nil {
		t.Fatal(err)
	}
	if got := len(wire.Replies(waiting)); got != waiting {
		t.Errorf("%d of %d requests answered", got, waiting)
	}
	if _, err := wire.Recv(make([]packet.Packet, 1), 0); !errors.Is(err, conn.ErrClosed) {
		t.Errorf("the connection is open: %v", err)
	}
}

func TestServeAnswersCountsAndReloads(t *testing.T) {
	r := newRack(t, bootAll("a.efi"), eth0)
	file := func(p packet.Packet) string {
		var v dhcp.View
		if reason := v.Parse(p.Payload); reason != packet.Answered {
			t.Fatalf("reply not readable: %v", reason)
		}
		return string(v.File())
	}
	r.wire.Inject(discover(2, 1))
	if got := file(r.wire.Replies(1)[0]); got != "a.efi" {
		t.Errorf("file %q, want a.efi", got)
	}
	r.wire.Inject(discover(3, 1)) // no address of ours there
	r.wire.Settle()

	r.SetAnswers(answersOf(t, bootAll("b.efi")))
	r.wire.Inject(discover(2, 2))
	if got := file(r.wire.Replies(1)[0]); got != "b.efi" {
		t.Errorf("after the reload: file %q, want b.efi", got)
	}
	r.SetAnswers(answersOf(t, policy.Spec{}))
	noEnd := discover(2, 3)
	noEnd.Payload = noEnd.Payload[:len(noEnd.Payload)-1]
	r.wire.Inject(noEnd)
	r.wire.Settle()

	want := []Count{
		{"eth0", "native", dhcp.StageDiscover, packet.Answered, 2},
		{"eth0", "native", dhcp.StageDiscover, packet.NoAddress, 1},
		{"eth0", "native", dhcp.StageDiscover, packet.DefaultIgnore, 1},
	}
	got := r.Counts()
	if len(got) != len(want) {
		t.Fatalf("counts %+v\n want %+v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("count %+v, want %+v", got[i], want[i])
		}
	}
	if notes := r.Notes(); len(notes) != 1 || notes[0] != (NoteCount{"eth0", dhcp.NoteNoEnd, 1}) {
		t.Errorf("notes %+v, want the one request without END", notes)
	}
	r.stop()
	if err := <-r.end; err != nil {
		t.Errorf("Serve ended by its context: %v", err)
	}
	if n := r.wire.Held(); n != 0 {
		t.Errorf("%d buffers not given back", n)
	}
}

func TestServeEndsWithTheConn(t *testing.T) {
	r := newRack(t, bootAll("a.efi"), eth0)
	r.wire.Fail(syscall.ENETDOWN)
	if err := <-r.end; !errors.Is(err, syscall.ENETDOWN) {
		t.Errorf("Serve returned %v, want ENETDOWN", err)
	}
	if !r.Alive("eth0", time.Now().Add(time.Hour), time.Second) {
		t.Error("a worker that has ended still counts as hanging")
	}
}

func TestAlive(t *testing.T) {
	s := New(zap.NewNop())
	w := &worker{iface: "eth0"}
	t0 := time.Unix(1_700_000_000, 0)
	w.turned.Store(t0.UnixNano())
	s.join(w)
	if !s.Alive("eth0", t0.Add(time.Second), time.Second) || s.Alive("eth0", t0.Add(time.Second+1), time.Second) {
		t.Error("a worker is alive for just as long as asked since its last turn")
	}
	if !s.Alive("eth1", t0.Add(time.Hour), time.Second) {
		t.Error("another interface's worker counts")
	}
}

func TestTap(t *testing.T) {
	r := newRack(t, bootAll("a.efi"), eth0)
	frames := make(chan Frame, 8)
	cancel := r.Tap("eth0", func(f Frame) { frames <- f })
	defer r.Tap("eth1", func(Frame) { t.Error("a frame of another interface") })()
	r.wire.Inject(discover(2, 1))
	reply := r.wire.Replies(1)[0]
	in, out := <-frames, <-frames
	if in.Out || !out.Out {
		t.Errorf("directions %v, %v: want the request, then the reply", in.Out, out.Out)
	}
	var got packet.Packet
	if reason := packet.Parse(out.Data, &got); reason != packet.Answered || string(got.Payload) != string(reply.Payload) || got.Dst != reply.Dst {
		t.Errorf("tapped frame (%v) does not carry the reply", reason)
	}
	cancel()
	r.wire.Inject(discover(2, 1))
	r.wire.Replies(1)
	if len(frames) != 0 {
		t.Error("a frame after cancel")
	}
}

func TestHandleDoesNotAllocate(t *testing.T) {
	s := New(zap.NewNop())
	s.SetAnswers(answersOf(t, bootAll("a.efi")))
	s.SetLinks(eth0)
	w := &worker{server: s, iface: "eth0", tier: "native", counts: s.countersFor("eth0", "native")}
	in := []packet.Packet{discover(2, 1), discover(2, 2), discover(3, 3)}
	out := make([]packet.Packet, len(in))
	bufs := make([][]byte, len(in))
	for i := range bufs {
		bufs[i] = make([]byte, 0, conn.MaxPayload)
	}
	now := time.Unix(1_700_000_000, 0)
	n := testing.AllocsPerRun(100, func() {
		for i := range out {
			out[i].Payload = bufs[i]
		}
		if used := w.handle(now, in, out); used != 2 {
			t.Fatalf("%d answers, want 2", used)
		}
		now = now.Add(time.Minute) // so that each run is news to the journal
	})
	if n != 0 {
		t.Errorf("handle allocates %v times", n)
	}
}
