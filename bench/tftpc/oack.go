package tftpc

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// granted is what an OACK agrees to.
type granted struct {
	blksize, window int
	tsize           int64 // -1: not there
}

// known are the options that edk2 looks at.
var known = [...]string{"tsize", "blksize", "timeout", "windowsize", "multicast"}

// parseOACK reads the options of an OACK and holds them against the request.
// The text of bad says what is wrong; "": nothing.
func parseOACK(p []byte, asked *Request, rules *Rules) (g granted, bad string) {
	g = granted{blksize: defaultBlksize, window: 1, tsize: -1}
	if len(p) == 0 || p[len(p)-1] != 0 {
		return g, "no NUL at the end"
	}
	for len(p) > 0 {
		name, value, rest, ok := cutOption(p)
		if !ok {
			return g, "an option without a value"
		}
		p = rest
		i := optionIndex(name, rules.ExactNames)
		if !asked.has(i, name) {
			if rules.OACK == OACKNothing || rules.OACK == OACKKnown && i >= 0 {
				return g, printable(name) + " was not asked for"
			}
			continue
		}
		if i < 0 {
			continue // an Extra that was granted
		}
		if bad := g.set(known[i], value, asked); bad != "" {
			return g, bad
		}
	}
	return g, ""
}

// cutOption cuts a name and a value off p.
func cutOption(p []byte) (name, value, rest []byte, ok bool) {
	name, p, ok = bytes.Cut(p, []byte{0})
	if !ok {
		return nil, nil, nil, false
	}
	value, p, ok = bytes.Cut(p, []byte{0})
	return name, value, p, ok
}

// optionIndex finds a name in known. -1: it is not there.
func optionIndex(name []byte, exact bool) int {
	for i, k := range known {
		if string(name) == k || !exact && strings.EqualFold(string(name), k) {
			return i
		}
	}
	return -1
}

// has says whether an option was asked for; i is its place in known.
func (r *Request) has(i int, name []byte) bool {
	if i >= 0 {
		switch known[i] {
		case "tsize":
			if r.Tsize {
				return true
			}
		case "blksize":
			if r.Blksize != 0 {
				return true
			}
		case "timeout":
			if r.Timeout != 0 {
				return true
			}
		case "windowsize":
			if r.Window != 0 {
				return true
			}
		}
	}
	for o := r.Extra; len(o) >= 2; o = o[2:] {
		if strings.EqualFold(o[0], string(name)) {
			return true
		}
	}
	return false
}

// set takes one granted value. What came as an Extra is not held against anything.
func (g *granted) set(name string, value []byte, asked *Request) (bad string) {
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		n = -1
	}
	within := func(low, high int64) bool { return n >= low && n <= high }
	ok := true
	switch {
	case name == "tsize" && asked.Tsize:
		ok = n >= 0
		g.tsize = n
	case name == "blksize" && asked.Blksize != 0:
		ok = within(MinBlksize, int64(min(asked.Blksize, MaxBlksize)))
		g.blksize = int(n)
	case name == "windowsize" && asked.Window != 0:
		ok = within(1, int64(min(asked.Window, MaxWindow)))
		g.window = int(n)
	case name == "timeout" && asked.Timeout != 0:
		ok = n == int64(asked.Timeout)
	}
	if ok {
		return ""
	}
	return fmt.Sprintf("%s=%s", name, printable(value))
}
