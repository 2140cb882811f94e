package tftp

// onRequest takes a datagram from the request port.
func (w *worker) onRequest(e *endpoint, d *datagram) {
	if w.stopping {
		return
	}
	req, how := parseRequest(d.payload)
	if how != NotRequest {
		w.counters.requests.Add(1)
	}
	switch {
	case how == NotRequest:
		w.refuse(e, d, &req, how)
		return
	case !d.unicast: // RFC 1123, 4.2.3.5
		w.refuse(e, d, &req, NotUnicast)
		return
	case !w.server.allowed(d.from.ip()):
		w.refuse(e, d, &req, NotAllowed)
		return
	}

	id := requestID(d.payload)
	old, s, found := w.table.find(d.from)
	if found && how == running && s.phase != ended && s.id == id && !s.again(w.now) {
		w.counters.repeated.Add(1)
		if s.phase == waiting {
			s.deadline = w.now.add(waitPatience)
		}
		w.makeReady(e, old, s)
		return
	}
	if w.server.aside.serves(&req, how) && w.server.aside.repeats(d.from, id) {
		w.counters.repeated.Add(1) // pin/tftp repeats its answers by its own clock
		return
	}
	// What follows is answered, and the source may be a forged one.
	if over := w.server.sources.take(d.from.ip(), w.now); over != running {
		how = over
	}
	asides := w.server.aside.serves(&req, how)
	if how != running && !asides {
		w.refuse(e, d, &req, how)
		return
	}
	if found {
		if s.phase != ended {
			w.end(old, s, Superseded)
		}
		w.forget(old, s)
	}
	if asides {
		w.setAside(e, d, &req, id)
		return
	}
	w.server.aside.supersede(d.from)
	w.begin(e, d, &req, id)
}

// setAside has somebody else serve a request.
func (w *worker) setAside(e *endpoint, d *datagram, req *request, id uint64) {
	blksize := w.server.limits(d.from.ip(), interfaceMTU(e.data, d.ifindex)).blksize
	if how := w.server.aside.begin(e, d, req, id, blksize); how != running {
		w.refuse(e, d, req, how)
	}
}

// begin makes a transfer and lets its file be looked up, when there is a place for it.
func (w *worker) begin(e *endpoint, d *datagram, req *request, id uint64) {
	slotID, s := w.table.add(d.from)
	client, how, waits := w.server.ledger.enter(d.from.ip(), w, slotID, s.serial)
	if client == nil {
		w.table.remove(slotID)
		w.refuse(e, d, req, how)
		return
	}
	e.join(&w.table, slotID, client)
	mtu := interfaceMTU(e.data, d.ifindex)
	s.id = id
	s.local = d.local
	s.mtu = uint16(min(mtu, 1<<16-1))
	s.started, s.progress = w.now, w.now
	s.grant = req.grant(w.server.limits(d.from.ip(), mtu))
	s.grant.burst = w.server.burst(e.data, d.ifindex)
	s.phase = opening
	w.running++
	if waits {
		w.hold(slotID, s, string(req.name), how)
		return
	}
	w.lookUp(slotID, s, string(req.name))
}

// lookUp lets the file of a transfer be looked up.
func (w *worker) lookUp(id slotID, s *slot, name string) {
	if !w.server.opener.ask(lookup{worker: w, id: id, serial: s.serial, name: name, asked: w.asked(s, nil)}) {
		w.end(id, s, Busy)
		w.forget(id, s)
	}
}

// onFound takes the answer to a lookup.
func (w *worker) onFound(f *found) {
	s := w.table.slot(f.id)
	if !s.used || s.serial != f.serial || s.phase != opening {
		if f.file != nil {
			w.garbage = append(w.garbage, f.file)
		}
		return
	}
	if f.file == nil {
		if f.follow != nil {
			w.following[f.id] = w.server.followers.follow(f.follow)
		}
		w.finish(f.id, s, ending{how: f.how, name: f.name, text: f.text, err: f.err})
		return
	}
	w.table.setFile(f.id, f.file)
	s.start(w.now, f.file.Size(), s.grant, &w.server.timing)
	w.follow(f.id, s, f.follow)
	w.keepRecord(f.id, s, f.file)
	w.timers.set(f.id, s.deadline)
	w.makeReady(w.endpoints[s.peer.endpoint], f.id, s)
}

