package conn

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// These need no privileges: sockets on loopback, on a port that the kernel chooses.

func listenAny(t *testing.T, port int, options ...UDPOption) *UDP {
	t.Helper()
	c, err := ListenUDP("", 0, port, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*UDP)
}

func TestUDPAnswersOnLoopback(t *testing.T) {
	c := listenAny(t, 0)
	client, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 9), Port: c.Port()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write([]byte("request")); err != nil {
		t.Fatal(err)
	}
	var in, out [1]packet.Packet
	if n, err := c.Recv(in[:], patience); n != 1 || err != nil {
		t.Fatalf("received %d: %v", n, err)
	}
	loopback, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if in[0].IfIndex != loopback.Index || string(in[0].Payload) != "request" ||
		in[0].Src.String() != client.LocalAddr().String() || in[0].Dst.String() != client.RemoteAddr().String() {
		t.Errorf("received %+v", in[0])
	}
	c.Alloc(out[:])
	// A client that is connected takes the answer only from the address that it asked.
	out[0].Meta = packet.Meta{IfIndex: in[0].IfIndex, Src: in[0].Dst, Dst: in[0].Src}
	out[0].Payload = append(out[0].Payload, "reply"...)
	if n, err := c.Send(out[:]); n != 1 || err != nil {
		t.Fatalf("sent %d: %v", n, err)
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, err := client.Read(buf); err != nil || string(buf[:n]) != "reply" {
		t.Errorf("client got %q: %v", buf[:n], err)
	}
}

// A datagram that does not fit is not a request, and the next one is whole.
func TestUDPOversizedDatagram(t *testing.T) {
	c := listenAny(t, 0)
	client, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: c.Port()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, size := range []int{udpBufSize + 1, 30, udpBufSize, 9000, 0} {
		if _, err := client.Write(payload(size, max(size, 4))[:size]); err != nil {
			t.Fatal(err)
		}
	}
	in := make([]packet.Packet, 8)
	for _, size := range []int{30, udpBufSize, 0} {
		if n, err := c.Recv(in[:1], patience); n == 0 && err == nil {
			// the batch of one was the oversized one
			if n, err = c.Recv(in[:1], patience); n != 1 || err != nil {
				t.Fatalf("received %d: %v", n, err)
			}
		}
		if string(in[0].Payload) != string(payload(size, max(size, 4))[:size]) {
			t.Errorf("received %d bytes, want %d", len(in[0].Payload), size)
		}
		c.Release(in[:1])
	}
	if st := c.Stats(); st.BadFrames != 2 || st.Received != 5 {
		t.Errorf("stats %+v", st)
	}
}

func TestUDPAddressInUse(t *testing.T) {
	c := listenAny(t, 0)
	if _, err := ListenUDP("", 0, c.Port()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second socket on the port: %v", err)
	}
	if _, err := ListenUDP("", 0, c.Port(), ReuseAddr()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a socket that would share, beside one that would not: %v", err)
	}
	shared := listenAny(t, 0, ReuseAddr())
	listenAny(t, shared.Port(), ReuseAddr())
}

func TestUDPWrongArguments(t *testing.T) {
	if _, err := ListenUDP("", 0, 65536); err == nil {
		t.Error("port 65536 was opened")
	}
	if _, err := ListenUDP("no-such-device", 1, 0); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("no such device: %v", err)
	}
}

