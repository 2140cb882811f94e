package tftptest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Request is what a client asks for.
type Request struct {
	Name    string
	Mode    string // "": octet
	Blksize int    // 0: not asked for, like the others
	Window  int
	Timeout int // seconds
	Tsize   bool
	Extra   []string // further options: name, value, name, value
}

// Packet returns the RRQ.
func (r *Request) Packet() []byte {
	mode := r.Mode
	if mode == "" {
		mode = "octet"
	}
	fields := append([]string{r.Name, mode}, r.options()...)
	return append([]byte{0, 1}, strings.Join(fields, "\x00")+"\x00"...)
}

func (r *Request) options() []string {
	var o []string
	if r.Tsize {
		o = append(o, "tsize", "0")
	}
	for _, n := range []struct {
		name  string
		value int
	}{{"blksize", r.Blksize}, {"windowsize", r.Window}, {"timeout", r.Timeout}} {
		if n.value != 0 {
			o = append(o, n.name, strconv.Itoa(n.value))
		}
	}
	return append(o, r.Extra...)
}

// Error is an ERROR packet from the server.
type Error struct {
	Code uint16
	Text string
}

func (e *Error) Error() string { return fmt.Sprintf("TFTP error %d: %s", e.Code, e.Text) }

// Receiver is a client's side of one transfer, without sockets and clock.
type Receiver struct {
	// EveryGap lets the receiver answer every packet that is not the expected
	// one, as edk2 does; without it, one per gap, as U-Boot does. In lock-step,
	// every duplicate is acknowledged, as iPXE does.
	EveryGap bool

	// What was agreed on, after the first packet.
	OACK     map[string]string // nil: none came
	Size     int64             // tsize; -1: unknown
	Blksize  int
	Window   int
	Blocks   int64 // expected ones received
	Bytes    int64
	Unwanted int // packets that were not the expected one
	Done     bool

	request   Request
	into      io.Writer
	inWindow  int // received since the last acknowledgement
	last      []byte
	answered  bool // the gap at the expected block
	received  bool // any DATA
	ackPacket [4]byte
}

// NewReceiver starts a transfer whose bytes go to into. Last is the RRQ at first.
func NewReceiver(r Request, into io.Writer) *Receiver {
	return &Receiver{request: r, into: into, Size: -1, Blksize: 512, Window: 1, last: r.Packet()}
}

// Last returns the packet to send at first and to repeat when nothing comes.
func (r *Receiver) Last() []byte { return r.last }

// Take takes a packet of the server's and returns the answer, nil if there is none.
func (r *Receiver) Take(p []byte) (answer []byte, err error) {
	if len(p) < 4 {
		return nil, fmt.Errorf("packet of %d bytes", len(p))
	}
	switch op := binary.BigEndian.Uint16(p); op {
	case 3:
		return r.data(binary.BigEndian.Uint16(p[2:]), p[4:])
	case 5:
		text, ok := bytes.CutSuffix(p[4:], []byte{0})
		if !ok || bytes.IndexByte(text, 0) >= 0 {
			return nil, fmt.Errorf("ERROR without a NUL-terminated text: %q", p)
		}
		return nil, &Error{binary.BigEndian.Uint16(p[2:]), string(text)}
	case 6:
		return r.oack(p[2:])
	default:
		return nil, fmt.Errorf("opcode %d from a server", op)
	}
}

// oack checks an OACK as edk2 does (Mtftp4RrqOackValid), and more.
func (r *Receiver) oack(p []byte) ([]byte, error) {
	if r.received {
		r.Unwanted++
		return nil, nil
	}
	if p[len(p)-1] != 0 {
		return nil, fmt.Errorf("OACK %q does not end with NUL", p)
	}
	fields := strings.Split(string(p[:len(p)-1]), "\x00")
	if len(fields)%2 != 0 {
		return nil, fmt.Errorf("OACK %q has a name without a value", p)
	}
	asked := map[string]string{}
	for o := r.request.options(); len(o) >= 2; o = o[2:] {
		if name := strings.ToLower(o[0]); asked[name] == "" {
			asked[name] = o[1]
		}
	}
	got := map[string]string{}
	for ; len(fields) > 0; fields = fields[2:] {
		name, value := fields[0], fields[1]
		if _, twice := got[name]; twice {
			return nil, fmt.Errorf("OACK has %s twice", name)
		}
		got[name] = value
		want, ok := asked[name]
		if !ok {
			return nil, fmt.Errorf("OACK has %s, which was not asked for", name)
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("OACK has %s=%q", name, value)
		}
		limit, _ := strconv.ParseInt(want, 10, 64)
		switch name {
		case "tsize":
			r.Size = n
		case "blksize":
			if n < 8 || n > limit {
				return nil, fmt.Errorf("OACK has blksize %d, %d was asked for", n, limit)
			}
			r.Blksize = int(n)
		case "windowsize":
			if n < 1 || n > limit {
				return nil, fmt.Errorf("OACK has windowsize %d, %d was asked for", n, limit)
			}
			r.Window = int(n)
		case "timeout":
			if n != limit {
				return nil, fmt.Errorf("OACK has timeout %d, %d was asked for", n, limit)
			}
		}
	}
	r.OACK = got
	return r.ack(), nil
}

func (r *Receiver) data(block uint16, p []byte) ([]byte, error) {
	if len(p) > r.Blksize {
		return nil, fmt.Errorf("DATA %d of %d bytes, blksize is %d", block, len(p), r.Blksize)
	}
	if r.Done || block != uint16(r.Blocks+1) {
		r.Unwanted++
		if !r.received && r.OACK == nil {
			return nil, nil // the first block is still to come
		}
		if r.answered && !r.EveryGap && r.Window > 1 {
			return nil, nil
		}
		r.answered = true
		return r.ack(), nil
	}
	if _, err := r.into.Write(p); err != nil {
		return nil, err
	}
	r.received = true
	r.answered = false
	r.Blocks++
	r.Bytes += int64(len(p))
	r.inWindow++
	r.Done = len(p) < r.Blksize
	if r.Done || r.inWindow == r.Window {
		return r.ack(), nil
	}
	return nil, nil
}

// ack acknowledges what was received so far.
func (r *Receiver) ack() []byte {
	r.inWindow = 0
	binary.BigEndian.PutUint16(r.ackPacket[:], 4)
	binary.BigEndian.PutUint16(r.ackPacket[2:], uint16(r.Blocks))
	r.last = r.ackPacket[:]
	return r.last
}
