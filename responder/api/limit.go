package api

import (
	"net"
	"net/netip"
	"sync"
)

const (
	maxConns     = 128
	maxConnsEach = 32 // of one address: one client's slip does not shut out the others
)

// limited is a listener that bounds connections, of all and of each address.
// One more is closed at once; to leave it waiting would have it wait for a
// client that holds the others on purpose.
type limited struct {
	net.Listener
	most, each int

	mu    sync.Mutex
	conns map[netip.Addr]int
	all   int
}

func limit(l net.Listener, most, each int) *limited {
	return &limited{Listener: l, most: most, each: each, conns: make(map[netip.Addr]int)}
}

func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := addrOf(c)
		if l.take(from) {
			return &limitedConn{Conn: c, release: sync.OnceFunc(func() { l.give(from) })}, nil
		}
		c.Close()
	}
}

func addrOf(c net.Conn) netip.Addr {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

func (l *limited) take(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= l.most || l.conns[from] >= l.each {
		return false
	}
	l.all++
	l.conns[from]++
	return true
}

func (l *limited) give(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.conns[from]--; l.conns[from] == 0 {
		delete(l.conns, from)
	}
}

type limitedConn struct {
	net.Conn
	release func()
}

func (c *limitedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
