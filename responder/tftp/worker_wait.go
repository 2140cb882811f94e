package tftp

import "time"

// waitPatience is how long a request waits that its client does not repeat.
const waitPatience = 12 * time.Second

// queued is a request that waits for a place.
type queued struct {
	name string
	why  Outcome // what was full
}

// hold lets a request wait.
func (w *worker) hold(id slotID, s *slot, name string, why Outcome) {
	s.phase = waiting
	s.deadline = w.now.add(waitPatience)
	w.timers.set(id, s.deadline)
	w.queue[id] = queued{name, why}
	w.counters.waited.Add(1)
}

// unqueue lets a request wait no more. It reports false if it has got its place meanwhile.
func (w *worker) unqueue(id slotID, s *slot, client *account) bool {
	delete(w.queue, id)
	return w.server.ledger.quit(client, w, id, s.serial)
}

// dismiss gives up a request whose client asks no more.
func (w *worker) dismiss(id slotID, s *slot) {
	q := w.queue[id]
	w.finish(id, s, ending{how: q.why, name: q.name})
}

// onPlace takes it that a request need not wait any longer.
func (w *worker) onPlace(t *ticket) {
	s := w.table.slot(t.id)
	if !s.used || s.serial != t.serial || s.phase != waiting {
		return // it gave its place back
	}
	name := w.queue[t.id].name
	delete(w.queue, t.id)
	s.phase = opening
	s.progress, s.deadline = w.now, never
	w.lookUp(t.id, s, name)
}
