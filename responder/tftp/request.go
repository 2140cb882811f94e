package tftp

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
)

// maxRequest is the length of the longest request (RFC 2347).
const maxRequest = 512

// options is a set of the options that a request may carry.
type options uint8

const (
	optTsize options = 1 << iota
	optBlksize
	optWindowsize
	optTimeout
)

// request is a parsed request. name is part of the datagram.
type request struct {
	name    []byte
	asked   options // with a value in range
	blksize int
	window  int
	timeout int // seconds
	tsize   int64
	// write and netascii are said of requests that the event loops refuse.
	write, netascii bool
}

// parseRequest reads a datagram from the request port. It returns running, or
// how the request ends at once, unless it is set aside.
func parseRequest(p []byte) (request, Outcome) {
	var r request
	if len(p) < 2 {
		return r, NotRequest
	}
	switch binary.BigEndian.Uint16(p) {
	case opRRQ:
	case opWRQ:
		r.write = true
	default:
		// An ERROR for these would answer a forged sender with more than it sent.
		return r, NotRequest
	}
	if len(p) > maxRequest {
		return r, Malformed
	}
	name, rest, ok := cutString(p[2:])
	if !ok || len(name) == 0 {
		return r, Malformed
	}
	mode, rest, ok := cutString(rest)
	if !ok {
		return r, Malformed
	}
	r.name = name
	r.parseOptions(rest)
	r.netascii = isName(mode, "netascii")
	switch {
	case !r.netascii && !isName(mode, "octet"):
		return r, BadMode
	case r.write:
		return r, WriteRefused
	case r.netascii:
		return r, BadMode
	}
	return r, running
}

// parseOptions reads pairs of name and value up to the first that is not whole.
// Unknown names and values out of range are passed over; of two instances the first counts.
func (r *request) parseOptions(p []byte) {
	var seen options
	for {
		name, rest, ok := cutString(p)
		if !ok {
			return
		}
		value, rest, ok := cutString(rest)
		if !ok {
			return
		}
		p = rest
		var opt options
		var into *int
		low, high := 0, 0
		switch {
		case isName(name, "tsize"):
			opt = optTsize // whatever the value: U-Boot sends what it likes
			if v, err := strconv.ParseInt(string(value), 10, 64); r.write && err == nil {
				r.tsize = v
			}
		case isName(name, "blksize"):
			opt, into, low, high = optBlksize, &r.blksize, minBlksize, maxBlksize
		case isName(name, "windowsize"):
			opt, into, low, high = optWindowsize, &r.window, 1, maxWindow
		case isName(name, "timeout"):
			opt, into, low, high = optTimeout, &r.timeout, 1, 255
		}
		if opt == 0 || seen&opt != 0 {
			continue
		}
		seen |= opt
		if into != nil {
			v, ok := number(value)
			if !ok || v < low || v > high {
				continue
			}
			*into = v
		}
		r.asked |= opt
	}
}

// cutString cuts a NUL-terminated string off p.
func cutString(p []byte) (s, rest []byte, ok bool) {
	i := bytes.IndexByte(p, 0)
	if i < 0 {
		return nil, nil, false
	}
	return p[:i], p[i+1:], true
}

// isName compares a name from the wire in any letter case.
func isName(b []byte, name string) bool {
	return len(b) == len(name) && strings.EqualFold(string(b), name)
}

// number reads a decimal number without sign, of at most nine digits.
func number(b []byte) (int, bool) {
	if len(b) == 0 || len(b) > 9 {
		return 0, false
	}
	v := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	return v, true
}

// requestID tells requests of one client apart: FNV-1a over the whole datagram.
// A client that contrives a collision repeats its own first request.
func requestID(p []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range p {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}
