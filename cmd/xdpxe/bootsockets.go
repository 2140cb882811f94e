package main

import (
	"fmt"
	"sync"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/cmd/xdpxe/internal/fdstore"
	"github.com/xdpxe/xdpxe/responder/conn"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// storeBoot begins the names under which sockets on 4011 are stored, before the device's.
const storeBoot = "boot-"

// bootSockets keeps the sockets on UDP 4011 open while nobody serves them,
// between two lives of the daemon above all: a request then waits in place of
// earning an ICMP port unreachable, on which edk2 gives up.
type bootSockets struct {
	store *fdstore.Store // nil: they are closed as any other
	log   *zap.Logger

	mu   sync.Mutex
	held map[string]bootSocket // by name; what the store has, we have too, lest a socket of our own be in our way
}

type bootSocket struct {
	fd   int
	port string // that uses it; empty: none has so far
}

// newBootSockets takes over what a former process stored.
func newBootSockets(store *fdstore.Store, log *zap.Logger) *bootSockets {
	b := &bootSockets{store: store, log: log, held: map[string]bootSocket{}}
	if store != nil {
		for name, fd := range store.Take(storeBoot) {
			b.held[name] = bootSocket{fd: fd}
		}
	}
	return b
}

// listen opens the socket of a device for a port, or goes on with the one that is there.
func (b *bootSockets) listen(port, device string, index int) (conn.Conn, error) {
	if b.store == nil {
		return conn.ListenUDP(device, index, packet.PortBINL)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	name := storeBoot + device
	if s, ok := b.held[name]; ok {
		err := isBootSocket(s.fd, index)
		if err == nil {
			var c conn.Conn
			if c, err = conn.ListenUDP(device, index, packet.PortBINL, conn.Inherit(s.fd)); err == nil {
				b.held[name] = bootSocket{s.fd, port}
				return c, nil
			}
		}
		b.log.Info("a stored socket is not used", zap.String("name", name), zap.Error(err))
		b.forget(name)
	}
	c, err := conn.ListenUDP(device, index, packet.PortBINL)
	if err != nil {
		return nil, err
	}
	fd, err := c.(*conn.UDP).Duplicate()
	if err == nil {
		b.held[name] = bootSocket{fd, port}
		err = b.store.Store(name, fd)
	}
	if err != nil {
		b.log.Warn("a socket will not outlive this process", zap.String("name", name), zap.Error(err))
	}
	return c, nil
}

// isBootSocket says why fd is not a socket on 4011 of the device, which may have
// been made anew under the same name.
func isBootSocket(fd, index int) error {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	in, ok := sa.(*unix.SockaddrInet4)
	device, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX)
	if err != nil || !ok || in.Port != packet.PortBINL || in.Addr != [4]byte{} || device != index {
		return fmt.Errorf("not a socket on port %d of interface %d: %v", packet.PortBINL, index, err)
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil || kind != unix.IPPROTO_UDP {
		return fmt.Errorf("not a UDP socket: %v", err)
	}
	return nil
}

// release closes the sockets of a port that is served no more; of the empty one,
// those that no port has used.
func (b *bootSockets) release(port string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, s := range b.held {
		if s.port == port {
			b.forget(name)
		}
	}
}

// forget closes a socket. mu is held.
func (b *bootSockets) forget(name string) {
	unix.Close(b.held[name].fd)
	delete(b.held, name)
	if err := b.store.Remove(name); err != nil {
		b.log.Warn("a socket stays in the store", zap.String("name", name), zap.Error(err))
	}
}
