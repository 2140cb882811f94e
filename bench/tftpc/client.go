// Package tftpc is the client's side of TFTP, as boot firmware plays it: a state
// machine of one transfer, without sockets and without a clock.
//
// A driver sends what Start returns to the server's request port, hands every
// datagram of the server's to Take (or a whole UDP_GRO buffer to Burst) and what
// ICMP says to Unreachable, calls Expire at Deadline, and sends what they return:
// to the request port until TID is known, to TID from then on. It goes on until
// Outcome is no longer Running. Times are durations since an instant of the
// driver's choosing.
//
// Rules has the habits in which firmware differs (PROTOCOL.md section 5.1):
// what a gap and a duplicate are answered with, what an OACK may hold, what a
// timeout repeats. Nothing allocates for each packet. Every byte goes to Check,
// in order and once.
package tftpc

import (
	"bytes"
	"encoding/binary"
	"math"
	"time"
)

// Opcodes (RFC 1350, 2347).
const (
	opRRQ   = 1
	opDATA  = 3
	opACK   = 4
	opERROR = 5
	opOACK  = 6
)

const headerLen = 4 // opcode and block number

// Never is the deadline of a transfer that waits for nothing.
const Never = time.Duration(math.MaxInt64)

// Config is a transfer's task. Clients share one; they do not change it.
type Config struct {
	Request Request
	Rules   Rules
	Retry   Retry

	// Probe: the client only asks for the size and then aborts with ERROR 8, as
	// edk2 does before it fetches a file.
	Probe bool
	// Size is what the file must have, in bytes. -1: unknown, tsize counts.
	Size int64
	// Check gets the file's bytes in order and says whether they are right. They
	// are valid until it returns. nil: they are not looked at.
	Check func(offset int64, b []byte) bool
}

// Against returns a Check that compares with the whole file.
func Against(file []byte) func(offset int64, b []byte) bool {
	return func(offset int64, b []byte) bool {
		end := offset + int64(len(b))
		return end <= int64(len(file)) && bytes.Equal(file[offset:end], b)
	}
}

// Stats is what happened in a transfer.
type Stats struct {
	Blocks int64 // taken in order
	Bytes  int64 // of the file, taken in order

	Duplicates     uint64 // blocks that were there already
	DuplicateBytes uint64 // of the file, in those and in those beyond a gap
	Beyond         uint64 // blocks beyond a gap
	Ignored        uint64 // from a wrong port, malformed, too long, out of place

	Requests  uint64 // RRQs sent, repetitions included
	Acks      uint64 // ACKs sent, repetitions included
	Resent    uint64 // packets sent again because of a timeout
	Started   time.Duration
	FirstByte time.Duration // 0: none came
	Ended     time.Duration // 0: still running
}

// Client is one transfer. The zero Client is ready for Start.
type Client struct {
	cfg     *Config
	outcome Outcome
	detail  Detail
	stats   Stats

	tid      uint16
	answered bool // an OACK or DATA came
	nacked   bool // the gap at the expected block was answered
	blksize  int
	window   int
	size     int64 // that the file must have, -1: unknown
	inWindow int   // blocks since the last acknowledgement

	deadline time.Duration
	wait     time.Duration
	retries  int
	last     []byte          // the packet that a timeout repeats
	again    [headerLen]byte // the ACK of a duplicate, which it does not
}

// Start begins a transfer and returns the RRQ. What is returned, here and
// elsewhere, is valid until the next call.
func (c *Client) Start(now time.Duration, cfg *Config) []byte {
	*c = Client{cfg: cfg, blksize: defaultBlksize, window: 1, size: cfg.Size, last: c.last[:0]}
	if cfg.Size < 0 {
		c.size = -1
	}
	c.last = cfg.Request.Append(c.last)
	c.stats.Started = now
	c.stats.Requests = 1
	c.progress(now)
	return c.last
}

// Outcome says how the transfer stands.
func (c *Client) Outcome() Outcome { return c.outcome }

