package tftp

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// SocketStore keeps sockets open beyond the end of the process: systemd does
// (FDSTORE), and so does `xdpxe keep`. Its methods are called by several
// goroutines at once.
type SocketStore interface {
	// Take returns the sockets that a former process stored under names with
	// this prefix. The descriptors are the caller's from then on.
	Take(prefix string) map[string]int
	// Store lets fd be kept, until Remove.
	Store(name string, fd int) error
	Remove(name string) error
}

// Names in the store are these and the endpoint's number.
const (
	storePrefix   = "tftp-"
	storeRequests = storePrefix + "requests-"
	storeData     = storePrefix + "data-"
)

// estate is the sockets of a former process, by the number of their endpoint.
// Those that go on are taken out of it.
type estate struct {
	store SocketStore
	log   *zap.Logger
	left  map[uint16]*pair
	used  map[uint16]bool // numbers of the endpoints of this process

	served map[netip.Addr]bool // by sockets that go on
}

// pair is the sockets of a former process's endpoint; -1: there is none.
type pair struct {
	number         uint16
	requests, data int
	addr           netip.Addr
	port, tid      uint16
}

// inherit takes what the store has for us. Sockets that are not what their
// names say are closed: whatever a store hands out, only sockets of our own
// kind are served.
func inherit(store SocketStore, log *zap.Logger) *estate {
	e := &estate{store: store, log: log, left: map[uint16]*pair{}, used: map[uint16]bool{}, served: map[netip.Addr]bool{}}
	if store == nil {
		return e
	}
	for name, fd := range store.Take(storePrefix) {
		if err := e.add(name, fd); err != nil {
			log.Warn("a stored socket is not used", zap.String("name", name), zap.Error(err))
			unix.Close(fd)
			e.remove(name)
		}
	}
	return e
}

func (e *estate) add(name string, fd int) error {
	kind, shared := storeData, false
	if strings.HasPrefix(name, storeRequests) {
		kind, shared = storeRequests, true
	}
	number, err := strconv.ParseUint(strings.TrimPrefix(name, kind), 10, 16)
	if err != nil {
		return fmt.Errorf("tftp: no number of an endpoint: %w", err)
	}
	at, err := ownSocket(fd, shared)
	if err != nil {
		return err
	}
	n := uint16(number)
	l := e.left[n]
	if l == nil {
		l = &pair{number: n, requests: -1, data: -1, addr: at.Addr()}
		e.left[n] = l
	}
	if l.addr != at.Addr() {
		return fmt.Errorf("tftp: it is on %v, the other socket of its endpoint on %v", at.Addr(), l.addr)
	}
	if shared {
		l.requests, l.port = fd, at.Port()
	} else {
		l.data, l.tid = fd, at.Port()
	}
	return nil
}

