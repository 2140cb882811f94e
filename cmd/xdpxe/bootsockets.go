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

// What begins the names under which sockets are stored, before the device's.
const (
	storeBoot = "boot-" // on 4011
	storeDHCP = "dhcp-" // on 67
)

// bootSockets keeps the daemon's sockets open while nobody serves them, between
// two of its lives above all: a request then waits in place of being lost. On
// UDP 4011 that is always so, since it would earn an ICMP port unreachable, on
// which edk2 gives up. On UDP 67, which is left to others where XDP takes the
// requests, it is so where the daemon serves the socket itself, and during a hand-over.
type bootSockets struct {
	store *fdstore.Store // nil: they are closed as any other
	log   *zap.Logger

	mu   sync.Mutex
	held map[string]bootSocket // by name; what the store has, we have too, lest a socket of our own be in our way
}

type bootSocket struct {
	fd   int
	port string // that uses it; empty: none has so far
	kept bool   // for a successor
}

// newBootSockets takes over what a former process stored.
func newBootSockets(store *fdstore.Store, log *zap.Logger) *bootSockets {
	b := &bootSockets{store: store, log: log, held: map[string]bootSocket{}}
	if store != nil {
		for _, prefix := range []string{storeBoot, storeDHCP} {
			for name, fd := range store.Take(prefix) {
				b.held[name] = bootSocket{fd: fd}
			}
		}
	}
	return b
}

func storeName(device string, number int) string {
	if number == packet.PortDHCPServer {
		return storeDHCP + device
	}
	return storeBoot + device
}

// listen opens the socket of a device on a UDP port for a port, or goes on with the one that is there.
func (b *bootSockets) listen(port, device string, index, number int) (conn.Conn, error) {
	if b.store == nil {
		return conn.ListenUDP(device, index, number)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	name := storeName(device, number)
	if c := b.inherit(name, device, index, number); c != nil {
		b.held[name] = bootSocket{fd: b.held[name].fd, port: port}
		return c, nil
	}
	c, err := conn.ListenUDP(device, index, number)
	if err != nil {
		return nil, err
	}
	fd, err := c.(*conn.UDP).Duplicate()
	if err == nil {
		b.held[name] = bootSocket{fd: fd, port: port}
		err = b.store.Store(name, fd)
	}
	if err != nil {
		b.log.Warn("a socket will not outlive this process", zap.String("name", name), zap.Error(err))
	}
	return c, nil
}

// inherit serves a socket that is there; nil: there is none, any more. mu is held.
func (b *bootSockets) inherit(name, device string, index, number int) conn.Conn {
	s, ok := b.held[name]
	if !ok {
		return nil
	}
	err := isBootSocket(s.fd, index, number)
	if err == nil {
		var c conn.Conn
		if c, err = conn.ListenUDP(device, index, number, conn.Inherit(s.fd)); err == nil {
			return c
		}
	}
	b.log.Info("a stored socket is not used", zap.String("name", name), zap.Error(err))
	b.forget(name)
	return nil
}

// hold makes requests to UDP 67 of a device wait for a successor, unless
// somebody else has them.
func (b *bootSockets) hold(port, device string, index int) {
	if b.store == nil {
		return
	}
	c, err := b.listen(port, device, index, packet.PortDHCPServer)
	if err != nil {
		b.log.Info("requests do not wait for the successor", zap.String("device", device), zap.Error(err))
		return
	}
	c.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	name := storeName(device, packet.PortDHCPServer)
	if s, ok := b.held[name]; ok {
		s.kept = true
		b.held[name] = s
	}
}

// waiting returns the socket on UDP 67 that a predecessor held for a device; nil:
// there is none.
func (b *bootSockets) waiting(device string, index int) conn.Conn {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.inherit(storeName(device, packet.PortDHCPServer), device, index, packet.PortDHCPServer)
}

// letGo frees UDP 67 of a device, now that nothing waits there, unless it is
// already held for the next successor.
func (b *bootSockets) letGo(device string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	name := storeName(device, packet.PortDHCPServer)
	if s, ok := b.held[name]; ok && !s.kept {
		b.forget(name)
	}
}

// isBootSocket says why fd is not a socket on that UDP port of the device, which
// may have been made anew under the same name.
func isBootSocket(fd, index, number int) error {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	in, ok := sa.(*unix.SockaddrInet4)
	device, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX)
	if err != nil || !ok || in.Port != number || in.Addr != [4]byte{} || device != index {
		return fmt.Errorf("not a socket on port %d of interface %d: %v", number, index, err)
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