// Detail says more about a failure.
func (c *Client) Detail() Detail { return c.detail }

// Stats is the client's own record.
func (c *Client) Stats() *Stats { return &c.stats }

// TID is the port that packets go to. 0: the request port.
func (c *Client) TID() uint16 { return c.tid }

// Granted returns what was agreed on; before that, what RFC 1350 says.
func (c *Client) Granted() (blksize, window int) { return c.blksize, c.window }

// Tsize is the size that the server named or that the file must have, -1: none.
func (c *Client) Tsize() int64 { return c.size }

// Deadline is when Expire is due.
func (c *Client) Deadline() time.Duration { return c.deadline }

// Take takes a datagram that came from a port of the server's address. It
// returns the answer, nil if there is none.
func (c *Client) Take(now time.Duration, from uint16, p []byte) (answer []byte) {
	if c.outcome != Running {
		return nil
	}
	if len(p) < headerLen || c.tid != 0 && from != c.tid {
		c.stats.Ignored++
		return nil
	}
	switch binary.BigEndian.Uint16(p) {
	case opDATA:
		return c.data(now, from, binary.BigEndian.Uint16(p[2:]), p[headerLen:])
	case opOACK:
		return c.oack(now, from, p[2:])
	case opERROR:
		text, _, _ := bytes.Cut(p[headerLen:], []byte{0})
		c.tid = from
		c.detail = Detail{Code: binary.BigEndian.Uint16(p[2:]), Text: printable(text)}
		c.end(now, Refused)
		return nil
	}
	c.stats.Ignored++
	return nil
}

// Burst takes a buffer of datagrams of one length each, the last one perhaps
// shorter, as UDP_GRO delivers them. It stops after the first that has an answer:
// call it again with the rest until that is empty.
func (c *Client) Burst(now time.Duration, from uint16, p []byte, segment int) (rest, answer []byte) {
	if segment <= 0 {
		segment = len(p)
	}
	for len(p) > 0 && answer == nil {
		n := min(segment, len(p))
		answer = c.Take(now, from, p[:n])
		p = p[n:]
	}
	return p, answer
}

// Expire says that it is now. It returns the packet to repeat, nil if there is
// none: the deadline is still to come, or the client gave up.
func (c *Client) Expire(now time.Duration) []byte {
	if now < c.deadline || c.outcome != Running {
		return nil
	}
	if c.retries == c.cfg.Retry.Retries {
		c.end(now, TimedOut)
		return nil
	}
	c.retries++
	c.wait = c.cfg.Retry.next(c.wait)
	c.deadline = now + c.wait
	c.stats.Resent++
	if !c.answered {
		c.stats.Requests++
		return c.last
	}
	c.stats.Acks++
	if c.cfg.Rules.Progress {
		c.inWindow = 0
		c.last = appendACK(c.last[:0], uint16(c.stats.Blocks))
	}
	return c.last
}

// Unreachable ends the transfer: ICMP says that there is nobody at the port that
// a packet went to. Firmware gives up then.
func (c *Client) Unreachable(now time.Duration) {
	if c.outcome == Running {
		c.end(now, Unreachable)
	}
}

// Abort ends the transfer and returns the ERROR that tells the server, nil if it
// has not answered yet: there is nobody to tell.
func (c *Client) Abort(now time.Duration, code uint16, text string) []byte {
	if c.outcome != Running {
		return nil
	}
	c.detail.Text = text
	p := c.fail(now, Aborted, code, text)
	if c.tid == 0 {
		return nil
	}
	return p
}

