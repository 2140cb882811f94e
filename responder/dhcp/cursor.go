package dhcp

import (
	"bytes"
	"net/netip"
)

// cursor steps through the options of a message, in the order of RFC 2131
// §4.1: the options field, then file and sname where option 52 says so.
type cursor struct {
	msg      []byte
	pos, end int
	overload uint8 // bit 0 file, bit 1 sname, as in option 52
	rest     uint8 // overloaded fields not read yet
	main     bool  // in the options field
	ended    bool  // the options field had an END
	bad      bool  // an option runs over the end of its field
	odd      bool  // there is an option 52 that is not one byte of 1, 2 or 3
}

// cursorOf needs len(msg) >= headerLen.
func cursorOf(msg []byte) cursor {
	return cursor{msg: msg, pos: headerLen, end: len(msg), main: true}
}

// next returns the next option; ok is false at the end, or when bad.
func (c *cursor) next() (code uint8, data span, ok bool) {
	for {
		for c.pos < c.end {
			code = c.msg[c.pos]
			if code == optPad {
				c.pos++
				continue
			}
			if code == optEnd {
				c.ended = c.ended || c.main
				break
			}
			start := c.pos + 2
			if start > c.end || start+int(c.msg[c.pos+1]) > c.end {
				c.bad = true
				return 0, span{}, false
			}
			n := int(c.msg[c.pos+1])
			c.pos = start + n
			if code == optOverload && c.main {
				c.readOverload(c.msg[start:c.pos])
			}
			return code, span{uint16(start), uint16(n)}, true
		}
		c.main = false
		switch {
		case c.rest&1 != 0:
			c.rest &^= 1
			c.pos, c.end = offFile, offFile+fileLen
		case c.rest&2 != 0:
			c.rest &^= 2
			c.pos, c.end = offSName, offFile
		default:
			c.pos = c.end
			return 0, span{}, false
		}
	}
}

// readOverload takes option 52. Of two the first counts.
func (c *cursor) readOverload(data []byte) {
	switch {
	case len(data) != 1 || data[0] == 0 || data[0] > 3:
		c.odd = true
	case c.overload == 0:
		c.overload, c.rest = data[0], data[0]
	}
}

// subOption returns the data of the first sub-option with that code in
// encapsulated options such as 43 (RFC 2132 §8.4), nil if there is none or it
// runs over the end.
func subOption(data []byte, code uint8) []byte {
	for len(data) > 0 {
		switch data[0] {
		case optPad:
			data = data[1:]
			continue
		case optEnd:
			return nil
		}
		if len(data) < 2 || len(data) < 2+int(data[1]) {
			return nil
		}
		n := 2 + int(data[1])
		if data[0] == code {
			return data[2:n:n]
		}
		data = data[n:]
	}
	return nil
}

func addr4(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b)) }

func hardwareAddr(msg []byte) []byte {
	n := min(msg[offHLen], maxHardwareLen)
	return msg[offCHAddr : offCHAddr+int(n)]
}

func untilNUL(b []byte) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		return b[:i]
	}
	return b
}
