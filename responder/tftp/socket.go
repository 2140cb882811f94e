package tftp

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// socketBuffer is what a socket may hold: requests of a few thousand clients
// that start together, acknowledgements of a worker's transfers, a few bursts.
const socketBuffer = 4 << 20

// maxEndpoints bounds the addresses served.
const maxEndpoints = 64

// endpoint is one address served by one worker.
type endpoint struct {
	v6       bool
	addr     netip.Addr
	requests int    // socket on the request port
	data     int    // socket of the transfers; in single-port mode the same
	tid      uint16 // its port
	number   uint16 // in the socket store, and in the state that outlives us
	surplus  bool   // of a former process; closed when its last transfer ends
	slots    int    // in use, if it is surplus
	gso      bool   // data can segment
	watched  bool   // EPOLLOUT is asked for: data's buffer was full

	index   uint8 // among the worker's
	flows   map[*account]*flow
	ring    ring     // flows that have something due
	parking parking  // flows that the caps hold back
	round   []slotID // transfers that had a burst in this round
	out     sender
	settle  func(*staged, unix.Errno) // what becomes of out's messages
	drops   [2]uint32                 // the kernel's last counts for requests and data
}

// openEndpoint opens a worker's sockets for addr. Port 0 lets the kernel pick.
func openEndpoint(addr netip.Addr, port uint16, cfg *Config) (*endpoint, error) {
	e := &endpoint{v6: addr.Is6(), addr: addr, requests: -1, data: -1}
	var err error
	if e.requests, err = openSocket(addr, port, true); err != nil {
		return nil, err
	}
	if cfg.SinglePort {
		e.data = e.requests
	} else {
		e.data, err = openDataSocket(addr, cfg.DataPorts)
	}
	if err == nil {
		err = e.open(cfg)
	}
	if err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

// open finds out about the data socket.
func (e *endpoint) open(cfg *Config) (err error) {
	if e.tid, err = localPort(e.data); err != nil {
		return err
	}
	e.gso = cfg.GSO && canSegment(e.data)
	e.flows = map[*account]*flow{}
	e.out.init(e)
	return nil
}

// port returns the port of the request socket.
func (e *endpoint) port() (uint16, error) { return localPort(e.requests) }

// single says that requests and transfers share a port.
func (e *endpoint) single() bool { return e.requests == e.data }

// stopRequests closes the request socket, unless transfers need it.
func (e *endpoint) stopRequests() {
	if e.requests >= 0 && !e.single() {
		unix.Close(e.requests)
		e.requests = -1
	}
}

func (e *endpoint) close() {
	e.stopRequests()
	if e.data >= 0 {
		unix.Close(e.data)
	}
	e.requests, e.data = -1, -1
}

// openDataSocket opens a socket on a port of the range, on any if that is zero.
// Who can guess the port can acknowledge what was never received. The kernel
// picks at random (udp_lib_get_port), and so do we.
func openDataSocket(addr netip.Addr, ports [2]uint16) (int, error) {
	if ports[0] == 0 {
		return openSocket(addr, 0, false)
	}
	n := int(ports[1]) - int(ports[0]) + 1
	r, err := rand.Int(rand.Reader, big.NewInt(int64(n)))
	if err != nil {
		return -1, fmt.Errorf("tftp: data port: %w", err)
	}
	first := int(r.Int64())
	for i := range n {
		fd, err := openSocket(addr, ports[0]+uint16((first+i)%n), false)
		if !errors.Is(err, unix.EADDRINUSE) {
			return fd, err
		}
	}
	return -1, fmt.Errorf("tftp: all of the data ports %d-%d on %v are in use: %w", ports[0], ports[1], addr, unix.EADDRINUSE)
}

// openSocket opens and binds a UDP socket. Shared ones belong to a group of
// sockets on one port.
func openSocket(addr netip.Addr, port uint16, shared bool) (int, error) {
	family := unix.AF_INET
	if addr.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return -1, fmt.Errorf("tftp: socket for %v: %w", addr, err)
	}
	if err := prepareSocket(fd, addr, port, shared); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func prepareSocket(fd int, addr netip.Addr, port uint16, shared bool) error {
	if err := setOptions(fd, addr, shared); err != nil {
		return err
	}
	if addr.Is6() {
		if err := unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return fmt.Errorf("tftp: socket option IPV6_V6ONLY for %v: %w", addr, err)
		}
	}
	var sa unix.Sockaddr
	if addr.Is6() {
		zone, err := zoneID(addr)
		if err != nil {
			return err
		}
		sa = &unix.SockaddrInet6{Port: int(port), Addr: addr.As16(), ZoneId: zone}
	} else {
		sa = &unix.SockaddrInet4{Port: int(port), Addr: addr.As4()}
	}
	if err := unix.Bind(fd, sa); err != nil {
		return fmt.Errorf("tftp: listen on %v: %w", netip.AddrPortFrom(addr, port), err)
	}
	return nil
}

