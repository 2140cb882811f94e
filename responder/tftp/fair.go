package tftp

// Transfers share an endpoint by bytes, first by client address and then by
// transfer: who runs fifty transfers gets what a client with one gets. It is a
// deficit round robin of flows (Shreedhar and Varghese) whose quantum is one message.

const quantum = maxMessage

// flow is what an endpoint has to do with one client address.
type flow struct {
	account   *account
	transfers int  // whose slots refer to it
	credit    int  // bytes that it may send before the next flow's turn; a message may overdraw it
	queued    bool // in the endpoint's ring
	reserved  bool // the caps have let its next message through
	until     instant
	parked    int32 // place in the endpoint's parking lot, -1: none; until then it is not queued
	next      *flow // in the ring

	first, last slotID // of the transfers that have something due
}

// noSlot ends the list of a flow.
const noSlot = ^slotID(0)

// ring is the flows that have something due, in the order of their turns.
type ring struct{ first, last *flow }

// push gives f a turn after all others. What it overdrew in the last one is deducted.
func (r *ring) push(f *flow) {
	f.queued = true
	f.credit = min(f.credit+quantum, quantum)
	f.next = nil
	if r.first == nil {
		r.first = f
	} else {
		r.last.next = f
	}
	r.last = f
}

func (r *ring) pop() {
	f := r.first
	r.first, f.next = f.next, nil
	f.queued = false
}

// link adds a transfer to its flow's list.
func (t *table) link(f *flow, id slotID, s *slot) {
	s.queued, s.before, s.after = true, f.last, noSlot
	if f.last == noSlot {
		f.first = id
	} else {
		t.slot(f.last).after = id
	}
	f.last = id
}

// unlink takes a transfer out of its flow's list.
func (t *table) unlink(f *flow, s *slot) {
	if !s.queued {
		return
	}
	s.queued = false
	if s.before == noSlot {
		f.first = s.after
	} else {
		t.slot(s.before).after = s.after
	}
	if s.after == noSlot {
		f.last = s.before
	} else {
		t.slot(s.after).before = s.before
	}
}

// join lets a new transfer be part of its client's flow.
func (e *endpoint) join(t *table, id slotID, a *account) {
	f := e.flows[a]
	if f == nil {
		f = &flow{account: a, first: noSlot, last: noSlot, parked: -1}
		e.flows[a] = f
	}
	f.transfers++
	t.setFlow(id, f)
}

// part is the opposite of join.
func (e *endpoint) part(t *table, id slotID, s *slot) {
	f := t.flow(id)
	t.unlink(f, s)
	t.setFlow(id, nil)
	if f.transfers--; f.transfers == 0 {
		e.parking.remove(f)
		delete(e.flows, f.account)
	}
}

// makeReady queues a transfer that has something due, now or when its pause is over.
func (w *worker) makeReady(e *endpoint, id slotID, s *slot) {
	switch {
	case s.queued || s.staged || s.loading:
	case s.pending(w.now):
		f := w.table.flow(id)
		w.table.link(f, id, s)
		if !f.queued && f.parked < 0 {
			e.ring.push(f)
		}
	case s.resume > w.now && s.unsent():
		w.timers.set(id, s.resume)
	case s.atLast():
		w.askForLast(id, s)
	}
}

// next takes the transfer whose turn it is.
func (w *worker) next(e *endpoint) (id slotID, s *slot, ok bool) {
	for {
		f := e.ring.first
		if f == nil {
			return 0, nil, false
		}
		if f.first == noSlot {
			e.ring.pop()
			continue
		}
		id = f.first
		s = w.table.slot(id)
		if !s.pending(w.now) {
			w.table.unlink(f, s)
			w.makeReady(e, id, s)
			continue
		}
		if !w.inMemory(id, s) {
			w.table.unlink(f, s)
			continue
		}
		weight := e.weight(s, w.now)
		if w.server.caps.some && !f.reserved {
			f.reserved = true
			if f.until = w.server.caps.reserve(f.account, weight, w.now); f.until > w.now {
				e.ring.pop()
				e.parking.add(f)
				w.counters.capped.Add(1)
				continue
			}
		}
		f.reserved = false
		w.table.unlink(f, s)
		if f.credit -= weight; f.credit <= 0 {
			e.ring.pop()
			if f.first != noSlot {
				e.ring.push(f)
			}
		}
		return id, s, true
	}
}

// unpark lets flows go on whose time has come.
func (e *endpoint) unpark(now instant) {
	for len(e.parking) > 0 && e.parking[0].until <= now {
		f := e.parking[0]
		e.parking.remove(f)
		if f.first != noSlot {
			e.ring.push(f)
		}
	}
}

// weight returns the length of a transfer's next message on the wire, from IP on.
func (e *endpoint) weight(s *slot, now instant) int {
	oack, from, to := s.due(now)
	if oack {
		return maxOACK
	}
	return int(min(to-from, uint64(s.messageBlocks()))) * (int(s.grant.blksize) + overhead(e.v6))
}

// messageBlocks returns how many blocks one message carries at most.
func (t *transfer) messageBlocks() int {
	return max(1, min(maxMessage/(headerLen+int(t.grant.blksize)), maxSegments))
}
