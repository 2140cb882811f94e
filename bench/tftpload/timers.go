package tftpload

import "time"

// event is something that a worker does at a time of its own.
type event struct {
	at     time.Duration
	order  uint64 // among those of one time: packets do not overtake each other
	kind   eventKind
	client int32
	port   uint16  // that a delayed packet came from or goes to
	sock   *socket // the transfer that it is for
	packet []byte  // delayed, from the worker's pool
}

type eventKind uint8

const (
	begin    eventKind = iota // the client's first transfer
	expire                    // the transfer's deadline, or its end by the load's own patience
	deliver                   // a delayed packet of the server's
	transmit                  // a delayed packet of the client's
	resume                    // a slow client reads again
)

func (e *event) before(o *event) bool { return e.at < o.at || e.at == o.at && e.order < o.order }

// queue holds events in order of their time: a binary heap.
type queue struct {
	heap   []event
	pushed uint64
}

// first returns the time of the first event.
func (q *queue) first() (at time.Duration, ok bool) {
	if len(q.heap) == 0 {
		return 0, false
	}
	return q.heap[0].at, true
}

func (q *queue) push(e event) {
	e.order = q.pushed
	q.pushed++
	h := append(q.heap, e)
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if h[up].before(&e) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = e
	q.heap = h
}

func (q *queue) pop() event {
	h := q.heap
	top, e := h[0], h[len(h)-1]
	h[len(h)-1] = event{}
	h = h[:len(h)-1]
	q.heap = h
	if len(h) == 0 {
		return top
	}
	i := 0
	for {
		down := 2*i + 1
		if down >= len(h) {
			break
		}
		if down+1 < len(h) && h[down+1].before(&h[down]) {
			down++
		}
		if e.before(&h[down]) {
			break
		}
		h[i] = h[down]
		i = down
	}
	h[i] = e
	return top
}
