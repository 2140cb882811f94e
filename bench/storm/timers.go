package storm

import (
	"container/heap"
	"time"
)

// slot is a machine's place in a storm.
type slot struct {
	*Machine
	at  time.Duration // when it is switched on, or due
	pos int           // in timers; -1: not there
	on  bool
}

// timers are slots by the time that they are due, the first one first.
type timers []*slot

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, k int) bool { return t[i].at < t[k].at }
func (t timers) Swap(i, k int)      { t[i], t[k] = t[k], t[i]; t[i].pos, t[k].pos = i, k }
func (t *timers) Push(x any)        { s := x.(*slot); s.pos = len(*t); *t = append(*t, s) }

func (t *timers) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	last.pos = -1
	return last
}

// set makes a slot due at a time, or at none.
func (t *timers) set(s *slot, at time.Duration) {
	s.at = at
	switch {
	case at == never && s.pos >= 0:
		heap.Remove(t, s.pos)
	case at == never:
	case s.pos >= 0:
		heap.Fix(t, s.pos)
	default:
		heap.Push(t, s)
	}
}

// next is when the first one is due.
func (t timers) next() time.Duration {
	if len(t) == 0 {
		return never
	}
	return t[0].at
}
