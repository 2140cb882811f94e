package tftp

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/responder/content"
)

// roundMessages bounds a round: acknowledgements wait meanwhile.
const roundMessages = 4 * sendBatch

// sendRound sends a burst of transfers that have something due, as their turns
// come, and the ERRORs that wait in the batch. Two rules hold for stageFinal's
// sake: a transfer has at most one burst in a round, and a round ends with an
// empty batch.
func (w *worker) sendRound(e *endpoint) {
	e.unpark(w.now)
	for len(e.round) < roundMessages && !e.watched {
		id, s, ok := w.next(e)
		if !ok {
			break
		}
		s.staged = true
		e.round = append(e.round, id)
		w.stage(e, id, s)
	}
	for e.out.n > 0 { // a flush may end transfers, which puts ERRORs into the batch
		w.flush(e)
	}
	for _, id := range e.round {
		s := w.table.slot(id)
		s.staged = false
		if s.used && s.phase != ended {
			w.makeReady(e, id, s)
		}
	}
	e.round = e.round[:0]
}

// stage puts one burst of a transfer into the batch.
func (w *worker) stage(e *endpoint, id slotID, s *slot) {
	oack, from, to := s.due(w.now)
	insist := s.loaded
	s.loaded = false
	switch {
	case oack:
		w.stageOACK(e, id, s)
	case from == s.last:
		w.stageFinal(e, id, s, insist)
	default:
		// The final block goes alone: see stageFinal.
		w.stageBlocks(e, id, s, from, min(to, s.last), insist)
	}
}

const maxOACK = 128 // bytes: four names and four numbers

func (w *worker) stageOACK(e *endpoint, id slotID, s *slot) {
	w.reserve(e, 1, maxOACK)
	out := &e.out
	p := s.grant.appendOACK(out.buffer(maxOACK)[:0], s.size)
	first := out.iov
	out.add(&p[0], len(p))
	out.finish(first, &s.peer, &s.local, 0, staged{id: id, serial: s.serial, kind: stagedOACK})
}

// stageBlocks stages blocks that are all of full length: one message cut by the
// kernel, or a message for each.
func (w *worker) stageBlocks(e *endpoint, id slotID, s *slot, from, to uint64, insist bool) {
	out := &e.out
	blksize := int(s.grant.blksize)
	segment := headerLen + blksize
	meta := staged{id: id, serial: s.serial, kind: stagedData}
	file := w.table.file(id)
	scarce := w.scarce(file)
	room := 0 // for a copy of each block
	if scarce {
		room = blksize
	}
	// source returns n blocks in one piece.
	source := func(first uint64, n int) []byte {
		off := int64(first-1) * int64(blksize)
		if scarce {
			return w.copied(e, id, s, off, n*blksize, insist)
		}
		return file.Mapping()[off : off+int64(n*blksize)]
	}
	block := func(n uint64, p []byte) {
		out.add(&w.server.headers[uint16(n)][0], headerLen)
		out.add(&p[0], blksize)
	}
	to = min(to, from+uint64(s.messageBlocks()))
	if to-from > 1 && e.gso && !s.whole && blksize+overhead(e.v6) <= int(s.mtu) {
		w.reserve(e, 2*int(to-from), room*int(to-from))
		p := source(from, int(to-from))
		if p == nil {
			return
		}
		first := out.iov
		for n := from; n < to; n++ {
			block(n, p[int(n-from)*blksize:])
		}
		meta.to, meta.blocks, meta.bytes = to, uint16(to-from), uint32(int(to-from)*blksize)
		out.finish(first, &s.peer, &s.local, segment, meta)
		return
	}
	for n := from; n < to; n++ {
		w.reserve(e, 2, room)
		if e.watched || s.phase == ended {
			return // the socket is full, or the file is gone: found out by making room
		}
		p := source(n, 1)
		if p == nil {
			return
		}
		first := out.iov
		block(n, p)
		meta.to, meta.blocks, meta.bytes = n+1, 1, uint32(blksize)
		out.finish(first, &s.peer, &s.local, 0, meta)
	}
}

