package legacy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/xdpxe/xdpxe/responder/content"
)

// Opcodes (RFC 1350, 2347).
const (
	opRRQ   = 1
	opWRQ   = 2
	opDATA  = 3
	opACK   = 4
	opERROR = 5
)

// Progress is how far a session has come. It may be read at any time.
type Progress struct {
	path  atomic.Pointer[string]
	size  atomic.Int64
	bytes atomic.Int64
}

// Path returns the file's path, empty while it is not known.
func (p *Progress) Path() string {
	if s := p.path.Load(); s != nil {
		return *s
	}
	return ""
}

// Size returns the file's length, or that which the client announced.
func (p *Progress) Size() int64 { return p.size.Load() }

// Bytes returns how much of the file was read or written.
func (p *Progress) Bytes() int64 { return p.bytes.Load() }

func (p *Progress) named(path string, size int64) {
	p.path.Store(&path)
	p.size.Store(size)
}

// session is one transfer between a client and pin/tftp.
type session struct {
	request  Request
	link     Link
	conn     *net.UDPConn // on loopback, towards pin/tftp
	progress *Progress

	upload    *upload // or
	source    *source
	committed bool // the upload is not ours any more
	closed    bool

	done chan struct{} // closed when pin/tftp's work is over; then
	err  error         // is what it says about it

	last     sync.Mutex
	pin      netip.AddrPort // of the transfer, once it is known
	sent     []byte         // the packet that the client has got last
	stop     error          // why the session must end
	finished bool           // an upload is complete; its last acknowledgement may be lost
}

func (t *session) connect() (err error) {
	if t.conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: loopback}); err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	return nil
}

// close gives back what open has opened, once.
func (t *session) close() {
	if t.closed {
		return
	}
	t.closed = true
	if t.source != nil {
		t.source.file.Release()
	}
	if t.upload != nil && !t.committed {
		t.upload.discard()
	}
}

// requestPacket is the request as pin/tftp gets it. The file's name is the session's.
func (t *session) requestPacket(key string) []byte {
	p := []byte{0, opRRQ}
	if t.request.Write {
		p[1] = opWRQ
	}
	words := []string{key, "octet"}
	if t.request.Netascii {
		words[1] = "netascii"
	}
	if t.request.Blksize > 0 {
		words = append(words, "blksize", strconv.Itoa(t.request.Blksize))
	}
	for _, w := range words {
		p = append(append(p, w...), 0)
	}
	return p
}

// fromClient carries packets to pin/tftp until the link closes.
func (t *session) fromClient() {
	for {
		p, err := t.link.Receive()
		if err != nil {
			if errors.Is(err, ErrUnreachable) {
				t.interrupt(ErrUnreachable)
			}
			return
		}
		if len(p) < 4 || p[0] != 0 {
			continue
		}
		switch p[1] {
		case opERROR:
			t.interrupt(ErrAborted)
		case opDATA, opACK:
			if (p[1] == opDATA) == t.request.Write {
				t.toPin(p)
			}
		}
	}
}

func (t *session) toPin(p []byte) {
	t.last.Lock()
	defer t.last.Unlock()
	if t.finished {
		if len(t.sent) == 4 && t.sent[1] == opACK && binary.BigEndian.Uint16(t.sent[2:]) == binary.BigEndian.Uint16(p[2:]) {
			_ = t.link.Send(t.sent) // lost again, or not
		}
		return
	}
	if t.pin.IsValid() {
		// A packet that does not get there is one that is lost.
		_, _ = t.conn.WriteToUDPAddrPort(p, t.pin)
	}
}

// finish says that an upload is whole, before its last acknowledgement leaves.
func (t *session) finish() {
	t.last.Lock()
	defer t.last.Unlock()
	t.finished = true
}

// interrupt ends the session. pin/tftp is told what a client would tell it.
func (t *session) interrupt(why error) {
	t.last.Lock()
	defer t.last.Unlock()
	if t.stop == nil && !t.finished {
		t.stop = why
		t.tellPin()
	}
}

// tellPin ends pin/tftp's transfer. last is held.
func (t *session) tellPin() {
	if t.pin.IsValid() {
		_, _ = t.conn.WriteToUDPAddrPort([]byte("\x00\x05\x00\x00end\x00"), t.pin)
	}
}

// fromPin carries packets to the client until conn closes. ERRORs stay here:
// pin/tftp has but one code for all of them.
func (t *session) fromPin() {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := t.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		t.last.Lock()
		if !t.pin.IsValid() {
			t.pin = from
		}
		switch {
		case from != t.pin || n < 2 || buf[1] == opERROR:
		case t.stop != nil && !t.finished:
			t.tellPin() // it had not begun when the session was interrupted
		default:
			t.sent = append(t.sent[:0], buf[:n]...)
			_ = t.link.Send(t.sent) // or it is lost
		}
		t.last.Unlock()
	}
}

// end returns how the session ended, when done is closed.
func (t *session) end() error {
	if t.err == nil {
		return nil
	}
	t.last.Lock()
	defer t.last.Unlock()
	var timeout net.Error
	switch {
	case t.stop != nil:
		return t.stop
	case t.upload != nil && t.upload.err != nil:
		return t.upload.err
	case t.source != nil && t.source.err != nil:
		return t.source.err
	case errors.As(t.err, &timeout) && timeout.Timeout():
		return ErrSilent
	}
	return t.err
}

// source reads a boot file and notices when it changes.
type source struct {
	file *content.File
	off  int64
	err  error
}

func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	rest := s.file.Size() - s.off
	n, err := 0, error(nil)
	if rest > 0 {
		n, err = s.file.ReadAt(p[:min(rest, int64(len(p)))], s.off)
	}
	s.off += int64(n)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		s.err = err
	case s.off == s.file.Size() && !s.file.Changed():
		return n, io.EOF
	case s.off == s.file.Size() || n == 0:
		s.err = ErrChanged
	default:
		return n, nil
	}
	return 0, s.err
}

// counted counts what pin/tftp writes, and countedReader what it reads.
type counted struct {
	io.Writer
	progress *Progress
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.progress.bytes.Add(int64(n))
	return n, err
}

type countedReader struct {
	io.Reader
	progress *Progress
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.progress.bytes.Add(int64(n))
	return n, err
}
