package tftp

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"go.uber.org/zap"
)

// Bounds and defaults of a Config.
const (
	DefaultPort         = 69
	DefaultMaxWindow    = 64
	DefaultMaxTransfers = 10000
	DefaultQueue        = 1024

	DefaultClientRequests  = 200
	DefaultNetworkRequests = 2000

	defaultBits4, defaultBits6 = 24, 64

	minBlksize     = 8     // RFC 2348
	maxBlksize     = 65464 // RFC 2348
	defaultBlksize = 512   // RFC 1350
	maxWindow      = 65535 // RFC 7440
	maxWorkers     = 64
)

// Config says what a Server listens on and what it grants. DefaultConfig has
// what a boot server wants; in a zero Config each field means what is said here.
type Config struct {
	// Addrs are the addresses served. Empty: all of IPv4 and, if the kernel has it, of IPv6.
	Addrs []netip.Addr
	// Port takes requests. 0: one that the kernel picks, the same for all addresses (see Server.Port).
	Port int
	// DataPorts bounds the ports that answers come from (first, last); zeros: the
	// kernel picks. There must be one per worker and address.
	DataPorts [2]uint16
	// SinglePort has answers come from the request port, for firewalls and address
	// translation that cannot follow TFTP from port to port; DataPorts are zeros
	// then. Who forges a source address need not guess a port either: set Clients.
	SinglePort bool
	// Workers is the number of event loops. 0: one for each CPU.
	Workers int

	// MaxWindow bounds the granted windowsize, in blocks. 0: DefaultMaxWindow.
	MaxWindow int
	// MaxBlksize bounds the granted blksize, in bytes. 0: what the interface's MTU
	// carries in one frame. Larger blocks are sent as IP fragments.
	MaxBlksize int
	// Networks bound some clients' blksize and windowsize more tightly. SetNetworks replaces them.
	Networks []Network
	// Netascii serves reads in mode netascii, Uploads write requests. nil: none.
	// Both are for few clients at a time: package legacy serves them. When Serve
	// is told to stop, they end as soon as no other transfer has its Grace.
	Netascii bool
	Uploads  *Uploads
	// MaxTransfers bounds the running transfers. 0: DefaultMaxTransfers.
	MaxTransfers int
	// Queue bounds the requests that wait for a place where there are as many
	// transfers as may be; requests beyond it get silence. 0: none waits.
	Queue int
	// PerClient and PerNetwork bound what a client address and a network get.
	PerClient, PerNetwork Limits
	// NetworkBits is how many bits of an IPv4 and of an IPv6 address are its network. Zeros: 24 and 64.
	NetworkBits [2]int
	// Bandwidth bounds what all clients get, in bytes a second from IP on. 0: no bound.
	Bandwidth int64

	// Burst bounds the blocks of a window that leave at once; the others follow
	// spread over the round trip. As large as MaxWindow: windows leave whole.
	// 0: 16, and whole windows over interfaces that end in this machine.
	Burst int

	// GSO lets the kernel cut bursts into datagrams (UDP_SEGMENT) where it can. The bytes are the same without.
	GSO bool

	// NoPrefetch lets the loops themselves wait for the disk. It is there to be measured against.
	NoPrefetch bool

	// Clients says who is answered, by source address. nil: everybody. It is called
	// by all workers at once and must be quick. SetClients replaces it.
	Clients func(netip.Addr) bool

	// Gate says what each client may have. nil: what is below the root.
	Gate Gate

	// InitialTimeout is the wait before a retransmission while the round trip is
	// unknown; after that it is estimated (RFC 6298), but at least MinTimeout. It
	// doubles with each retransmission up to MaxTimeout. A timeout that the client
	// negotiated stands in for the first and the last. 0: 1 s, 20 ms and 4 s.
	InitialTimeout, MinTimeout, MaxTimeout time.Duration
	// GiveUp ends a transfer whose client has been silent for so long; Unanswered
	// one whose client has never acknowledged anything. 0: 30 s, and half of GiveUp
	// or InitialTimeout if that is longer.
	GiveUp, Unanswered time.Duration

	// Grace is how long running transfers may go on when Serve is told to stop. 0: not at all.
	Grace time.Duration

	// State is the path of the file by which running transfers outlive the process,
	// and Sockets keeps their sockets meanwhile. With both, the end of Serve leaves
	// transfers to the next process, and Grace is of no account.
	State   string
	Sockets SocketStore

	// Logger takes a line for each transfer that ended and each request that got none. nil: none.
	Logger *zap.Logger
}

