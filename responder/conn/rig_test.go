package conn

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/loader/xsk"
	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// patience is longer than anything here takes; a test that passes never waits it out.
const patience = 10 * time.Second

var (
	serverAddr = netip.MustParseAddr("192.0.2.1")
	clientAddr = netip.MustParseAddr("192.0.2.50")
	clientMAC  = [6]byte{2, 0, 0, 0, 0, 0x50}
	everybody  = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
)

// rig is a Conn with what a test needs around it.
type rig struct {
	conn    Conn
	ifindex int
	mac     [6]byte                                            // of the Conn's port
	layer2  bool                                               // sees and sends MACs and tags
	memory  bool                                               // no wire at all
	buffers int                                                // the caller can hold so many at once in each direction
	inject  func(t testing.TB, frame []byte)                   // makes a frame arrive
	next    func(t testing.TB) (p packet.Packet, frame []byte) // the next reply; the frame where there is a wire
	junk    func(t testing.TB)                                 // makes something unparseable arrive; nil: cannot
}

// rigs are all implementations; every behaviour is tested on each.
var rigs = []struct {
	name string
	make func(t testing.TB) *rig
}{
	{"fake", fakeRig},
	{"udp", udpRig},
	{"ring", ringRig},
	{"xsk native", func(t testing.TB) *rig { return xskRig(t, xsktest.Native) }},
	{"xsk generic", func(t testing.TB) *rig { return xskRig(t, xsktest.Generic) }},
}

func fakeRig(t testing.TB) *rig {
	f := NewFake(100)
	var pending []packet.Packet
	return &rig{
		conn: f, ifindex: 7, mac: [6]byte{2, 0, 0, 0, 0, 1}, layer2: true, memory: true, buffers: 100,
		inject: func(t testing.TB, frame []byte) { f.InjectFrame(7, frame) },
		junk:   func(t testing.TB) { f.InjectFrame(7, make([]byte, 60)) },
		next: func(t testing.TB) (packet.Packet, []byte) {
			if len(pending) == 0 {
				pending = f.Replies(1)
			}
			p := pending[0]
			pending = pending[1:]
			return p, nil
		},
	}
}

// onWire opens a tap at far that gives the replies which leave near.
func (r *rig) onWire(t testing.TB, near, far xsktest.End) *xsktest.Tap {
	tap := xsktest.OpenTap(t, far)
	r.ifindex, r.mac = near.Index, near.MAC
	r.next = func(t testing.TB) (p packet.Packet, frame []byte) {
		t.Helper()
		frame = tap.Next(t, func(frame []byte) bool { return packet.Parse(frame, &p) == packet.Answered })
		return p, frame
	}
	t.Cleanup(func() { r.conn.Close() })
	return tap
}

func udpRig(t testing.TB) *rig {
	r := &rig{buffers: udpBuffers}
	xsktest.Namespace(t)
	near, far := xsktest.Veth(t, 1)
	near.Address(t, netip.PrefixFrom(serverAddr, 24))
	near.Neighbour(t, clientAddr, clientMAC)
	c, err := ListenUDP(near.Name, near.Index, packet.PortDHCPServer)
	if err != nil {
		t.Fatal(err)
	}
	r.conn = c
	r.inject = r.onWire(t, near, far).Send
	return r
}

func ringRig(t testing.TB) *rig {
	r := &rig{layer2: true, buffers: ringBuffers}
	xsktest.Namespace(t)
	near, far := xsktest.Veth(t, 1)
	reader := newRecords()
	c, err := NewRing(reader, near.Index, near.MAC)
	if err != nil {
		t.Fatal(err)
	}
	r.conn = c
	r.onWire(t, near, far)
	r.inject = func(t testing.TB, frame []byte) { reader.ch <- makeRecord(monotonic(), frame) }
	r.junk = func(t testing.TB) { reader.ch <- makeRecord(monotonic(), make([]byte, 60)) }
	return r
}

func xskRig(t testing.TB, mode xsktest.Mode) *rig {
	const frames, rx = 256, 128
	r := &rig{layer2: true, buffers: frames - rx}
	xsktest.Namespace(t)
	near, far := xsktest.Veth(t, 1)
	s, err := xsk.Open(xsk.Config{IfIndex: near.Index, Frames: frames, RxSize: rx, TxSize: rx})
	if errors.Is(err, xsk.ErrNotSupported) {
		t.Skip("needs AF_XDP in the kernel")
	}
	if err != nil {
		t.Fatal(err)
	}
	xsktest.Redirect(t, near, mode, s.FD())
	r.conn = NewXSK(s, near.Index, near.MAC)
	tap := r.onWire(t, near, far)
	r.inject = tap.Send
	r.junk = func(t testing.TB) { tap.Send(t, make([]byte, 60)) }
	return r
}

