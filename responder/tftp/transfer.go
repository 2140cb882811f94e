package tftp

// transfer is one client's download: it is told what happens and when, and says
// what is due. It does no I/O and holds no pointers.
//
// Blocks are counted from 1 in 64 bits and never wrap; only the wire has them
// modulo 65,536, where an acknowledgement counts by its distance from base-1.
// base ≤ next ≤ high ≤ last+1 but for base > last at the end, and next ≤ base+window.
type transfer struct {
	size int64  // of the file, in bytes
	base uint64 // first block that is not acknowledged
	next uint64 // first block that is to be sent
	high uint64 // one past the highest block that was ever sent
	last uint64 // the final block, shorter than blksize

	progress  instant // the start, or the last acknowledgement of something new
	deadline  instant // of the retransmission timer
	sentFirst instant // when base was last sent
	sentLast  instant // when anything was last sent
	resume    instant // until when the rest of the window is held back (pace.go)

	// twice is one past the highest block that was sent more than once; the OACK
	// counts as block 0. The acknowledgement of such a block tells no round trip (Karn).
	twice uint64

	id          uint64 // of the request
	retransmits uint32 // blocks sent again
	rtt         roundTrip
	grant       grant
	inBurst     uint16 // blocks of the present burst that left
	resent      uint16 // blocks sent again by timer since the last progress
	echoes      uint16 // acknowledgements of base-1 that are still to come without a loss
	phase       phase
	held        uint8 // 1: the last block is held back (worker_hold.go)
	tries       uint8 // retransmissions by timer since the last sample or loss: the back-off
	repeats     uint8 // repeated requests answered since the last of those
	answered    bool  // something was acknowledged: the client is where it says it is
	oackDue     bool
	timedOut    bool // the timer has run out since the last progress
	probing     bool // the last block sent is due again
	// repeated: blocks from base on were sent a second time since the last
	// progress, by ACK(base-1) or a partial acknowledgement.
	repeated bool
}

// maxRepeats bounds the answers to repetitions of a request between two
// retransmissions by timer: its source may be forged.
const maxRepeats = 2

type phase uint8

const (
	waiting     phase = iota // for a place
	opening                  // the file is being looked up
	negotiating              // OACK sent or due, ACK 0 awaited
	sending
	ended // kept a while to absorb late packets
)

// start begins the transfer of a file of size bytes.
func (t *transfer) start(now instant, size int64, g grant, tm *timing) {
	t.size, t.grant = size, g
	t.base, t.next, t.high = 1, 1, 1
	t.last = uint64(size)/uint64(g.blksize) + 1
	t.progress = now
	t.deadline = now.add(t.rto(tm))
	t.phase = sending
	if g.options != 0 {
		t.phase = negotiating
		t.oackDue = true
	}
}

// due returns what may be sent now: the OACK, or blocks from up to but not including to.
func (t *transfer) due(now instant) (oack bool, from, to uint64) {
	switch {
	case t.phase == negotiating:
		return t.oackDue, 0, 0
	case t.phase == sending && t.probing:
		return false, t.next - 1, t.next
	case t.phase == sending && now >= t.resume:
		return false, t.next, t.burstEnd()
	}
	return false, 0, 0
}

// pending says whether anything is due now.
func (t *transfer) pending(now instant) bool {
	oack, from, to := t.due(now)
	return oack || from < to
}

// unsent says whether anything may be sent without an acknowledgement, now or after a pause.
func (t *transfer) unsent() bool { return t.pending(t.resume) }

// windowEnd is one past the last block that may be sent without an acknowledgement.
func (t *transfer) windowEnd() uint64 {
	return min(t.base+uint64(t.grant.window), t.last+1-uint64(t.held))
}

// sentOACK says that the OACK left.
func (t *transfer) sentOACK(now instant, tm *timing) {
	t.oackDue = false
	if t.sentLast != 0 {
		t.twice = 1
	}
	t.sent(now, tm)
}

// sentData says that the blocks from next up to but not including to left.
// It returns how many of them had been sent before.
func (t *transfer) sentData(to uint64, now instant, tm *timing) (again uint64) {
	if t.probing {
		t.probing = false
		t.next-- // for a moment
	}
	if t.next < t.high {
		again = min(to, t.high) - t.next
		t.twice = max(t.twice, t.next+again)
		t.retransmits += uint32(again)
		if t.timedOut {
			t.resent += uint16(again)
		}
	}
	if t.next == t.base {
		t.sentFirst = now
	}
	t.pace(to, now)
	t.next = to
	t.high = max(t.high, to)
	t.sent(now, tm)
	return again
}

func (t *transfer) sent(now instant, tm *timing) {
	t.sentLast = now
	t.deadline = now.add(t.rto(tm))
}

// restart makes the window due again from base on.
func (t *transfer) restart() {
	t.probing = false
	t.next = t.base
	t.newBurst()
}

