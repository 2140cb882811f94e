package tftp

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// Opcodes (RFC 1350, 2347).
const (
	opRRQ   = 1
	opWRQ   = 2
	opDATA  = 3
	opACK   = 4
	opERROR = 5
	opOACK  = 6
)

// Error codes (RFC 1350, appendix).
const (
	codeUndefined  = 0
	codeNotFound   = 1
	codeAccess     = 2
	codeDiskFull   = 3
	codeIllegal    = 4
	codeUnknownTID = 5
	codeExists     = 6
)

// ofTransfer says whether a packet that came to a port for everything belongs to
// a transfer, rather than asking for one.
func ofTransfer(p []byte) bool { return len(p) > 1 && p[0] == 0 && p[1] >= opDATA && p[1] <= opERROR }

// headerLen is the length of a DATA header.
const headerLen = 4

// headers holds the DATA header of every block number, for iovecs to point at.
type headers [1 << 16][headerLen]byte

func newHeaders() *headers {
	h := new(headers)
	for n := range h {
		binary.BigEndian.PutUint16(h[n][0:], opDATA)
		binary.BigEndian.PutUint16(h[n][2:], uint16(n))
	}
	return h
}

// appendError appends an ERROR packet; text is ASCII.
func appendError(b []byte, code uint16, text string) []byte {
	b = append(b, 0, opERROR, byte(code>>8), byte(code))
	b = append(b, text...)
	return append(b, 0)
}

// maxText bounds the text of an ERROR, so that it fits any link.
const maxText = 200

// plain returns text as an ERROR can carry it, or another one if it is empty.
func plain(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, text[:min(len(text), maxText)])
}

// refusal returns what the client is told about an outcome; ok is false where it is told nothing.
// The codes decide what boot programs do next: 1 lets shim and iPXE go on to the
// next name, and U-Boot starts over after any but 1 and 2.
func refusal(o Outcome) (code uint16, text string, ok bool) {
	switch o {
	case NotFound:
		return codeNotFound, "file not found", true
	case IsDirectory:
		return codeNotFound, "is a directory", true
	case BadName, OutsideRoot, NoPermission, NotRegular:
		return codeAccess, "access refused", true
	case Refused:
		return codeAccess, "not for this client", true
	case BadTemplate:
		return codeUndefined, "file cannot be made: see the server's log", true
	case Withheld:
		return codeUndefined, "the last block is withheld", true
	case WriteRefused:
		return codeAccess, "this server is read-only", true
	case Exists:
		return codeExists, "file already exists", true
	case OverLimit:
		return codeDiskFull, "beyond the limits of this server", true
	case Incomplete:
		return codeUndefined, "not as long as announced", true
	case BadMode:
		return codeIllegal, "mode is not served", true
	case Malformed:
		return codeIllegal, "malformed request", true
	case Unreadable, ReadFailed:
		return codeUndefined, "file cannot be read", true
	case FileChanged:
		return codeUndefined, "file changed during the transfer", true
	}
	return 0, "", false
}

// appendOACK appends the OACK of a grant for a file of size bytes. The names are
// lower case: edk2 and GRUB compare them as they are.
func (g *grant) appendOACK(b []byte, size int64) []byte {
	b = append(b, 0, opOACK)
	option := func(which options, name string, v int64) {
		if g.options&which == 0 {
			return
		}
		b = append(b, name...)
		b = append(b, 0)
		b = strconv.AppendInt(b, v, 10)
		b = append(b, 0)
	}
	option(optTsize, "tsize", size)
	option(optBlksize, "blksize", int64(g.blksize))
	option(optWindowsize, "windowsize", int64(g.window))
	option(optTimeout, "timeout", int64(g.timeout))
	return b
}
