package tftp

// ending is how a transfer ends, and what there is to say about it.
type ending struct {
	how         Outcome
	unconfirmed bool   // Complete, though the last acknowledgement did not come
	name        string // that a client asked for whose file was not found
	text        string // for the client, in place of the outcome's
	err         error  // for the log
}

// endUnconfirmed ends a transfer whose final acknowledgement did not come.
func (w *worker) endUnconfirmed(id slotID, s *slot) {
	w.counters.unconfirmed.Add(1)
	w.finish(id, s, ending{how: Complete, unconfirmed: true})
}

// end ends a transfer. Its slot lingers to absorb what is still on its way.
func (w *worker) end(id slotID, s *slot, how Outcome) {
	w.finish(id, s, ending{how: how})
}

// finish is end, in more words.
func (w *worker) finish(id slotID, s *slot, end ending) {
	if file := w.table.file(id); file != nil {
		end.name = file.Path()
		// A message in the batch may still point into the mapping.
		w.garbage = append(w.garbage, file)
		w.table.setFile(id, nil)
	}
	w.dropRecord(id)
	how := end.how
	w.counters.outcomes[how].Add(1)
	if w.server.reports.wants(how) {
		w.server.reports.put(report{
			client: s.peer.addrPort(), file: end.name, how: how, err: end.err,
			size: s.size, sent: s.acknowledged(), took: w.now.since(s.started), retransmits: s.retransmits,
		})
	}
	w.unfollow(id, s, &end)
	e := w.endpoints[s.peer.endpoint]
	looked := s.phase > opening
	client := w.table.flow(id).account
	e.part(&w.table, id, s)
	if s.phase != waiting || !w.unqueue(id, s, client) {
		w.server.ledger.leave(client)
	}
	s.phase = ended
	w.running--
	if code, text, ok := refusal(how); ok {
		w.sendError(e, &s.peer, &s.local, code, plain(end.text, text))
	}
	if !looked || w.linger >= maxLinger {
		w.remove(id)
		return
	}
	w.linger++
	s.lingers = true
	s.deadline = w.now.add(lingering)
	w.timers.set(id, s.deadline)
}

// forget gives the slot of an ended transfer back.
func (w *worker) forget(id slotID, s *slot) {
	if !s.used {
		return // it did not linger
	}
	if s.lingers {
		w.linger--
	}
	w.remove(id)
}

func (w *worker) remove(id slotID) {
	e := w.endpoints[w.table.slot(id).peer.endpoint]
	w.timers.remove(id)
	w.table.remove(id)
	if e.surplus {
		if e.slots--; e.slots == 0 {
			w.retire(e)
		}
	}
}

// sweep releases the files of ended transfers, when no batch points into them.
func (w *worker) sweep() {
	for i, f := range w.garbage {
		w.server.opener.release(f)
		w.garbage[i] = nil
	}
	w.garbage = w.garbage[:0]
}