// stageFinal stages the final block. Everything before it has left by now, so
// if the file is still the same after its bytes were copied, the client has
// bytes of one version only.
func (w *worker) stageFinal(e *endpoint, id slotID, s *slot, insist bool) {
	file := w.table.file(id)
	off := int64(s.last-1) * int64(s.grant.blksize)
	n := int(s.size - off)
	w.reserve(e, 1, headerLen+n)
	out := &e.out
	p := out.buffer(headerLen + n)
	copy(p, w.server.headers[uint16(s.last)][:])
	if n > 0 && !insist && w.scarce(file) && !file.ReadCached(p[headerLen:], off) {
		w.await(id, s, int(off/content.ChunkSize))
		return
	}
	if _, err := file.ReadAt(p[headerLen:], off); err != nil && !errors.Is(err, io.EOF) || file.Changed() {
		w.end(id, s, FileChanged)
		return
	}
	first := out.iov
	out.add(&p[0], len(p))
	out.finish(first, &s.peer, &s.local, 0, staged{id: id, serial: s.serial, kind: stagedData, blocks: 1, bytes: uint32(n), to: s.last + 1})
}

// sendError puts an ERROR into the batch.
func (w *worker) sendError(e *endpoint, to *peer, local *[16]byte, code uint16, text string) {
	n := headerLen + len(text) + 1
	w.reserve(e, 1, n)
	out := &e.out
	p := appendError(out.buffer(n)[:0], code, text)
	first := out.iov
	out.add(&p[0], len(p))
	out.finish(first, to, local, 0, staged{kind: stagedReply})
}

// reserve makes room in the batch.
func (w *worker) reserve(e *endpoint, iovecs, bytes int) {
	if !e.out.room(iovecs, bytes) {
		w.flush(e)
	}
}

// flush sends the batch.
func (w *worker) flush(e *endpoint) {
	w.now = w.server.clock()
	e.out.flush(e.data, e.settle)
	// Only now: an end puts an ERROR into the batch.
	for _, d := range w.doomed {
		if s := w.table.slot(d.id); s.serial == d.serial && s.used && s.phase != ended {
			w.end(d.id, s, d.how)
		}
	}
	w.doomed = w.doomed[:0]
}

// doom is an end that was found while a batch was being sent.
type doom struct {
	id     slotID
	serial uint32
	how    Outcome
}

// settle takes note of what became of a message.
func (w *worker) settle(e *endpoint, m *staged, errno unix.Errno) {
	if errno == unix.EAGAIN && !e.watched {
		// Without room there will be an event; without the event, the timers.
		e.watched = w.watch(unix.EPOLL_CTL_MOD, e.data, 2*int32(e.index)+tagData, unix.EPOLLIN|unix.EPOLLOUT) == nil
	} else if errno != 0 {
		w.counters.sendErrors.Add(1)
	}
	if m.kind == stagedReply {
		return
	}
	s := w.table.slot(m.id)
	if s.serial != m.serial || !s.used || s.phase == ended {
		return
	}
	segmented := m.blocks > 1
	switch {
	case errno == unix.EAGAIN:
	case errno == unix.EFAULT:
		w.doomed = append(w.doomed, doom{m.id, m.serial, FileChanged}) // beyond the end of a truncated file
		return
	case segmented && (errno == unix.EIO || errno == unix.EINVAL || errno == unix.EMSGSIZE):
		s.whole = true // the route has a smaller MTU or no checksum offload
	case errno == unix.EMSGSIZE:
		w.doomed = append(w.doomed, doom{m.id, m.serial, SendFailed})
		return
	default:
		// What the kernel refused for now is lost like a packet on the wire.
		w.sent(s, m, errno == 0)
		w.timers.set(m.id, s.deadline)
	}
}

// sent tells the transfer that a message left, or was lost on the first step.
func (w *worker) sent(s *slot, m *staged, counts bool) {
	if m.kind == stagedOACK {
		s.sentOACK(w.now, &w.server.timing)
		return
	}
	if m.to <= s.next && !(s.probing && m.to == s.next) {
		return
	}
	again := s.sentData(m.to, w.now, &w.server.timing)
	if counts {
		w.counters.bytes.Add(uint64(m.bytes))
		w.counters.blocks.Add(uint64(m.blocks))
		w.counters.retransmits.Add(again)
	}
}
