package gun

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// state is what became of a request so far.
type state uint32

const (
	unused state = iota
	pending
	wrong
	answered
	late
	states
)

// entry is the place of one request. word holds the xid and, below, the state;
// it is what makes the entry a certain request's. All fields are atomic because
// a reply may reach another thread than the one that asked.
type entry struct {
	word atomic.Uint64
	sent atomic.Int64 // on the gun's clock, ns
}

// table holds the requests that may still be answered, by the low bits of their xid.
type table []entry

// newTable makes one of at least n entries.
func newTable(n int) table { return make(table, 1<<bits.Len(uint(n-1))) }

func (t table) at(xid uint32) *entry { return &t[xid&uint32(len(t)-1)] }

// put begins a request, and returns how the one ended whose place it takes.
func (t table) put(xid uint32, now time.Duration) state {
	e := t.at(xid)
	old := state(uint32(e.word.Swap(0))) // nobody's, while the time is written
	e.sent.Store(int64(now))
	e.word.Store(uint64(xid)<<32 | uint64(pending))
	return old
}

// drop takes back a request that could not be sent.
func (t table) drop(xid uint32) { t.at(xid).word.Store(0) }

// look returns the state of a request and when it was sent; unused if the table has it no more.
func (t table) look(xid uint32) (state, time.Duration) {
	e := t.at(xid)
	sent := e.sent.Load()
	word := e.word.Load()
	if uint32(word>>32) != xid {
		return unused, 0
	}
	return state(uint32(word)), time.Duration(sent)
}

// move changes a request's state; false if somebody else did in between.
func (t table) move(xid uint32, from, to state) bool {
	return t.at(xid).word.CompareAndSwap(uint64(xid)<<32|uint64(from), uint64(xid)<<32|uint64(to))
}

// clear forgets everything, and returns how many requests were in which state.
// Nobody else may use the table at that time.
func (t table) clear() (ended [states]uint64) {
	for i := range t {
		ended[state(uint32(t[i].word.Load()))]++
		t[i].word.Store(0)
	}
	return ended
}
