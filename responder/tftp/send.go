package tftp

import (
	"golang.org/x/sys/unix"
)

// Bounds of one sendmmsg and of one message.
const (
	sendBatch   = 64
	sendIovecs  = 1024
	sendArena   = 128 << 10 // bytes that are not in the mapping: OACK, ERROR, final blocks
	sendControl = 64        // source address and segment size

	maxSegments = 64    // UDP_MAX_SEGMENTS before Linux 6.9
	maxMessage  = 65507 // payload of one IPv4 UDP datagram, which a segmented message is at first
)

// staged says what a message in the batch is, for when it has left.
type staged struct {
	id     slotID
	serial uint32
	kind   stagedKind
	blocks uint16
	bytes  uint32 // of the file
	to     uint64 // one past its last block
}

type stagedKind uint8

const (
	stagedData stagedKind = iota
	stagedOACK
	stagedReply // an ERROR; no transfer cares
)

// sender collects messages of one socket and sends them in batches.
type sender struct {
	v6      bool
	n, iov  int // messages and iovecs in use
	arena   []byte
	meta    [sendBatch]staged
	msgs    [sendBatch]mmsghdr
	names   [sendBatch]sockaddr
	control [sendBatch][sendControl]byte
	iovs    [sendIovecs]unix.Iovec
}

func (s *sender) init(e *endpoint) {
	s.v6 = e.v6
	s.arena = make([]byte, 0, sendArena)
}

// room says whether another message with so many iovecs and so many bytes in the arena fits.
func (s *sender) room(iovecs, bytes int) bool {
	return s.n < sendBatch && s.iov+iovecs <= sendIovecs && len(s.arena)+bytes <= cap(s.arena)
}

// buffer returns n bytes of the arena.
func (s *sender) buffer(n int) []byte {
	first := len(s.arena)
	s.arena = s.arena[:first+n]
	return s.arena[first : first+n : first+n]
}

// add adds an iovec to the message that is being built.
func (s *sender) add(p *byte, n int) {
	s.iovs[s.iov].Base = p
	s.iovs[s.iov].SetLen(n)
	s.iov++
}

// finish ends a message whose iovecs start at first. segment is the length of
// its datagrams; 0: it is one.
func (s *sender) finish(first int, to *peer, local *[16]byte, segment int, meta staged) {
	h := &s.msgs[s.n].hdr
	h.Name = (*byte)(ptr(&s.names[s.n]))
	h.Namelen = s.names[s.n].set(to, s.v6)
	h.Iov = &s.iovs[first]
	h.SetIovlen(s.iov - first)
	control := s.control[s.n][:]
	rest := putSource(control, local, to.zone, s.v6)
	if segment != 0 {
		rest = putSegment(rest, segment)
	}
	h.Control = &control[0]
	h.SetControllen(len(control) - len(rest))
	s.meta[s.n] = meta
	s.n++
}

// reset empties the batch.
func (s *sender) reset() {
	s.n, s.iov = 0, 0
	s.arena = s.arena[:0]
}

// passing says whether an error may be one that ICMP left on the socket, about
// some other client: sending again tells. The error queue has it too.
func passing(errno unix.Errno) bool {
	switch errno {
	case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.ENOPROTOOPT, unix.EACCES, unix.EHOSTDOWN, unix.ENONET, unix.EOPNOTSUPP, unix.EPROTO:
		return true
	}
	return false
}

// patience with errors that ICMP leaves on a socket, one for each.
const passingTries = 4

// flush sends the batch and tells settle about each message: 0 for those that
// left, EAGAIN for those that the socket has no room for, else what is wrong with it.
func (s *sender) flush(fd int, settle func(*staged, unix.Errno)) {
	tries := 0
	for i := 0; i < s.n; {
		n, errno := sendmmsg(fd, s.msgs[i:s.n])
		switch {
		case errno == unix.EINTR:
		case errno == 0:
			for range n {
				settle(&s.meta[i], 0)
				i++
			}
			tries = 0
		case errno == unix.EAGAIN:
			for ; i < s.n; i++ {
				settle(&s.meta[i], errno)
			}
		case passing(errno) && tries < passingTries:
			tries++
		default:
			// The bad message stopped the batch; the others are no worse for it.
			settle(&s.meta[i], errno)
			i++
			tries = 0
		}
	}
	s.reset()
}
