package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// TFTP opcodes (RFC 1350 §5, RFC 2347).
const (
	opRRQ = iota + 1
	opWRQ
	opDATA
	opACK
	opERROR
	opOACK
)

// download reads a file as the client's firmware does: edk2 asks for the size,
// aborts, and reads in windows of 4 (PxeBcMtftp.c); iPXE reads at once.
func (c *Client) download(ctx context.Context, server netip.Addr, file string) ([]byte, error) {
	if c.Style == IPXE {
		return c.read(ctx, server, file, false, "blksize", "1432", "tsize", "0")
	}
	if _, err := c.read(ctx, server, file, true, "tsize", "0", "blksize", "1468", "windowsize", "4"); err != nil {
		return nil, err
	}
	return c.read(ctx, server, file, false, "tsize", "0", "blksize", "1468", "windowsize", "4")
}

// transfer is one TFTP read.
type transfer struct {
	conn    *net.UDPConn
	peer    netip.AddrPort // 69 until the first answer, then the server's TID
	last    []byte         // what to send again after a timeout
	block   uint16         // the last one received in order
	size    int            // blksize
	window  int
	unacked int // blocks since the last ACK
	tsize   int // -1: not said
	data    []byte
	opened  bool // the server answered

	received func(bytes int, last bool)
}

const (
	tftpWait  = time.Second
	tftpTries = 6 // as edk2
)

func (c *Client) read(ctx context.Context, server netip.Addr, file string, probe bool, options ...string) ([]byte, error) {
	conn, err := c.listen(netip.AddrPortFrom(netip.IPv4Unspecified(), 0))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	t := &transfer{conn: conn, peer: netip.AddrPortFrom(server, portTFTP), size: 512, window: 1, tsize: -1, received: c.Received}
	request := binary.BigEndian.AppendUint16(nil, opRRQ)
	for _, field := range append([]string{file, "octet"}, options...) {
		request = append(append(request, field...), 0)
	}
	err = t.run(request, probe)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err == nil && t.tsize >= 0 && !probe && len(t.data) != t.tsize {
		err = fmt.Errorf("%d bytes, but tsize said %d", len(t.data), t.tsize)
	}
	if err != nil {
		return nil, fmt.Errorf("TFTP read of %q from %v: %w", file, server, err)
	}
	return t.data, nil
}

func (t *transfer) run(request []byte, probe bool) error {
	if err := t.send(request); err != nil {
		return err
	}
	buf := make([]byte, 1<<16)
	for tries := 0; ; {
		if err := t.conn.SetReadDeadline(time.Now().Add(tftpWait)); err != nil {
			return err
		}
		n, from, err := t.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if tries++; tries == tftpTries {
				return fmt.Errorf("no answer to block %d", t.block)
			}
			if err := t.send(t.last); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if n < 4 || t.opened && from != t.peer || from.Addr() != t.peer.Addr() {
			continue
		}
		tries, t.opened, t.peer = 0, true, from
		done, err := t.packet(buf[:n], probe)
		if done || err != nil {
			return err
		}
	}
}

func (t *transfer) packet(p []byte, probe bool) (done bool, err error) {
	switch op := binary.BigEndian.Uint16(p); op {
	case opERROR:
		return true, fmt.Errorf("server says error %d %q", binary.BigEndian.Uint16(p[2:]), strings.TrimRight(string(p[4:]), "\x00"))
	case opOACK:
		if err := t.options(p[2:]); err != nil {
			return true, err
		}
		if probe {
			return true, t.abort()
		}
		return false, t.ack(0)
	case opDATA:
		if probe {
			return true, errors.New("server sent data where the size was asked for")
		}
		return t.dataBlock(binary.BigEndian.Uint16(p[2:]), p[4:])
	default:
		return true, fmt.Errorf("opcode %d", op)
	}
}

func (t *transfer) dataBlock(block uint16, data []byte) (done bool, err error) {
	if block != t.block+1 {
		return false, t.ack(t.block) // a gap or a duplicate, as edk2 does
	}
	t.block, t.data = block, append(t.data, data...)
	t.unacked++
	done = len(data) < t.size
	if t.received != nil {
		t.received(len(t.data), done)
	}
	if done || t.unacked == t.window {
		return done, t.ack(block)
	}
	return false, nil
}

// options takes an OACK over, which must not hold more than was asked for.
func (t *transfer) options(p []byte) error {
	fields := strings.Split(strings.TrimSuffix(string(p), "\x00"), "\x00")
	if len(fields)%2 != 0 {
		return fmt.Errorf("malformed OACK %q", p)
	}
	for i := 0; i < len(fields); i += 2 {
		value, err := strconv.Atoi(fields[i+1])
		if err != nil {
			return fmt.Errorf("OACK %s: %w", fields[i], err)
		}
		switch fields[i] {
		case "blksize":
			t.size = value
		case "windowsize":
			t.window = value
		case "tsize":
			t.tsize = value
		default:
			return fmt.Errorf("OACK with %q, which was not asked for", fields[i])
		}
	}
	return nil
}

func (t *transfer) ack(block uint16) error {
	t.unacked = 0
	return t.send(binary.BigEndian.AppendUint16([]byte{0, opACK}, block))
}

func (t *transfer) abort() error {
	return t.send(append([]byte{0, opERROR, 0, 8}, "User aborted the transfer\x00"...))
}

func (t *transfer) send(p []byte) error {
	t.last = p
	_, err := t.conn.WriteToUDPAddrPort(p, t.peer)
	return err
}
