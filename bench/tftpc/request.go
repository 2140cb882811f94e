package tftpc

import "strconv"

// Request is what a client asks for in its RRQ (RFC 1350, 2347 to 2349, 7440).
type Request struct {
	Name    string
	Mode    string // "": octet
	Tsize   bool
	Blksize int      // bytes; 0: not asked for, like the others
	Timeout int      // seconds
	Window  int      // blocks
	Extra   []string // further options: name, value, name, value
}

// Bounds of what can be asked for and be granted.
const (
	MinBlksize = 8     // RFC 2348
	MaxBlksize = 65464 // RFC 2348
	MaxWindow  = 65535 // RFC 7440

	defaultBlksize = 512 // RFC 1350
)

// Append appends the RRQ to dst.
func (r *Request) Append(dst []byte) []byte {
	mode := r.Mode
	if mode == "" {
		mode = "octet"
	}
	dst = appendField(append(dst, 0, opRRQ), r.Name)
	dst = appendField(dst, mode)
	if r.Tsize {
		dst = appendNumber(dst, "tsize", 0)
	}
	for _, o := range [...]struct {
		name  string
		value int
	}{{"blksize", r.Blksize}, {"timeout", r.Timeout}, {"windowsize", r.Window}} {
		if o.value != 0 {
			dst = appendNumber(dst, o.name, o.value)
		}
	}
	for _, field := range r.Extra {
		dst = appendField(dst, field)
	}
	return dst
}

func appendField(dst []byte, s string) []byte { return append(append(dst, s...), 0) }

func appendNumber(dst []byte, name string, n int) []byte {
	return append(strconv.AppendInt(appendField(dst, name), int64(n), 10), 0)
}
