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

	id          uint64 // of the request
	retransmits uint32 // blocks sent again
	rtt         roundTrip
	grant       grant
	phase       phase
	tries       uint8 // retransmissions by timer since progress
	oackDue     bool
	// repeated: blocks from base on were sent a second time since the last
	// progress, by ACK(base-1) or a partial acknowledgement.
	repeated bool
	// ambiguous: something that waits for its acknowledgement was sent twice.
	ambiguous bool
}

type phase uint8

const (
	opening     phase = iota // the file is being looked up
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
	t.deadline = now.add(tm.rto(&t.grant, 0))
	t.phase = sending
	if g.options != 0 {
		t.phase = negotiating
		t.oackDue = true
	}
}

// due returns what may be sent now: the OACK, or blocks from up to but not including to.
func (t *transfer) due() (oack bool, from, to uint64) {
	switch t.phase {
	case negotiating:
		return t.oackDue, 0, 0
	case sending:
		return false, t.next, min(t.base+uint64(t.grant.window), t.last+1)
	}
	return false, 0, 0
}

// pending says whether anything is due.
func (t *transfer) pending() bool {
	oack, from, to := t.due()
	return oack || from < to
}

// sentOACK says that the OACK left.
func (t *transfer) sentOACK(now instant, tm *timing) {
	t.oackDue = false
	t.sent(now, tm)
}

// sentData says that the blocks from next up to but not including to left.
// It returns how many of them had been sent before.
func (t *transfer) sentData(to uint64, now instant, tm *timing) (again uint64) {
	if t.next < t.high {
		again = min(to, t.high) - t.next
		t.ambiguous = true
		t.retransmits += uint32(again)
	}
	if t.next == t.base {
		t.sentFirst = now
	}
	t.next = to
	t.high = max(t.high, to)
	t.sent(now, tm)
	return again
}

func (t *transfer) sent(now instant, tm *timing) {
	t.sentLast = now
	t.deadline = now.add(tm.rto(&t.grant, t.tries))
}

// ack takes an acknowledgement of wire block n. It returns Complete or running.
func (t *transfer) ack(n uint16, now instant, tm *timing) Outcome {
	switch t.phase {
	case negotiating:
		if n == 0 && t.sentLast != 0 {
			t.phase = sending
			t.oackDue = false
			t.advanced(now, tm)
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
		partial := t.next > t.base
		if partial {
			t.ambiguous = true
		}
		soon := t.rtt.tooSoon(now.since(t.sentFirst))
		t.advanced(now, tm)
		if partial && soon {
			break // about an earlier sending of these blocks; the last one is on its way
		}
		// Whatever was sent beyond is lost to the client: it goes on from base
		// (RFC 7440, 4). The repetition counts as the one that ACK(base-1) may cause.
		t.next = t.base
		t.repeated = partial
	}
	return running
}

// advanced takes note that something new was acknowledged.
func (t *transfer) advanced(now instant, tm *timing) {
	if !t.ambiguous {
		t.rtt.sample(now.since(t.sentLast))
	}
	t.progress = now
	t.tries = 0
	t.ambiguous = false
	t.repeated = false
	t.deadline = now.add(tm.rto(&t.grant, 0))
}

// lostBase takes ACK(base-1): the window's first block is lost, or the answer to
// an old duplicate, or one of many that edk2 sends for one loss.
func (t *transfer) lostBase(now instant) {
	if t.grant.window == 1 || t.repeated || t.next == t.base || t.rtt.tooSoon(now.since(t.sentFirst)) {
		return
	}
	t.next = t.base
	t.repeated = true
}

// again takes a repetition of the transfer's own request, which is answered
// with the first packet as long as nothing was acknowledged. It says whether the
// client starts over, which takes a new transfer.
func (t *transfer) again(now instant) (restart bool) {
	switch t.phase {
	case opening:
		return false
	case negotiating:
		t.oackDue = true
		t.ambiguous = true
		return false
	case sending:
		if t.grant.options == 0 && t.base == 1 {
			t.next = t.base
			return false
		}
		return now.since(t.progress) >= restartAfter
	}
	return true
}

// expire is called when the deadline has passed. It returns how the transfer
// ends, or running: then something is due or the deadline is a new one.
func (t *transfer) expire(now instant, tm *timing) Outcome {
	if now < t.deadline {
		return running
	}
	if now.since(t.progress) >= tm.patience(&t.grant) {
		if t.high > t.last {
			return Complete
		}
		return TimedOut
	}
	if !t.pending() {
		t.tries = min(t.tries+1, 254)
		t.repeated = false
		t.ambiguous = true
		t.oackDue = t.phase == negotiating
		t.next = t.base
	}
	t.deadline = now.add(tm.rto(&t.grant, t.tries))
	return running
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
