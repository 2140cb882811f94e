package tftp

// maxTimeoutOption is the longest timeout, in seconds, that is granted.
const maxTimeoutOption = 60

// limits bound what a client may be granted.
type limits struct {
	blksize, window int
}

// grant is what a transfer runs with.
type grant struct {
	blksize uint16
	window  uint16  // blocks
	burst   uint16  // blocks that leave at once; 0: the whole window
	timeout uint8   // seconds; 0: not negotiated
	options options // of the OACK; none: no OACK
}

// grant returns what a request gets: never more than it asked for, and only what it asked for.
func (r *request) grant(l limits) grant {
	g := grant{blksize: defaultBlksize, window: 1, options: r.asked}
	if r.asked&optBlksize != 0 {
		g.blksize = uint16(min(r.blksize, l.blksize))
	}
	if r.asked&optWindowsize != 0 {
		g.window = uint16(min(r.window, l.window))
	}
	if r.asked&optTimeout != 0 {
		if r.timeout <= maxTimeoutOption {
			g.timeout = uint8(r.timeout)
		} else {
			g.options &^= optTimeout
		}
	}
	return g
}

// Lengths of the headers around a block: IP, UDP, TFTP.
const (
	overhead4 = 20 + 8 + headerLen
	overhead6 = 40 + 8 + headerLen
)

// overhead returns the length of a DATA packet's headers from IP on.
func overhead(v6 bool) int {
	if v6 {
		return overhead6
	}
	return overhead4
}

// frameBlksize returns the largest block that one frame of an interface carries.
// An unknown MTU (0) counts as Ethernet's.
func frameBlksize(mtu int, v6 bool) int {
	if mtu <= 0 {
		mtu = 1500
	}
	return max(minBlksize, min(mtu-overhead(v6), maxBlksize))
}
