package legacy

import (
	"net"
	"sync"
	"time"
)

// inlet is what pin/tftp's server takes for the socket on its request port.
type inlet struct {
	requests chan inletRequest
	closed   chan struct{}
	once     sync.Once
}

type inletRequest struct {
	packet []byte
	from   net.Addr
}

func newInlet() *inlet {
	return &inlet{requests: make(chan inletRequest), closed: make(chan struct{})}
}

// put hands a request over. It reports false once the inlet is closed.
func (i *inlet) put(packet []byte, from net.Addr) bool {
	select {
	case i.requests <- inletRequest{packet, from}:
		return true
	case <-i.closed:
		return false
	}
}

// ReadFrom implements net.PacketConn, as the other methods do.
func (i *inlet) ReadFrom(p []byte) (int, net.Addr, error) {
	select {
	case r := <-i.requests:
		return copy(p, r.packet), r.from, nil
	case <-i.closed:
		return 0, nil, net.ErrClosed
	}
}

// WriteTo is never called: transfers have sockets of their own.
func (i *inlet) WriteTo([]byte, net.Addr) (int, error) { return 0, net.ErrClosed }

func (i *inlet) Close() error {
	i.once.Do(func() { close(i.closed) })
	return nil
}

func (i *inlet) LocalAddr() net.Addr              { return &net.UDPAddr{IP: loopback} }
func (i *inlet) SetDeadline(time.Time) error      { return nil }
func (i *inlet) SetReadDeadline(time.Time) error  { return nil }
func (i *inlet) SetWriteDeadline(time.Time) error { return nil }

var loopback = net.IPv4(127, 0, 0, 1)
