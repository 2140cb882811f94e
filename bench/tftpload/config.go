package tftpload

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/xdpxe/xdpxe/bench/arrival"
	"github.com/xdpxe/xdpxe/bench/tftpc"
)

// Config is a load.
type Config struct {
	Server netip.AddrPort
	// Source is where the clients' addresses are from: client i has the i-th one
	// of it. They must be this machine's. Zero: what the kernel picks, for all.
	Source netip.Prefix

	// Transfer is what each client does. Size and Check are set by File.
	Transfer tftpc.Config
	// Probe: each transfer is preceded by one that only asks for the size, as edk2
	// does. Both together are one transfer in the figures.
	Probe bool
	// File is what must come, every byte of it. nil: the bytes are counted only.
	File []byte

	Clients int
	Loops   int // transfers of each client, one after the other, each from a port of its own
	Threads int // 0: 1
	GRO     bool

	Arrival arrival.Pattern
	In, Out Impairment // server to client, client to server
	Slow    Slow
	Seed    uint64
	// Timeout is the patience with one transfer, whatever its own timers say.
	Timeout time.Duration

	ServerPID int // whose CPU time and memory are measured, with all its children's. 0: nobody's
	Spans     int // clients that get a span in the result, at most

	take func(offset int64, b []byte) bool // instead of File

	// Progress is called about once a second. nil: it is not.
	Progress func(Progress)
}

// Progress is how far a load is.
type Progress struct {
	At              time.Duration
	Bytes           int64 // taken in order so far
	Finished, Total int   // transfers
}

// Slow makes a share of the clients slow.
type Slow struct {
	Share    float64       // between 0 and 1
	Rate     float64       // bytes of the file a second that one takes. 0: no bound
	AckDelay time.Duration // by which each of its packets leaves later
}

// Bounds.
const (
	MaxClients = 50000
	MaxThreads = 64
)

// withDefaults returns c completed, or what is wrong with it.
func (c Config) withDefaults() (Config, error) {
	for _, v := range []struct {
		p   *int
		def int
	}{{&c.Clients, 1}, {&c.Loops, 1}, {&c.Threads, 1}} {
		if *v.p == 0 {
			*v.p = v.def
		}
	}
	c.Threads = min(c.Threads, c.Clients)
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	if c.Transfer.Retry.First == 0 {
		c.Transfer.Retry = tftpc.EDK2Retry()
	}
	c.Transfer.Size, c.Transfer.Check = -1, c.take
	if c.File != nil {
		c.Transfer.Size, c.Transfer.Check = int64(len(c.File)), tftpc.Against(c.File)
	}
	within := func(what string, v, low, high float64) error {
		if v >= low && v <= high {
			return nil
		}
		return fmt.Errorf("%s %g is not between %g and %g", what, v, low, high)
	}
	errs := []error{
		within("clients", float64(c.Clients), 1, MaxClients), within("loops", float64(c.Loops), 1, 1e6), within("threads", float64(c.Threads), 1, MaxThreads),
		within("blksize", float64(c.Transfer.Request.Blksize), 0, tftpc.MaxBlksize), within("windowsize", float64(c.Transfer.Request.Window), 0, tftpc.MaxWindow),
		within("arrivals a second", c.Arrival.Rate, 0, 1e6), within("share of slow clients", c.Slow.Share, 0, 1), within("bytes a second of slow clients", c.Slow.Rate, 0, 1e12),
		within("seconds of the ramp", c.Arrival.Ramp.Seconds(), 0, 86400), within("timeout in seconds", c.Timeout.Seconds(), 0.001, 86400),
		within("seconds of delayed acknowledgements", c.Slow.AckDelay.Seconds(), 0, 3600),
	}
	for _, i := range []struct {
		where string
		Impairment
	}{{"in", c.In}, {"out", c.Out}} {
		errs = append(errs, within("loss "+i.where, i.Loss, 0, 1), within("duplication "+i.where, i.Duplicate, 0, 1), within("reordering "+i.where, i.Reorder, 0, 1),
			within("seconds of delay "+i.where, (i.Delay+i.Jitter+i.ReorderBy).Seconds(), 0, 3600))
	}
	if !c.Server.IsValid() || c.Server.Port() == 0 {
		errs = append(errs, errors.New("no server"))
	}
	if c.Source.IsValid() && c.Source.Addr().Is4() != c.Server.Addr().Unmap().Is4() {
		errs = append(errs, fmt.Errorf("sources %v cannot reach %v", c.Source, c.Server.Addr()))
	}
	return c, errors.Join(errs...)
}

// slow says whether client i is one of the slow ones, who are spread evenly.
func (c *Config) slow(i int) bool {
	return int(float64(i+1)*c.Slow.Share) > int(float64(i)*c.Slow.Share)
}

// source returns the address of client i, the zero Addr where the kernel picks it.
func (c *Config) source(i int) (netip.Addr, error) {
	if !c.Source.IsValid() {
		return netip.Addr{}, nil
	}
	a := c.Source.Masked().Addr().As16()
	for k, carry := 15, i; carry > 0 && k >= 0; k-- {
		carry += int(a[k])
		a[k] = byte(carry)
		carry >>= 8
	}
	addr := netip.AddrFrom16(a)
	if c.Source.Addr().Is4() {
		addr = addr.Unmap()
	}
	if !c.Source.Contains(addr) {
		return addr, fmt.Errorf("%v has no address for client %d", c.Source, i)
	}
	return addr, nil
}