// ownSocket returns the address of a socket that is one that openSocket makes,
// and gives it the options that openSocket gives it today.
func ownSocket(fd int, shared bool) (at netip.AddrPort, err error) {
	for _, o := range []struct {
		what       string
		name, want int
	}{{"type", unix.SO_TYPE, unix.SOCK_DGRAM}, {"protocol", unix.SO_PROTOCOL, unix.IPPROTO_UDP}, {"SO_REUSEPORT", unix.SO_REUSEPORT, flag(shared)}} {
		if v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, o.name); err != nil || v != o.want {
			return at, errors.Join(fmt.Errorf("tftp: socket %s is %d, not %d", o.what, v, o.want), err)
		}
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return at, fmt.Errorf("tftp: address of the socket: %w", err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		at = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		addr := netip.AddrFrom16(sa.Addr)
		if sa.ZoneId != 0 {
			addr = addr.WithZone(strconv.FormatUint(uint64(sa.ZoneId), 10))
		}
		at = netip.AddrPortFrom(addr, uint16(sa.Port))
	}
	if at.Port() == 0 {
		return at, errors.New("tftp: the socket is not bound to a port")
	}
	if at.Addr().Is6() {
		if v, err := unix.GetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_V6ONLY); err != nil || v != 1 {
			return at, errors.Join(errors.New("tftp: the socket takes IPv4 too"), err)
		}
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return at, fmt.Errorf("tftp: stored socket: %w", err)
	}
	return at, setOptions(fd, at.Addr(), shared)
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// take returns the endpoint of the lowest number that serves addr and port
// (0: any). nil: there is none.
func (e *estate) take(addr netip.Addr, port uint16, cfg *Config) (*endpoint, error) {
	l := e.find(addr, port)
	if l == nil {
		return nil, nil
	}
	e.served[addr] = true
	p := &endpoint{v6: addr.Is6(), addr: addr, number: l.number, requests: l.requests, data: -1}
	l.requests = -1
	switch {
	case cfg.SinglePort:
		p.data = p.requests
	case cfg.DataPorts[0] == 0 || l.tid >= cfg.DataPorts[0] && l.tid <= cfg.DataPorts[1]:
		p.data, l.data = l.data, -1
	}
	if l.data < 0 {
		delete(e.left, l.number)
	} else {
		p.number = e.freeNumber() // its old one stays with the data socket
		e.rename(storeRequests, l.number, p.number, p.requests)
	}
	e.used[p.number] = true
	var err error
	if p.data < 0 {
		if p.data, err = openDataSocket(addr, cfg.DataPorts); err == nil {
			e.keep(storeData, p.number, p.data)
		}
	}
	if err == nil {
		err = p.open(cfg)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (e *estate) find(addr netip.Addr, port uint16) *pair {
	zone, err := zoneID(addr)
	if err != nil {
		return nil // as opening a socket will say
	}
	if zone != 0 {
		addr = addr.WithZone(strconv.FormatUint(uint64(zone), 10))
	}
	for _, n := range slices.Sorted(maps.Keys(e.left)) {
		if l := e.left[n]; l.requests >= 0 && l.addr == addr && (port == 0 || l.port == port) {
			return l
		}
	}
	return nil
}

// enter takes note of a new endpoint and lets its sockets be kept.
func (e *estate) enter(p *endpoint) {
	p.number = e.freeNumber()
	e.used[p.number] = true
	e.keep(storeRequests, p.number, p.requests)
	if !p.single() {
		e.keep(storeData, p.number, p.data)
	}
}

func (e *estate) freeNumber() (n uint16) {
	for e.used[n] || e.left[n] != nil {
		n++
	}
	return n
}

func (e *estate) keep(kind string, number uint16, fd int) {
	if e.store == nil {
		return
	}
	if err := e.store.Store(storeName(kind, number), fd); err != nil {
		e.log.Warn("a socket will not outlive this process", zap.Error(err))
	}
}

func (e *estate) rename(kind string, from, to uint16, fd int) {
	e.keep(kind, to, fd)
	e.remove(storeName(kind, from))
}

func (e *estate) remove(name string) {
	if e.store == nil {
		return
	}
	if err := e.store.Remove(name); err != nil {
		e.log.Warn("a socket stays in the store", zap.String("name", name), zap.Error(err))
	}
}

// discard closes the sockets that nobody took: of fewer workers, of another
// port. What waits in them is asked for again by its clients.
func (e *estate) discard() {
	for n, l := range e.left {
		if l.requests >= 0 {
			e.remove(storeName(storeRequests, n))
		}
		if l.data >= 0 {
			e.remove(storeName(storeData, n))
		}
	}
	e.close()
}

// close is discard for a start that failed: the next one may do better.
func (e *estate) close() {
	for n, l := range e.left {
		for _, fd := range []int{l.requests, l.data} {
			if fd >= 0 {
				unix.Close(fd)
			}
		}
		delete(e.left, n)
	}
}

func storeName(kind string, number uint16) string { return kind + strconv.Itoa(int(number)) }
