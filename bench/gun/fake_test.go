package gun

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// clock is the time of a test: it passes only where somebody waits.
type clock struct{ t time.Duration }

func (c *clock) now() time.Duration { return c.t }

// look is what a look at an empty port costs.
const look = 5 * time.Microsecond

// wire is a port in memory with a scripted server behind it.
type wire struct {
	clock  *clock
	server func(request []byte) []delivery
	queue  []delivery // by time
	taken  int        // frames in the gun's hands
	took   []time.Duration
	stats  port.Stats
}

// delivery is a frame that arrives some time after the request was sent.
type delivery struct {
	after time.Duration
	frame []byte
}

func (w *wire) Alloc(dst []port.Frame) int {
	for i := range dst {
		dst[i] = port.Frame{Data: make([]byte, 0, port.FrameRoom)}
	}
	w.taken += len(dst)
	return len(dst)
}

func (w *wire) Send(f []port.Frame) (int, error) {
	for i := range f {
		w.took = append(w.took, w.clock.t)
		w.stats.Sent++
		for _, d := range w.server(f[i].Data) {
			d.after += w.clock.t
			at, _ := slices.BinarySearchFunc(w.queue, d, func(a, b delivery) int {
				if a.after <= b.after { // behind those of the same time
					return -1
				}
				return 1
			})
			w.queue = slices.Insert(w.queue, at, d)
		}
	}
	w.taken -= len(f)
	return len(f), nil
}

func (w *wire) Flush() error { return nil }

func (w *wire) Recv(dst []port.Frame, wait time.Duration) (n int, err error) {
	end := w.clock.t + max(wait, look)
	if len(w.queue) > 0 && w.queue[0].after <= end {
		w.clock.t = max(w.clock.t, w.queue[0].after)
	} else {
		w.clock.t = end
	}
	for n < len(dst) && len(w.queue) > 0 && w.queue[0].after <= w.clock.t {
		dst[n] = port.Frame{Data: w.queue[0].frame}
		w.queue = w.queue[1:]
		n++
	}
	w.taken += n
	w.stats.Received += uint64(n)
	return n, nil
}

func (w *wire) Release(f []port.Frame) { w.taken -= len(f) }
func (w *wire) MAC() net.HardwareAddr  { return net.HardwareAddr{0x02, 0xaa, 0, 0, 0, 1} }
func (w *wire) Stats() port.Stats      { return w.stats }
func (w *wire) Close() error           { return nil }

var (
	server    = netip.MustParseAddr("192.0.2.10")
	serverMAC = [6]byte{0x02, 0xbb, 0, 0, 0, 1}
)

// answerer is a boot server that answers everything rightly, 50 µs later, but
// for what change does to the n-th request's answers (from 0).
type answerer struct {
	t      testing.TB
	n      int
	change func(n int, good delivery, p *reply) []delivery
}

// reply is an answer before it becomes a frame.
type reply struct {
	meta    packet.Meta
	payload []byte
}

const quick = 50 * time.Microsecond

// frame makes the bytes.
func (r *reply) frame() []byte {
	b := make([]byte, port.FrameRoom)
	head := packet.HeaderLen(&r.meta)
	copy(b[head:], r.payload)
	return b[:packet.Build(b, &r.meta, len(r.payload))]
}

// set replaces the data of an option that has the same length.
func (r *reply) set(code byte, data ...byte) {
	for at := 240; at < len(r.payload) && r.payload[at] != 255; at += 2 + int(r.payload[at+1]) {
		if r.payload[at] == code {
			copy(r.payload[at+2:], data)
		}
	}
}

func (a *answerer) serve(request []byte) []delivery {
	var p packet.Packet
	if packet.Parse(request, &p) != packet.Answered {
		return nil // ARP
	}
	r := answerTo(a.t, &p)
	good := delivery{quick, r.frame()}
	n := a.n
	a.n++
	if a.change == nil {
		return []delivery{good}
	}
	return a.change(n, good, r)
}

// answerTo makes the reply of a good server.
func answerTo(t testing.TB, p *packet.Packet) *reply {
	t.Helper()
	req := p.Payload
	m := make([]byte, 240, 400)
	copy(m, []byte{2, 1, 6, 0})
	copy(m[4:8], req[4:8])
	copy(m[10:16], req[10:16]) // flags, ciaddr
	own := server.As4()
	copy(m[20:], own[:])
	copy(m[24:44], req[24:44]) // giaddr, chaddr
	copy(m[108:], "snponly.efi")
	copy(m[236:240], req[236:240])
	kind := byte(dhcpc.Offer)
	if p.Dst.Port() == packet.PortBINL {
		kind = dhcpc.ACK
	}
	m = append(m, 53, 1, kind, 54, 4, own[0], own[1], own[2], own[3], 60, 9)
	m = append(m, "PXEClient"...)
	var uuid, relay []byte
	for at := 240; req[at] != 255; at += 2 + int(req[at+1]) {
		switch option := req[at : at+2+int(req[at+1])]; req[at] {
		case 97:
			uuid = option
		case 82:
			relay = option
		}
	}
	m = append(append(append(m, uuid...), relay...), 255)
	r := &reply{payload: m, meta: packet.Meta{SrcMAC: serverMAC, DstMAC: p.SrcMAC, VLANs: p.VLANs, NumVLANs: p.NumVLANs, Src: netip.AddrPortFrom(server, p.Dst.Port())}}
	r.meta.Dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), packet.PortDHCPClient)
	if giaddr := netip.AddrFrom4([4]byte(req[24:28])); !giaddr.IsUnspecified() {
		r.meta.Dst = netip.AddrPortFrom(giaddr, packet.PortDHCPServer)
	} else if p.Dst.Port() == packet.PortBINL {
		r.meta.Dst = p.Src
	}
	return r
}

// fakeGun makes a gun with a server behind each port.
func fakeGun(t testing.TB, l Load, change func(n int, good delivery, p *reply) []delivery) (*Gun, *wire) {
	t.Helper()
	c := &clock{}
	w := &wire{clock: c, server: (&answerer{t: t, change: change}).serve}
	g, err := newGun(context.Background(), l, []port.Port{w}, c.now)
	if err != nil {
		t.Fatal(err)
	}
	g.firstXID = 0xfffffff0 // xids wrap within the first requests
	return g, w
}

func mustRun(t *testing.T, g *Gun, s Schedule) *Outcome {
	t.Helper()
	o, err := g.Run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return o
}
