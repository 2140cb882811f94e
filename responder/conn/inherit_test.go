package conn

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// What comes while nobody serves the socket waits for whoever serves it next.
func TestUDPInherit(t *testing.T) {
	first := listenAny(t, 0)
	fd, err := first.Duplicate()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	port := first.Port()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	client, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 9), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write([]byte("request")); err != nil {
		t.Fatal(err)
	}

	second := listenAny(t, port, Inherit(fd))
	if second.Port() != port {
		t.Errorf("port %d, want %d", second.Port(), port)
	}
	var in [1]packet.Packet
	if n, err := second.Recv(in[:], patience); n != 1 || err != nil || string(in[0].Payload) != "request" {
		t.Errorf("received %d: %v, %+v", n, err, in[0])
	}
	if _, err := client.Write([]byte("request")); err != nil {
		t.Errorf("refused in between: %v", err)
	}
	if _, err := ListenUDP("", 0, port, Inherit(-5)); err == nil {
		// A negative number is none: it opens a socket, and the port is taken.
		t.Error("opened a port twice")
	}
}

// What waited longer than its client does is dropped, and counted.
func TestUDPStale(t *testing.T) {
	c := listenAny(t, 0)
	client, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 9), Port: c.Port()})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var in [1]packet.Packet
	for _, text := range []string{"late", "in time"} {
		c.patience = patience
		if text == "late" {
			c.patience = -patience // already when it comes
		}
		if _, err := client.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if text == "late" {
			for c.Stats().Stale == 0 {
				if n, err := c.Recv(in[:], 10*time.Millisecond); n != 0 || err != nil {
					t.Fatalf("received %d: %v, %+v", n, err, in[0])
				}
			}
		}
	}
	if n, err := c.Recv(in[:], patience); n != 1 || err != nil || string(in[0].Payload) != "in time" {
		t.Errorf("received %d: %v, %+v", n, err, in[0])
	}
	if s := c.Stats(); s.Received != 2 || s.Stale != 1 || s.BadFrames != 0 {
		t.Errorf("%+v", s)
	}
}
