package limits

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bench/lab"
)

// BlastOptions say what a Blast sends. Zero values mean the default.
type BlastOptions struct {
	Receivers int   // sockets; default 500
	Bytes     int64 // for each of them, rounded up to whole bursts; default 4 MiB
	Blocks    int   // datagrams a burst, one sendmsg; default 16, at most 44 of the default size
	Blksize   int   // bytes of file in a datagram, 4 of TFTP header come on top; default 1468
	Threads   int   // senders, and as many receiving threads; default 1
	// From and To are where senders and receivers are, To with the address;
	// default: the calling thread's namespace and loopback.
	From, To *lab.Namespace
	Addr     netip.Addr
}

// BlastResult is what a Blast carried. Bytes are of the file: TFTP headers do not count.
type BlastResult struct {
	Sent, Received int64
	Elapsed        time.Duration // from the first sendmsg to the last byte received
}

// tftpHeader is opcode and block number (RFC 1350 §5).
const tftpHeader = 4

// Most of one sendmsg: the payload of a datagram over IPv4, which UDP_SEGMENT
// cuts, into at most 64 segments before Linux 6.9.
const (
	mostBurst    = 65507
	mostSegments = 64
)

func (o *BlastOptions) complete() error {
	if o.Receivers == 0 {
		o.Receivers = 500
	}
	if o.Bytes == 0 {
		o.Bytes = 4 << 20
	}
	if o.Blocks == 0 {
		o.Blocks = 16
	}
	if o.Blksize == 0 {
		o.Blksize = 1468
	}
	if o.Threads == 0 {
		o.Threads = 1
	}
	if !o.Addr.IsValid() {
		o.Addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	switch {
	case o.Receivers < 1 || o.Receivers > math.MaxUint16 || o.Bytes < 1 || o.Threads < 1 || o.Threads > o.Receivers || !o.Addr.Is4():
		return errors.New("number out of range")
	case o.Blksize < 8 || o.Blocks < 1 || o.Blocks > mostSegments || o.Blocks*(o.Blksize+tftpHeader) > mostBurst:
		return fmt.Errorf("%d blocks of %d bytes do not fit a sendmsg of %d bytes and %d segments", o.Blocks, o.Blksize, mostBurst, mostSegments)
	}
	return nil
}

// Blast sends to all receivers in turn, a burst each, as fast as it goes; nobody
// acknowledges anything, and what a receiver has no room for is lost. It counts
// what the receivers took out of their sockets.
func Blast(ctx context.Context, o BlastOptions) (r BlastResult, err error) {
	if err := o.complete(); err != nil {
		return r, fmt.Errorf("blast: %w", err)
	}
	groups := make([]*receivers, o.Threads)
	senders := make([]*blaster, o.Threads)
	defer func() {
		for i := range groups {
			groups[i].close()
			senders[i].close()
		}
	}()
	for i := range groups {
		if err := in(o.To, func() error {
			groups[i], err = openReceivers(o.Addr, share(o.Receivers, o.Threads, i), o.Blksize+tftpHeader)
			return err
		}); err != nil {
			return r, fmt.Errorf("blast: receivers: %w", err)
		}
		if err := in(o.From, func() error {
			senders[i], err = openBlaster(&o, groups[i].addrs)
			return err
		}); err != nil {
			return r, fmt.Errorf("blast: sender: %w", err)
		}
	}
	return blast(ctx, &o, senders, groups)
}

func blast(ctx context.Context, o *BlastOptions, senders []*blaster, groups []*receivers) (r BlastResult, err error) {
	errs := make([]error, 2*o.Threads)
	var sending, receiving sync.WaitGroup
	for i, g := range groups {
		receiving.Go(func() { errs[i] = g.receive() })
	}
	begin := time.Now()
	for i, s := range senders {
		sending.Go(func() { errs[o.Threads+i] = s.send(ctx, o.Bytes) })
	}
	sending.Wait()
	for _, g := range groups {
		g.finish.Store(true)
	}
	receiving.Wait()
	if err := errors.Join(errs...); err != nil {
		return r, fmt.Errorf("blast: %w", err)
	}
	for i := range senders {
		r.Sent += senders[i].blocks * int64(o.Blksize)
		r.Received += groups[i].blocks * int64(o.Blksize)
		r.Elapsed = max(r.Elapsed, groups[i].last.Sub(begin))
	}
	return r, nil
}

// in calls f in a namespace, or where it is.
func in(ns *lab.Namespace, f func() error) error {
	if ns == nil {
		return f()
	}
	return ns.Do(f)
}

// share is the i-th of n parts of a number, as even as they can be.
func share(total, n, i int) int { return (total + n - 1 - i) / n }

// blaster is one sending socket and thread.
type blaster struct {
	fd       int
	burst    []byte
	iovec    unix.Iovec
	names    []unix.RawSockaddrInet4
	messages []unix.Mmsghdr
	segments int64 // a burst
	blocks   int64 // sent
}

// sendBatch is how many bursts are one system call.
const sendBatch = 16

func openBlaster(o *BlastOptions, to []netip.AddrPort) (*blaster, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	b := &blaster{fd: fd, segments: int64(o.Blocks), burst: make([]byte, o.Blocks*(o.Blksize+tftpHeader))}
	if err := errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT, o.Blksize+tftpHeader),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 4<<20)); err != nil {
		unix.Close(fd)
		return nil, err
	}
	b.iovec.Base = &b.burst[0]
	b.iovec.SetLen(len(b.burst))
	b.names = make([]unix.RawSockaddrInet4, len(to))
	b.messages = make([]unix.Mmsghdr, len(to))
	for i, a := range to {
		b.names[i] = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: a.Port()>>8 | a.Port()<<8, Addr: a.Addr().As4()}
		setName(&b.messages[i].Hdr, &b.names[i])
		b.messages[i].Hdr.Iov = &b.iovec
		b.messages[i].Hdr.SetIovlen(1)
	}
	return b, nil
}

// send sends so many bytes of file to each, rounded up to whole bursts.
func (b *blaster) send(ctx context.Context, bytes int64) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	perBurst := int64(len(b.burst)) - b.segments*tftpHeader
	for left := bytes; left > 0; left -= perBurst {
		for done := 0; done < len(b.messages); {
			if err := ctx.Err(); err != nil {
				return err
			}
			n, errno := sendmmsg(b.fd, b.messages[done:min(done+sendBatch, len(b.messages))])
			switch errno {
			case 0:
				done += n
				b.blocks += int64(n) * b.segments
			case unix.EINTR, unix.EAGAIN, unix.ENOBUFS:
			default:
				return fmt.Errorf("sendmsg with UDP_SEGMENT: %w", errno)
			}
		}
	}
	return nil
}

func (b *blaster) close() {
	if b != nil {
		unix.Close(b.fd)
	}
}
