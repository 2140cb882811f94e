package dhcp

import (
	"encoding/binary"
	"iter"
	"net/netip"

	"github.com/xdpxe/xdpxe/responder/packet"
)

// joinedRoom bounds the bytes of options that occur more than once. A message
// that fits one Ethernet frame cannot exceed it.
const joinedRoom = 1472

// View reads a DHCP message in place. It borrows the message from Parse until
// the next Parse; the slices that it returns are borrowed likewise. A View is
// large: reuse it. It has one owner at a time.
//
// All methods but Parse need a Parse that returned Answered.
type View struct {
	msg    []byte
	seen   bits // codes that occur
	again  bits // codes that occur more than once and are not joined yet
	merged bits // codes whose span is in joined
	at     [256]span
	noEnd  bool
	odd52  bool
	file   bool // the file field holds options, not a name

	joined    [joinedRoom]byte
	joinedLen int
}

type span struct{ off, len uint16 }

type bits [4]uint64

func (b *bits) has(c uint8) bool { return b[c>>6]&(1<<(c&63)) != 0 }
func (b *bits) set(c uint8)      { b[c>>6] |= 1 << (c & 63) }
func (b *bits) clear(c uint8)    { b[c>>6] &^= 1 << (c & 63) }

// Parse makes v a view of msg and indexes its options. It returns Answered
// (0), Truncated or BadMagic; it does not judge the header.
func (v *View) Parse(msg []byte) packet.Reason {
	v.msg, v.seen, v.again, v.merged = nil, bits{}, bits{}, bits{}
	v.noEnd, v.odd52, v.file, v.joinedLen = false, false, false, 0
	if len(msg) < headerLen || len(msg) > 0xffff {
		return packet.Truncated
	}
	if binary.BigEndian.Uint32(msg[offMagic:]) != magicCookie {
		return packet.BadMagic
	}
	c := cursorOf(msg)
	for {
		code, s, ok := c.next()
		if !ok {
			break
		}
		if v.seen.has(code) {
			v.again.set(code)
			continue
		}
		v.seen.set(code)
		v.at[code] = s
	}
	if c.bad {
		return packet.Truncated
	}
	v.msg, v.noEnd, v.odd52, v.file = msg, !c.ended, c.odd, c.overload&1 != 0
	return packet.Answered
}

// Option returns the data of an option, all of its pieces joined (RFC 3396),
// and nil if the message does not carry it. An option of length 0 is not nil.
func (v *View) Option(code uint8) []byte {
	if !v.seen.has(code) {
		return nil
	}
	if v.again.has(code) {
		v.join(code)
	}
	s := v.at[code]
	end := int(s.off) + int(s.len)
	if v.merged.has(code) {
		return v.joined[s.off:end:end]
	}
	return v.msg[s.off:end:end]
}

// Where returns where the data of an option stands in the message; ok is false
// if the message does not carry it, or in more than one piece.
func (v *View) Where(code uint8) (at, n int, ok bool) {
	if !v.seen.has(code) || v.again.has(code) || v.merged.has(code) {
		return 0, 0, false
	}
	s := v.at[code]
	return int(s.off), int(s.len), true
}

// join puts the pieces of an option one behind the other. Without room for
// them, which takes a message beyond joinedRoom, the first piece stands for all.
func (v *View) join(code uint8) {
	v.again.clear(code)
	start, n := v.joinedLen, v.joinedLen
	c := cursorOf(v.msg)
	for {
		got, s, ok := c.next()
		if !ok {
			break
		}
		if got != code {
			continue
		}
		if n+int(s.len) > len(v.joined) {
			return
		}
		n += copy(v.joined[n:], v.msg[s.off:s.off+s.len])
	}
	v.joinedLen = n
	v.at[code] = span{uint16(start), uint16(n - start)}
	v.merged.set(code)
}

// Options yields the options piece by piece as they stand in the message, code
// and data, without pads and END. It is for tools: Option is faster.
func (v *View) Options() iter.Seq2[uint8, []byte] {
	return func(yield func(uint8, []byte) bool) {
		c := cursorOf(v.msg)
		for {
			code, s, ok := c.next()
			if !ok || !yield(code, v.msg[s.off:s.off+s.len]) {
				return
			}
		}
	}
}

// NoEnd reports that the options were not ended by END (255).
func (v *View) NoEnd() bool { return v.noEnd }

// OddOverload reports an option 52 that is not one byte of 1, 2 or 3. It overloads nothing.
func (v *View) OddOverload() bool { return v.odd52 }

// Op is 1 in requests and 2 in replies.
func (v *View) Op() uint8 { return v.msg[0] }

// XID is the transaction id.
func (v *View) XID() uint32 { return binary.BigEndian.Uint32(v.msg[offXID:]) }

// Secs is what the client says of the time since it began; iPXE counts tries in it instead.
func (v *View) Secs() uint16 { return binary.BigEndian.Uint16(v.msg[offSecs:]) }

// Flags has one defined bit, 0x8000: broadcast the reply.
func (v *View) Flags() uint16 { return binary.BigEndian.Uint16(v.msg[offFlags:]) }

// HardwareAddr is chaddr[:hlen]: usually a MAC, 16 bytes of GUID from edk2 with SendGUID.
func (v *View) HardwareAddr() []byte { return hardwareAddr(v.msg) }

// ClientIP, YourIP, NextServer and Relay are ciaddr, yiaddr, siaddr and giaddr.
func (v *View) ClientIP() netip.Addr   { return addr4(v.msg[offCIAddr:]) }
func (v *View) YourIP() netip.Addr     { return addr4(v.msg[offYIAddr:]) }
func (v *View) NextServer() netip.Addr { return addr4(v.msg[offSIAddr:]) }
func (v *View) Relay() netip.Addr      { return addr4(v.msg[offGIAddr:]) }

// File is the boot file name: option 67, else the header field unless that holds options.
func (v *View) File() []byte {
	if name := v.Option(optBootFile); len(name) > 0 {
		return untilNUL(name)
	}
	if v.file {
		return nil
	}
	return untilNUL(v.msg[offFile : offFile+fileLen])
}

// Type is the message type; ok is false if option 53 is absent (BOOTP). An
// option 53 that is not one byte gives type 0.
func (v *View) Type() (t MessageType, ok bool) {
	switch data := v.Option(optMessageType); {
	case data == nil:
		return 0, false
	case len(data) == 1:
		return MessageType(data[0]), true
	}
	return 0, true
}
