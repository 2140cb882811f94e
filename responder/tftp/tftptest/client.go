package tftptest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Client fetches files over UDP. It may be used by several goroutines.
type Client struct {
	Server netip.AddrPort
	Local  netip.AddrPort // zero: the kernel picks

	Faults   Faults // in both directions
	Seed     uint64 // of the faults
	EveryGap bool   // see Receiver

	Retry time.Duration // repeat the last packet after such a silence; 0: 1 s
	Tries int           // repetitions without an answer before giving up; 0: 10
	Dally time.Duration // answer repetitions of the last block for so long after the end
}

// heldFor is how long a reordered packet waits for others to overtake it.
const heldFor = 2 * time.Millisecond

// Get fetches a file into a writer. The Receiver says how it went, also beside an error.
func (c *Client) Get(ctx context.Context, r Request, into io.Writer) (*Receiver, error) {
	rcv := NewReceiver(r, into)
	rcv.EveryGap = c.EveryGap
	err := c.run(ctx, rcv)
	if err == nil && rcv.Size >= 0 && rcv.Size != rcv.Bytes {
		err = fmt.Errorf("received %d bytes, tsize was %d", rcv.Bytes, rcv.Size)
	}
	return rcv, err
}

// GrowReadBuffer makes room for a window of any size. Where the system limits
// it and we are not root, large windows lose packets.
func GrowReadBuffer(conn *net.UDPConn) {
	const size = 4 << 20
	raw, err := conn.SyscallConn()
	if err != nil {
		return // closed
	}
	_ = raw.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size) != nil {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, size)
		}
	})
}

// session is one transfer on a socket.
type session struct {
	*Client
	conn    *net.UDPConn
	rcv     *Receiver
	peer    netip.AddrPort // where to send
	out, in *Link
	err     error
}

func (c *Client) run(ctx context.Context, rcv *Receiver) error {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(c.local()))
	if err != nil {
		return err
	}
	defer conn.Close()
	GrowReadBuffer(conn)
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()

	s := &session{Client: c, conn: conn, rcv: rcv, peer: c.Server, out: NewLink(c.Faults, 2*c.Seed), in: NewLink(c.Faults, 2*c.Seed+1)}
	s.send(rcv.Last())
	retry, tries := orDefault(c.Retry, time.Second), orDefault(c.Tries, 10)
	silence := 0
	var end time.Time // of dallying
	repeatAt := time.Now().Add(retry)
	buf := make([]byte, 1<<16)
	for s.err == nil && ctx.Err() == nil {
		now := time.Now()
		if rcv.Done && end.IsZero() {
			end = now.Add(c.Dally)
		}
		if !end.IsZero() && !now.Before(end) {
			break
		}
		deadline := repeatAt
		if !end.IsZero() {
			deadline = end
		}
		if held := now.Add(heldFor); (s.in.Holds() || s.out.Holds()) && held.Before(deadline) {
			deadline = held
		}
		if err := conn.SetReadDeadline(deadline); err != nil {
			return err
		}
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		var timeout net.Error
		switch {
		case err == nil:
			from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
			if s.peer == c.Server && from.Addr().WithZone("") == c.Server.Addr().WithZone("") {
				s.peer = from // the first answer tells the TID
			}
			if from != s.peer {
				s.err = fmt.Errorf("packet from %v, the transfer is with %v", from, s.peer)
				break
			}
			silence = 0
			unwanted := rcv.Unwanted
			s.in.Pass(buf[:n], s.take)
			if rcv.Unwanted == unwanted {
				repeatAt = time.Now().Add(retry)
			}
		case errors.As(err, &timeout) && timeout.Timeout():
			s.in.Flush(s.take)
			s.out.Flush(s.write)
			if !rcv.Done && !time.Now().Before(repeatAt) {
				if silence++; silence > tries {
					return fmt.Errorf("no answer to %d repetitions: %w", tries, context.DeadlineExceeded)
				}
				s.send(rcv.Last())
				repeatAt = time.Now().Add(retry)
			}
		default:
			return err
		}
	}
	if s.err == nil && !rcv.Done {
		return context.Cause(ctx)
	}
	s.out.Flush(s.write)
	return s.err
}

func (c *Client) local() netip.AddrPort {
	if c.Local.IsValid() {
		return c.Local
	}
	if c.Server.Addr().Is4() {
		return netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
}

// take hands a packet that arrived to the receiver.
func (s *session) take(p []byte) {
	if s.err != nil {
		return
	}
	answer, err := s.rcv.Take(p)
	if err != nil {
		s.err = err
		return
	}
	if answer != nil {
		s.send(answer)
	}
}

func (s *session) send(p []byte) { s.out.Pass(p, s.write) }

func (s *session) write(p []byte) {
	if _, err := s.conn.WriteToUDPAddrPort(p, s.peer); err != nil && s.err == nil {
		s.err = err
	}
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