// Limits bound what one source gets. 0: no bound.
type Limits struct {
	Transfers int   // at a time
	Requests  int   // a second that nothing was acknowledged of, some thousand at once
	Bandwidth int64 // bytes a second from IP on
}

// DefaultConfig returns the configuration of a boot server on port 69.
func DefaultConfig() Config {
	return Config{Port: DefaultPort, GSO: true, Queue: DefaultQueue,
		PerClient: Limits{Requests: DefaultClientRequests}, PerNetwork: Limits{Requests: DefaultNetworkRequests}}
}

// withDefaults returns c with its zero values filled in, or what is wrong with it.
func (c Config) withDefaults() (Config, error) {
	orInt := func(v *int, def int) {
		if *v == 0 {
			*v = def
		}
	}
	orTime := func(v *time.Duration, def time.Duration) {
		if *v == 0 {
			*v = def
		}
	}
	orInt(&c.Workers, min(runtime.GOMAXPROCS(0), maxWorkers))
	orInt(&c.MaxWindow, DefaultMaxWindow)
	orInt(&c.MaxTransfers, DefaultMaxTransfers)
	orTime(&c.InitialTimeout, time.Second)
	orTime(&c.MaxTimeout, max(4*time.Second, c.InitialTimeout))
	orTime(&c.MinTimeout, min(20*time.Millisecond, c.MaxTimeout))
	orTime(&c.GiveUp, 30*time.Second)
	orTime(&c.Unanswered, max(c.GiveUp/2, c.InitialTimeout))
	orInt(&c.NetworkBits[0], defaultBits4)
	orInt(&c.NetworkBits[1], defaultBits6)
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}

	bad := func(what string, v, low, high int) error {
		if v >= low && v <= high {
			return nil
		}
		return fmt.Errorf("tftp: %s %d is not between %d and %d", what, v, low, high)
	}
	var ports error
	if c.DataPorts[0] > c.DataPorts[1] || (c.DataPorts[0] == 0) != (c.DataPorts[1] == 0) {
		ports = fmt.Errorf("tftp: data ports %d-%d are no range", c.DataPorts[0], c.DataPorts[1])
	}
	if c.SinglePort && c.DataPorts[0] != 0 {
		ports = errors.New("tftp: data ports in single-port mode")
	}
	var times error
	if c.InitialTimeout < time.Millisecond || c.MinTimeout < time.Millisecond || c.MaxTimeout < max(c.InitialTimeout, c.MinTimeout) ||
		c.GiveUp < c.InitialTimeout || c.Unanswered < c.InitialTimeout || c.Grace < 0 {
		times = fmt.Errorf("tftp: timeouts initial %v, minimal %v, maximal %v, give up %v, unanswered %v, grace %v do not fit together",
			c.InitialTimeout, c.MinTimeout, c.MaxTimeout, c.GiveUp, c.Unanswered, c.Grace)
	}
	var blksize error
	if c.MaxBlksize != 0 {
		blksize = bad("maximal blksize", c.MaxBlksize, minBlksize, maxBlksize)
	}
	return c, errors.Join(
		bad("port", c.Port, 0, 65535), bad("number of workers", c.Workers, 1, maxWorkers),
		bad("maximal windowsize", c.MaxWindow, 1, maxWindow), bad("maximal number of transfers", c.MaxTransfers, 1, 1<<22),
		bad("queue", c.Queue, 0, 1<<16), bad("burst", c.Burst, 0, maxWindow),
		bad("bits of an IPv4 network", c.NetworkBits[0], 1, 32), bad("bits of an IPv6 network", c.NetworkBits[1], 1, 128),
		c.PerClient.check("client"), c.PerNetwork.check("network"), checkBandwidth("all", c.Bandwidth),
		ports, times, blksize, checkNetworks(c.Networks))
}

// minBandwidth keeps a message from taking minutes, in bytes a second.
const minBandwidth = 12_500

func checkBandwidth(whose string, b int64) error {
	if b != 0 && b < minBandwidth {
		return fmt.Errorf("tftp: bandwidth for %s of %d bytes a second is less than %d", whose, b, minBandwidth)
	}
	return nil
}

func (l *Limits) check(whose string) error {
	if l.Transfers < 0 || l.Requests < 0 {
		return fmt.Errorf("tftp: negative limits of a %s: %+v", whose, *l)
	}
	return checkBandwidth("a "+whose, l.Bandwidth)
}
