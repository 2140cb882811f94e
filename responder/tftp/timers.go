package tftp

// timers is a heap of slots by time. It may hold a time earlier than the slot's
// real deadline: an acknowledgement then costs nothing here, and the slot is put
// off when its old time comes.
type timers struct {
	heap []timer
	slot func(slotID) *slot // whose field timer is the place in heap
}

type timer struct {
	when instant
	id   slotID
}

// set makes sure that the slot comes up at when or earlier.
func (t *timers) set(id slotID, when instant) {
	s := t.slot(id)
	if s.timer < 0 {
		s.timer = int32(len(t.heap))
		t.heap = append(t.heap, timer{when, id})
		t.up(len(t.heap) - 1)
		return
	}
	if i := int(s.timer); when < t.heap[i].when {
		t.heap[i].when = when
		t.up(i)
	}
}

// putOff moves the first slot to a later time.
func (t *timers) putOff(when instant) {
	t.heap[0].when = when
	t.down(0)
}

// first returns the slot that comes up first.
func (t *timers) first() (slotID, instant, bool) {
	if len(t.heap) == 0 {
		return 0, 0, false
	}
	return t.heap[0].id, t.heap[0].when, true
}

// remove forgets a slot.
func (t *timers) remove(id slotID) {
	s := t.slot(id)
	i := int(s.timer)
	if i < 0 {
		return
	}
	s.timer = -1
	last := len(t.heap) - 1
	moved := t.heap[last]
	t.heap = t.heap[:last]
	if i == last {
		return
	}
	t.place(i, moved)
	t.up(i)
	t.down(int(t.slot(moved.id).timer))
}

func (t *timers) place(i int, e timer) {
	t.heap[i] = e
	t.slot(e.id).timer = int32(i)
}

func (t *timers) up(i int) {
	e := t.heap[i]
	for i > 0 {
		parent := (i - 1) / 2
		if t.heap[parent].when <= e.when {
			break
		}
		t.place(i, t.heap[parent])
		i = parent
	}
	t.place(i, e)
}

func (t *timers) down(i int) {
	e := t.heap[i]
	for {
		child := 2*i + 1
		if child >= len(t.heap) {
			break
		}
		if child+1 < len(t.heap) && t.heap[child+1].when < t.heap[child].when {
			child++
		}
		if t.heap[child].when >= e.when {
			break
		}
		t.place(i, t.heap[child])
		i = child
	}
	t.place(i, e)
}