// records is a RecordReader fed by a channel.
type records struct {
	ch     chan []byte
	wake   chan struct{}
	closed chan struct{}
	fail   error
}

func newRecords() *records {
	return &records{ch: make(chan []byte, 1000), wake: make(chan struct{}, 1), closed: make(chan struct{})}
}

func (r *records) Read(buf []byte, wait time.Duration) (int, error) {
	select {
	case b := <-r.ch:
		return copy(buf, b), r.fail
	default:
	}
	if wait == 0 {
		return 0, nil
	}
	var timer <-chan time.Time
	if wait > 0 {
		timer = time.After(wait)
	}
	select {
	case b := <-r.ch:
		return copy(buf, b), r.fail
	case <-timer:
	case <-r.wake:
	}
	return 0, nil
}

func (r *records) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *records) Close() error { close(r.closed); return nil } // a second Close panics

// makeRecord is a record as the XDP program writes it.
func makeRecord(ktime uint64, frame []byte) []byte {
	b := binary.NativeEndian.AppendUint64(nil, ktime)
	b = binary.NativeEndian.AppendUint32(b, 4242) // the member of a bond, say
	b = binary.NativeEndian.AppendUint32(b, uint32(len(frame)))
	return append(b, frame...)
}

// payload is the content of request or reply n.
func payload(n, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i + n)
	}
	binary.BigEndian.PutUint32(b, uint32(n))
	return b
}

// requestMeta is how a client without an address asks.
func requestMeta(vlans ...packet.VLAN) packet.Meta {
	m := packet.Meta{
		SrcMAC: clientMAC, DstMAC: everybody, NumVLANs: uint8(len(vlans)),
		Src: netip.MustParseAddrPort("0.0.0.0:68"), Dst: netip.MustParseAddrPort("255.255.255.255:67"),
	}
	copy(m.VLANs[:], vlans)
	return m
}

// makeFrame is a whole frame.
func makeFrame(m packet.Meta, payload []byte) []byte {
	head := packet.HeaderLen(&m)
	b := make([]byte, max(60, head+len(payload)))
	copy(b[head:], payload)
	return b[:packet.Build(b, &m, len(payload))]
}

// recv receives exactly n packets.
func (r *rig) recv(t testing.TB, n int) []packet.Packet {
	t.Helper()
	var got []packet.Packet
	buf := make([]packet.Packet, 8)
	for len(got) < n {
		k, err := r.conn.Recv(buf[:min(len(buf), n-len(got))], patience)
		if err != nil || k == 0 {
			t.Fatalf("received %d of %d: %v", len(got), n, err)
		}
		got = append(got, buf[:k]...)
	}
	return got
}

// broadcast is the addressing of a reply to a client without an address.
func (r *rig) broadcast(vlans ...packet.VLAN) packet.Meta {
	m := packet.Meta{
		IfIndex: r.ifindex, SrcMAC: r.mac, DstMAC: everybody, NumVLANs: uint8(len(vlans)),
		Src: netip.AddrPortFrom(serverAddr, 67), Dst: netip.MustParseAddrPort("255.255.255.255:68"),
	}
	copy(m.VLANs[:], vlans)
	return m
}

// alloc allocates one reply.
func (r *rig) alloc(t testing.TB) packet.Packet {
	t.Helper()
	var one [1]packet.Packet
	if r.conn.Alloc(one[:]) != 1 {
		t.Fatal("no buffer for a reply")
	}
	return one[0]
}

// reply sends one reply.
func (r *rig) reply(t testing.TB, m packet.Meta, content []byte) {
	t.Helper()
	p := r.alloc(t)
	p.Meta, p.Payload = m, append(p.Payload, content...)
	if n, err := r.conn.Send([]packet.Packet{p}); n != 1 || err != nil {
		t.Fatalf("sent %d: %v", n, err)
	}
	if err := r.conn.Flush(); err != nil {
		t.Fatal(err)
	}
}

// wantReply checks what arrives at the far end.
func (r *rig) wantReply(t testing.TB, m packet.Meta, content []byte) {
	t.Helper()
	p, frame := r.next(t)
	if string(p.Payload) != string(content) {
		t.Errorf("reply carries %x, want %x", p.Payload, content)
	}
	p.IfIndex = m.IfIndex
	if p.Meta != m {
		t.Errorf("reply is addressed %+v, want %+v", p.Meta, m)
	}
	// What passed the IP stack has its identification, and a UDP checksum that veth leaves open.
	if r.layer2 && !r.memory {
		if want := makeFrame(m, content); string(frame) != string(want) {
			t.Errorf("frame\n%x, want\n%x", frame, want)
		}
	}
}