// setOptions sets what can be set on a bound socket as well.
func setOptions(fd int, addr netip.Addr, shared bool) error {
	type option struct{ level, name, value int }
	set := []option{{unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1}}
	if addr.Is6() {
		set = append(set, option{unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1},
			option{unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT})
	} else {
		// Boot clients cannot lower a block size once it is granted: no DF.
		set = append(set, option{unix.SOL_IP, unix.IP_PKTINFO, 1}, option{unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT})
	}
	// Within a group, an ICMP error comes to the socket that the client's own
	// packets come to: the kernel hashes the addresses of the packet that met it.
	if addr.Is6() {
		set = append(set, option{unix.SOL_IPV6, unix.IPV6_RECVERR, 1})
	} else {
		set = append(set, option{unix.SOL_IP, unix.IP_RECVERR, 1})
	}
	if shared {
		set = append(set, option{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1})
	}
	for _, o := range set {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("tftp: socket option %d/%d for %v: %w", o.level, o.name, addr, err)
		}
	}
	setBuffer(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF)
	setBuffer(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF)
	return nil
}

// setBuffer asks for socketBuffer: beyond the system's limit where we may, else up to it.
func setBuffer(fd, force, plain int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, socketBuffer) != nil {
		// A smaller buffer costs speed under load, nothing else.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, socketBuffer)
	}
}

func localPort(fd int) (uint16, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return 0, fmt.Errorf("tftp: own address: %w", err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return uint16(sa.Port), nil
	case *unix.SockaddrInet6:
		return uint16(sa.Port), nil
	}
	return 0, fmt.Errorf("tftp: own address has type %T", sa)
}

// canSegment says whether the kernel knows UDP_SEGMENT.
func canSegment(fd int) bool {
	_, err := unix.GetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT)
	return err == nil
}

// interfaceMTU asks for the MTU of an interface in the socket's network
// namespace. 0: unknown.
func interfaceMTU(fd int, ifindex uint32) int {
	ifr, err := unix.NewIfreq("?") // SIOCGIFNAME reads the index and writes the name
	if err != nil {
		return 0
	}
	ifr.SetUint32(ifindex)
	if unix.IoctlIfreq(fd, unix.SIOCGIFNAME, ifr) != nil || unix.IoctlIfreq(fd, unix.SIOCGIFMTU, ifr) != nil {
		return 0
	}
	return int(ifr.Uint32())
}

// zoneID returns the scope of a link-local address, 0 if it has none.
func zoneID(addr netip.Addr) (uint32, error) {
	if addr.Zone() == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(addr.Zone(), 10, 32); err == nil {
		return uint32(n), nil
	}
	ifi, err := net.InterfaceByName(addr.Zone())
	if err != nil {
		return 0, fmt.Errorf("tftp: zone of %v: %w", addr, err)
	}
	return uint32(ifi.Index), nil
}