// refuse ends a request that became no transfer.
func (w *worker) refuse(e *endpoint, d *datagram, req *request, how Outcome) {
	w.counters.outcomes[how].Add(1)
	if w.server.reports.wants(how) {
		w.server.reports.put(report{client: d.from.addrPort(), file: string(req.name), how: how})
	}
	if code, text, ok := refusal(how); ok {
		w.sendError(e, &d.from, &d.local, code, text)
	}
}

// onPacket takes a datagram that belongs to a transfer: all from a data port do.
func (w *worker) onPacket(e *endpoint, d *datagram) {
	p := d.payload
	if len(p) < headerLen || !d.unicast {
		return
	}
	op := uint16(p[0])<<8 | uint16(p[1])
	id, s, ok := w.table.find(d.from)
	if !ok || s.local != d.local {
		if !ok && e.single() && w.server.aside.packet(d) {
			return
		}
		w.counters.strangers.Add(1)
		if op != opERROR && w.server.allowed(d.from.ip()) && w.strangers.take(w.now) {
			w.sendError(e, &d.from, &d.local, codeUnknownTID, "unknown transfer")
		}
		return
	}
	switch {
	case s.phase == ended || s.phase <= opening:
	case op == opACK:
		// Longer ones are ACKs all the same: Microsoft's msftwindow adds a byte.
		answered := s.answered
		if how := s.ack(uint16(p[2])<<8|uint16(p[3]), w.now, &w.server.timing); how != running {
			w.end(id, s, how)
			return
		}
		if r := w.table.record(id); r != nil {
			r.SetBase(s.outstanding())
		}
		if s.answered && !answered {
			w.server.sources.giveBack(d.from.ip(), w.now)
		}
		w.timers.set(id, s.deadline)
		w.makeReady(e, id, s)
	case op == opERROR:
		w.end(id, s, s.refused())
	}
}

// readErrors takes what ICMP says about our packets. Each belongs to one client.
func (w *worker) readErrors(e *endpoint) {
	for {
		to, final, ok := w.errors.next(e.data)
		if !ok {
			return
		}
		to.endpoint = e.index
		id, s, ok := w.table.find(to)
		if !ok && final {
			w.server.aside.unreachable(to)
		}
		if ok && final && s.phase != ended && s.phase > opening {
			if how := s.unreachable(); how == Complete {
				w.endUnconfirmed(id, s)
			} else {
				w.end(id, s, how)
			}
		}
	}
}

// expire serves the timers that have run out.
func (w *worker) expire() {
	for {
		id, when, ok := w.timers.first()
		if !ok || when > w.now {
			return
		}
		s := w.table.slot(id)
		e := w.endpoints[s.peer.endpoint]
		if s.deadline > w.now {
			// Put off by an acknowledgement, or the end of a pause.
			if s.resume > w.now {
				w.timers.putOff(min(s.resume, s.deadline))
				continue
			}
			w.timers.putOff(s.deadline)
			if s.phase != ended {
				w.makeReady(e, id, s)
			}
			continue
		}
		switch s.phase {
		case ended:
			w.forget(id, s)
			continue
		case waiting:
			w.dismiss(id, s)
			continue
		}
		tries := s.tries
		switch how := s.expire(w.now, &w.server.timing); how {
		case running:
			if s.tries != tries {
				w.counters.timeouts.Add(1)
			}
			w.timers.putOff(s.deadline)
			w.makeReady(e, id, s)
		case Complete:
			w.endUnconfirmed(id, s)
		default:
			// Perhaps it was not the client that was silent.
			if s.loading {
				how = ReadFailed
			} else if s.atLast() {
				how = Withheld
			}
			w.end(id, s, how)
		}
	}
}