// oack takes an OACK. edk2 takes a repeated one as long as no DATA came.
func (c *Client) oack(now time.Duration, from uint16, p []byte) []byte {
	if c.stats.Blocks > 0 || c.answered && c.tid != from {
		c.stats.Ignored++
		return nil
	}
	c.tid = from
	g, bad := parseOACK(p, &c.cfg.Request, &c.cfg.Rules)
	if bad != "" {
		c.detail.Text = bad
		code := uint16(4) // edk2; PXELINUX says 8
		if c.cfg.Rules.OACK == OACKNothing {
			code = 8
		}
		return c.fail(now, BadOACK, code, "Malformatted OACK packet")
	}
	if g.tsize < 0 && c.cfg.Rules.NeedTsize {
		return c.fail(now, NoTsize, 8, "User aborted the transfer")
	}
	if g.tsize >= 0 {
		if c.cfg.Size >= 0 && g.tsize != c.cfg.Size {
			return c.fail(now, WrongSize, 8, "User aborted the transfer")
		}
		c.size = g.tsize
	}
	if c.cfg.Probe {
		return c.fail(now, Done, 8, "User aborted the transfer")
	}
	c.answered = true
	c.blksize, c.window = g.blksize, g.window
	c.progress(now)
	return c.ack()
}

func (c *Client) data(now time.Duration, from uint16, block uint16, p []byte) []byte {
	if len(p) > c.blksize {
		c.stats.Ignored++
		return nil
	}
	if ahead := int16(block - uint16(c.stats.Blocks+1)); ahead != 0 {
		return c.unexpected(ahead, block, len(p))
	}
	if !c.answered {
		c.tid = from
		if c.cfg.Rules.NeedOACK || c.cfg.Probe {
			return c.fail(now, NoOptions, 4, "OACK expected")
		}
		c.answered = true
	}
	if c.cfg.Check != nil && !c.cfg.Check(c.stats.Bytes, p) {
		c.detail.Offset = c.stats.Bytes
		return c.fail(now, WrongBytes, 0, "wrong bytes")
	}
	if c.stats.Blocks == 0 {
		c.stats.FirstByte = now
	}
	c.stats.Blocks++
	c.stats.Bytes += int64(len(p))
	c.inWindow++
	c.nacked = false
	c.progress(now)
	last := len(p) < c.blksize
	if c.size >= 0 && (c.stats.Bytes > c.size || last && c.stats.Bytes < c.size) {
		return c.fail(now, WrongSize, 0, "wrong size")
	}
	if last {
		c.ack()
		c.end(now, Done)
		return c.last
	}
	if c.inWindow == c.window {
		return c.ack()
	}
	return nil
}

// unexpected takes a block that is not the expected one, but some blocks ahead of
// it (or behind), with n bytes.
func (c *Client) unexpected(ahead int16, block uint16, n int) []byte {
	if !c.answered {
		c.stats.Ignored++ // the answer to the request is still to come
		return nil
	}
	c.stats.DuplicateBytes += uint64(n)
	if ahead < 0 {
		c.stats.Duplicates++
		switch c.cfg.Rules.Duplicate {
		case DuplicateAckLast:
			return c.ack()
		case DuplicateAckThat:
			c.stats.Acks++
			return appendACK(c.again[:0], block)
		}
		return nil
	}
	c.stats.Beyond++
	if c.cfg.Rules.Gap == GapEach || c.cfg.Rules.Gap == GapOnce && !c.nacked {
		c.nacked = true
		return c.ack()
	}
	return nil
}

// ack acknowledges what was received in order.
func (c *Client) ack() []byte {
	c.inWindow = 0
	c.stats.Acks++
	c.last = appendACK(c.last[:0], uint16(c.stats.Blocks))
	return c.last
}

func appendACK(dst []byte, block uint16) []byte {
	return append(dst, 0, opACK, byte(block>>8), byte(block))
}

// progress starts the waiting anew.
func (c *Client) progress(now time.Duration) {
	c.retries = 0
	c.wait = c.cfg.Retry.First
	c.deadline = now + c.wait
}

// fail ends the transfer with an ERROR.
func (c *Client) fail(now time.Duration, o Outcome, code uint16, text string) []byte {
	c.end(now, o)
	c.last = append(c.last[:0], 0, opERROR, byte(code>>8), byte(code))
	c.last = appendField(c.last, text)
	return c.last
}

func (c *Client) end(now time.Duration, o Outcome) {
	c.outcome = o
	c.deadline = Never
	c.stats.Ended = now
}
