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
	// Workers is the number of event loops. 0: one for each CPU.
	Workers int

	// MaxWindow bounds the granted windowsize, in blocks. 0: DefaultMaxWindow.
	MaxWindow int
	// MaxBlksize bounds the granted blksize, in bytes. 0: what the interface's MTU
	// carries in one frame. Larger blocks are sent as IP fragments.
	MaxBlksize int
	// MaxTransfers bounds the running transfers; requests beyond it get silence. 0: DefaultMaxTransfers.
	MaxTransfers int

	// GSO lets the kernel cut bursts into datagrams (UDP_SEGMENT) where it can. The bytes are the same without.
	GSO bool

	// Clients says who is answered, by source address. nil: everybody. It is called
	// by all workers at once and must be quick. SetClients replaces it.
	Clients func(netip.Addr) bool

	// InitialTimeout is the wait before the first retransmission, doubled for each
	// further one up to MaxTimeout. A timeout that the client negotiated stands in
	// for both. 0: 1 s and 4 s.
	InitialTimeout, MaxTimeout time.Duration
	// GiveUp ends a transfer whose client has been silent for so long. 0: 30 s.
	GiveUp time.Duration

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

// DefaultConfig returns the configuration of a boot server on port 69.
func DefaultConfig() Config {
	return Config{Port: DefaultPort, GSO: true}
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
	orTime(&c.GiveUp, 30*time.Second)
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
	var times error
	if c.InitialTimeout < time.Millisecond || c.MaxTimeout < c.InitialTimeout || c.GiveUp < c.InitialTimeout || c.Grace < 0 {
		times = fmt.Errorf("tftp: timeouts initial %v, maximal %v, give up %v, grace %v do not fit together",
			c.InitialTimeout, c.MaxTimeout, c.GiveUp, c.Grace)
	}
	var blksize error
	if c.MaxBlksize != 0 {
		blksize = bad("maximal blksize", c.MaxBlksize, minBlksize, maxBlksize)
	}
	return c, errors.Join(
		bad("port", c.Port, 0, 65535), bad("number of workers", c.Workers, 1, maxWorkers),
		bad("maximal windowsize", c.MaxWindow, 1, maxWindow), bad("maximal number of transfers", c.MaxTransfers, 1, 1<<22),
		ports, times, blksize)
}
