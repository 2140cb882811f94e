package tftp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/responder/tftp/legacy"
)

// maxStrangers bounds the ERRORs that a socketLink sends to others than its client.
const maxStrangers = 16

// maxFailures is more than strangers can cause.
const maxFailures = 1000

// socketLink is the way to a client from a port of its own.
type socketLink struct {
	conn      *net.UDPConn
	client    netip.AddrPort
	server    netip.AddrPort
	peer      peer
	buf       []byte
	errors    errorQueue
	strangers int
	failures  int // of receiving, in all
}

// openSocketLink opens a socket on the address that was asked. zone is that of
// the endpoint's address, if it has one.
func openSocketLink(t *session, zone string, ports [2]uint16) (*socketLink, error) {
	local := netip.AddrFrom16(t.local).Unmap()
	if local.IsLinkLocalUnicast() && local.Is6() {
		if zone == "" {
			zone = t.peer.addrPort().Addr().Zone()
		}
		local = local.WithZone(zone)
	}
	fd, err := openDataSocket(local, ports)
	if err != nil {
		return nil, err
	}
	port, err := localPort(fd)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "udp")
	defer file.Close() // what follows has a descriptor of its own
	conn, err := net.FilePacketConn(file)
	if err != nil {
		return nil, fmt.Errorf("tftp: socket on %v: %w", local, err)
	}
	return &socketLink{conn: conn.(*net.UDPConn), client: t.peer.addrPort(), server: netip.AddrPortFrom(local, port), peer: t.peer, buf: make([]byte, 1<<16)}, nil
}

func (l *socketLink) Send(p []byte) error {
	return insist(func() error {
		_, err := l.conn.WriteToUDPAddrPort(p, l.client)
		return err
	})
}

// insist sends again where the socket has but told what ICMP said of an earlier
// packet, to whomever.
func insist(send func() error) error {
	for tries := 0; ; tries++ {
		err := send()
		var errno syscall.Errno
		if err == nil || !errors.As(err, &errno) || !passing(errno) || tries == passingTries {
			return err
		}
	}
}

func (l *socketLink) Receive() ([]byte, error) {
	for {
		n, from, err := l.conn.ReadFromUDPAddrPort(l.buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil, err
		case err != nil && l.lost():
			return nil, legacy.ErrUnreachable
		case err != nil && l.failures < maxFailures:
			l.failures++ // ICMP about a stranger, or something that may pass
			continue
		case err != nil:
			return nil, err
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if from.Port() == l.client.Port() && from.Addr().WithZone("") == l.client.Addr().WithZone("") {
			return l.buf[:n], nil
		}
		if l.strangers < maxStrangers && n >= headerLen && l.buf[1] != opERROR {
			l.strangers++
			_, _ = l.conn.WriteToUDPAddrPort(appendError(nil, codeUnknownTID, "unknown transfer"), from)
		}
	}
}

// lost says whether ICMP has told that the client is gone.
func (l *socketLink) lost() (lost bool) {
	raw, err := l.conn.SyscallConn()
	if err != nil {
		return false // closed
	}
	_ = raw.Control(func(fd uintptr) {
		for {
			to, final, ok := l.errors.next(int(fd))
			if !ok {
				return
			}
			to.endpoint = l.peer.endpoint
			lost = lost || final && to == l.peer
		}
	})
	return lost
}

func (l *socketLink) Close() error { return l.conn.Close() }

// portLink is the way to a client from the request port. The event loop receives for it.
type portLink struct {
	fd      int // the endpoint's
	v6      bool
	client  peer
	local   [16]byte
	packets chan []byte
	closed  chan struct{}
	once    sync.Once
	gone    chan struct{} // closed when ICMP says so
	goner   sync.Once
}

func newPortLink(e *endpoint, t *session) *portLink {
	return &portLink{fd: e.data, v6: e.v6, client: t.peer, local: t.local,
		packets: make(chan []byte, 8), closed: make(chan struct{}), gone: make(chan struct{})}
}

// put takes a packet of the client's; it does not wait.
func (l *portLink) put(p []byte) bool {
	select {
	case l.packets <- append([]byte(nil), p...):
	default:
	}
	return true
}

func (l *portLink) lost() { l.goner.Do(func() { close(l.gone) }) }

func (l *portLink) Send(p []byte) error {
	var control [sendControl]byte
	rest := putSource(control[:], &l.local, l.client.zone, l.v6)
	var to unix.Sockaddr = &unix.SockaddrInet4{Port: int(l.client.port), Addr: [4]byte(l.client.addr[12:])}
	if l.v6 {
		to = &unix.SockaddrInet6{Port: int(l.client.port), Addr: l.client.addr, ZoneId: l.client.zone}
	}
	return insist(func() error {
		return unix.Sendmsg(l.fd, p, control[:len(control)-len(rest)], to, unix.MSG_DONTWAIT)
	})
}

func (l *portLink) Receive() ([]byte, error) {
	select {
	case p := <-l.packets:
		return p, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-l.gone:
		return nil, legacy.ErrUnreachable
	}
}

func (l *portLink) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}