// ack takes an acknowledgement of wire block n. It returns Complete or running.
func (t *transfer) ack(n uint16, now instant, tm *timing) Outcome {
	switch t.phase {
	case negotiating:
		if n == 0 && t.sentLast != 0 {
			t.phase = sending
			t.oackDue = false
			t.advanced(0, now, tm)
		}
	case sending:
		return t.ackData(uint64(n-uint16(t.base-1)), now, tm)
	}
	return running
}

// ackData takes an acknowledgement of block base-1+distance.
func (t *transfer) ackData(distance uint64, now instant, tm *timing) Outcome {
	switch {
	case distance == 0:
		t.lostBase(now)
	case t.base+distance <= t.high:
		t.base += distance
		if t.base > t.last {
			return Complete
		}
		soon := t.rtt.tooSoon(now.since(t.sentFirst))
		partial := t.next > t.base
		t.advanced(t.base-1, now, tm)
		if partial && soon {
			break // about an earlier sending of these blocks; the last one is on its way
		}
		// Whatever was sent beyond is lost to the client: it goes on from base
		// (RFC 7440, 4). The repetition counts as the one that ACK(base-1) may cause.
		t.restart()
		t.repeated = partial
	}
	return running
}

// advanced takes note that block n and all before were acknowledged. The round
// trip is that of the last block sent: a client acknowledges a window when it
// has all of it, which takes longer than a round trip from the first one on.
// The back-off stays until there is a sample, lest a client that has become slow
// be sent everything twice for ever (Karn).
func (t *transfer) advanced(n uint64, now instant, tm *timing) {
	switch {
	case n+1 < t.next:
		t.tries = 0 // something was lost: the timer was right
	case n >= t.twice:
		t.rtt.sample(now.since(t.sentLast))
		t.tries = 0
	}
	t.answered = true
	t.progress = now
	t.repeated, t.timedOut, t.probing = false, false, false
	// What was sent again by timer may have been there all the time. Firmware
	// acknowledges each of these blocks once more, which says nothing of a loss.
	t.echoes, t.resent = t.resent, 0
	t.deadline = now.add(t.rto(tm))
}

// lostBase takes ACK(base-1): the window's first block is lost, or the answer to
// an old duplicate, or one of many that edk2 sends for one loss.
func (t *transfer) lostBase(now instant) {
	if t.grant.window == 1 || t.repeated || t.next == t.base || t.rtt.tooSoon(now.since(t.sentFirst)) {
		return
	}
	if t.echoes > 0 {
		t.echoes--
		return
	}
	t.restart()
	t.repeated = true
}

// again takes a repetition of the transfer's own request, which is answered
// with the first packet as long as nothing was acknowledged. It says whether the
// client starts over, which takes a new transfer.
func (t *transfer) again(now instant) (restart bool) {
	switch t.phase {
	case waiting, opening:
		return false
	case negotiating:
		if t.repeats < maxRepeats {
			t.repeats++
			t.oackDue = true
		}
		return false
	case sending:
		if t.answered {
			return now.since(t.progress) >= restartAfter
		}
		if t.repeats < maxRepeats {
			t.repeats++
			t.restart()
		}
		return false
	}
	return true
}

// expire is called when the deadline has passed. It returns how the transfer
// ends, or running: then something is due or the deadline is a new one.
func (t *transfer) expire(now instant, tm *timing) Outcome {
	if now < t.deadline {
		return running
	}
	if now.since(t.progress) >= t.patience(tm) {
		if t.high > t.last {
			return Complete
		}
		return TimedOut
	}
	if !t.unsent() {
		t.tries = min(t.tries+1, 254)
		t.repeats = 0
		t.oackDue = t.phase == negotiating
		t.silence()
	}
	t.deadline = now.add(t.rto(tm))
	return running
}

// silence takes it that there was no answer in time. First, the last block is
// sent again (RFC 8985, 7): clients that lack it or others before it say so, or
// have the window complete, and a client that is merely slow gets one block too
// many instead of a window. If that does not help, the window goes again, and
// so it does at once where the wait was not a short one by estimate.
func (t *transfer) silence() {
	_, known := t.rtt.timeout()
	t.probing = t.phase == sending && known && !t.timedOut && t.next > t.base+1
	t.timedOut, t.repeated, t.echoes = true, false, 0
	if !t.probing {
		t.restart()
	}
}

// unreachable takes an ICMP destination unreachable: after the final block, it
// says that the client has what it wanted.
func (t *transfer) unreachable() Outcome {
	if t.phase == sending && t.high > t.last {
		return Complete
	}
	return Unreachable
}

// refused takes an ERROR from the client.
func (t *transfer) refused() Outcome {
	if t.phase == negotiating && t.grant.options&optTsize != 0 {
		return Probe
	}
	return Aborted
}

// acknowledged returns how many bytes the client has.
func (t *transfer) acknowledged() int64 {
	if t.base == 0 {
		return 0
	}
	return min(int64(t.base-1)*int64(t.grant.blksize), t.size)
}
