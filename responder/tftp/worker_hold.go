package tftp

import (
	"errors"
	"time"
)

// tellEvery is how often Followers hear of progress.
const tellEvery = time.Second

// A transfer whose Follower holds does not send its last block before the
// Follower has let it go: windowEnd ends before it (transfer.held). When its turn
// comes (atLast), the Follower is asked, beside the loop. All else goes on
// meanwhile: what is lost is sent again, a client that is silent too long is given
// up, an ERROR or ICMP ends the transfer, and that ends the wait.

// follow lets a Follower hear of a transfer that begins here.
func (w *worker) follow(id slotID, s *slot, follower Follower) {
	if follower == nil {
		return
	}
	f := w.server.followers.follow(follower)
	w.following[id] = f
	if follower.Holds() {
		s.hold()
	}
	f.told = s.acknowledged()
	f.tell(tiding{kind: tellBegan, bytes: s.size})
}

// errFileChanged is the answer for a last block whose file is another by now.
var errFileChanged = errors.New("the file was changed before its last block")

// askForLast asks whether the last block may go, once.
func (w *worker) askForLast(id slotID, s *slot) {
	f := w.following[id]
	if f.asked {
		return
	}
	f.asked = true
	serial := s.serial
	answer := func(err error) { w.order(func(w *worker) { w.onLast(id, serial, err) }) }
	// The transfer would end at its last block in any case, and what that stands
	// for must not be used up for nothing.
	if w.table.file(id).Changed() {
		answer(errFileChanged)
		return
	}
	f.tell(tiding{kind: askLast, answer: answer})
}

// onLast takes the answer.
func (w *worker) onLast(id slotID, serial uint32, err error) {
	s := w.table.slot(id)
	switch {
	case !s.used || s.serial != serial || s.phase == ended:
	case err == errFileChanged:
		w.finish(id, s, ending{how: FileChanged, err: err})
	case err != nil:
		w.finish(id, s, ending{how: Withheld, text: err.Error(), err: err})
	default:
		s.release(w.now, &w.server.timing)
		w.timers.set(id, s.deadline)
		w.makeReady(w.endpoints[s.peer.endpoint], id, s)
	}
}

// tellProgress has Followers hear how far their transfers are.
func (w *worker) tellProgress() {
	if w.now.since(w.told) < tellEvery {
		return
	}
	w.told = w.now
	for id, f := range w.following {
		if n := w.table.slot(id).acknowledged(); n != f.told {
			f.told = n
			f.tell(tiding{kind: tellMoved, bytes: n})
		}
	}
}

// unfollow has a transfer's Follower hear of its end.
func (w *worker) unfollow(id slotID, s *slot, end *ending) {
	f := w.following[id]
	if f == nil {
		return
	}
	delete(w.following, id)
	f.cancel()
	e := Ending{Outcome: end.how, Confirmed: end.how == Complete && !end.unconfirmed, Acknowledged: s.acknowledged()}
	switch {
	case end.err != nil:
		e.Why = end.err.Error()
	case end.unconfirmed:
		e.Why = "the last block was not acknowledged"
	}
	f.tell(tiding{kind: tellEnded, ending: e})
}

// hold keeps the last block back.
func (t *transfer) hold() {
	t.held = 1
	// A former process may have sent it; then its acknowledgement counts (high).
	t.next = min(t.next, t.last)
}

// atLast says that the last block is next, and would leave if it were not held
// back: all others have left, and of those the client has acknowledged what it takes,
// or the OACK. So a forged request does not come as far, unless it is without
// options and for a file of one block: that has nothing to acknowledge before.
func (t *transfer) atLast() bool {
	return t.held != 0 && t.phase == sending && t.next == t.last && t.base+uint64(t.grant.window) > t.last
}

// release lets the last block go. The client's patience and ours begin anew, and
// what went unanswered meanwhile says nothing of the way.
func (t *transfer) release(now instant, tm *timing) {
	t.held = 0
	t.tries, t.timedOut, t.probing = 0, false, false
	t.progress = now
	t.deadline = now.add(t.rto(tm))
}