// A reply that the kernel refuses is counted, and those around it leave.
func TestUDPRefusedReply(t *testing.T) {
	c := listenAny(t, 0)
	peer := listenAny(t, 0)
	out := make([]packet.Packet, 3)
	c.Alloc(out)
	for i := range out {
		out[i].Src = netip.MustParseAddrPort("127.0.0.1:0")
		out[i].Dst = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(peer.Port()))
		out[i].Payload = append(out[i].Payload, payload(i, 50)...)
	}
	out[1].Src = netip.MustParseAddrPort("203.0.113.77:0") // not an address of this host
	if n, err := c.Send(out); n != 3 || err != nil {
		t.Fatalf("sent %d: %v", n, err)
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	in := make([]packet.Packet, 4)
	for got := 0; got < 2; {
		n, err := peer.Recv(in[got:], patience)
		if n == 0 || err != nil {
			t.Fatalf("received %d of 2: %v", got, err)
		}
		got += n
	}
	if in[0].Payload[3] != 0 || in[1].Payload[3] != 2 {
		t.Errorf("received replies %d and %d", in[0].Payload[3], in[1].Payload[3])
	}
	if st := c.Stats(); st.Sent != 2 || st.SendErrors != 1 {
		t.Errorf("stats %+v", st)
	}
}

// The kernel's count of what the socket had no room for shows, and stays after Close.
func TestUDPDropsAreCounted(t *testing.T) {
	c := listenAny(t, 0)
	if err := unix.SetsockoptInt(c.fds.socket, unix.SOL_SOCKET, unix.SO_RCVBUF, 4096); err != nil {
		t.Fatal(err)
	}
	client, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: c.Port()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const sent = 100
	for i := range sent {
		if _, err := client.Write(payload(i, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	in := make([]packet.Packet, sent)
	n, err := c.Recv(in, patience)
	if err != nil || n == 0 || n == sent {
		t.Fatalf("received %d of %d: %v", n, sent, err)
	}
	want := uint64(sent - n)
	if st := c.Stats(); st.Dropped != want {
		t.Errorf("dropped %d, want %d", st.Dropped, want)
	}
	c.Close()
	if st := c.Stats(); st.Dropped != want {
		t.Errorf("after Close: dropped %d, want %d", st.Dropped, want)
	}
}

// Two interfaces, a socket on each: what arrives on one is that one's alone,
// and what one sends leaves by its own.
func TestUDPKeepsToItsInterface(t *testing.T) {
	xsktest.Namespace(t)
	near, far := xsktest.Veth(t, 1)
	near.Address(t, netip.PrefixFrom(serverAddr, 24))
	tap, back := xsktest.OpenTap(t, far), xsktest.OpenTap(t, near)
	here, err := ListenUDP(near.Name, near.Index, 67)
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	there, err := ListenUDP(far.Name, far.Index, 67)
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	tap.Send(t, makeFrame(requestMeta(), payload(1, 300)))
	in := make([]packet.Packet, 2)
	if n, err := here.Recv(in, patience); n != 1 || err != nil || in[0].IfIndex != near.Index {
		t.Fatalf("received %d on %d: %v", n, in[0].IfIndex, err)
	}
	if n, err := there.Recv(in, 0); n != 0 || err != nil {
		t.Errorf("the other socket received %d: %v", n, err)
	}
	r := &rig{conn: here, ifindex: near.Index}
	r.reply(t, r.broadcast(), payload(2, 300))
	var p packet.Packet
	tap.Next(t, func(frame []byte) bool { return packet.Parse(frame, &p) == packet.Answered })
	if n := back.Pending(t, func(frame []byte) bool { return packet.Parse(frame, &p) == packet.Answered }); n != 1 {
		t.Errorf("%d datagrams arrived at the interface, want the request alone", n)
	}
}

func TestUDPDeviceDeleted(t *testing.T) {
	xsktest.Namespace(t)
	near, _ := xsktest.Veth(t, 1)
	c, err := ListenUDP(near.Name, near.Index, 67)
	if err != nil {
		t.Fatal(err)
	}
	near.Delete(t)
	r := &rig{conn: c, ifindex: near.Index}
	p := r.alloc(t)
	p.Meta = r.broadcast()
	p.Payload = append(p.Payload, payload(1, 300)...)
	c.Send([]packet.Packet{p})
	if err := c.Flush(); err != nil && !errors.Is(err, syscall.ENETDOWN) {
		t.Errorf("Flush on a device that is gone: %v", err)
	}
	if st := c.Stats(); st.Sent != 0 || st.SendErrors != 1 {
		t.Errorf("stats %+v", st)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}
