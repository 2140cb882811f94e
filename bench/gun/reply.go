package gun

import (
	"time"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// take judges n received frames, and answers ARP.
func (w *worker) take(r *run, n int, now time.Duration) error {
	for i := range w.in[:n] {
		w.judgeFrame(r, w.in[i].Data, now)
	}
	var err error
	for i := range w.in[:n] {
		reply, ok := w.gun.load.answer(w.in[i].Data, w.mac)
		if !ok {
			w.port.Release(w.in[i : i+1])
			continue
		}
		w.in[i].Data = reply.append(w.in[i].Data[:0])
		if e := send(w.port, w.in[i:i+1]); e != nil {
			err = e
		}
	}
	return err
}

// judgeFrame finds the request that a frame answers, and counts.
func (w *worker) judgeFrame(r *run, frame []byte, now time.Duration) {
	p := &w.packet
	if packet.Parse(frame, p) != packet.Answered {
		return
	}
	switch p.Dst.Port() {
	case packet.PortDHCPClient, packet.PortBINL:
	case packet.PortDHCPServer:
		if !w.gun.load.Relay.IsValid() {
			return // another client's request
		}
	default:
		return
	}
	if server := w.gun.load.Server; server.IsValid() && p.Src.Addr() != server {
		w.tally.others++
		return
	}
	if len(p.Payload) < 8 {
		w.tally.reasons[dhcpc.Malformed]++
		return
	}
	xid := uint32(p.Payload[4])<<24 | uint32(p.Payload[5])<<16 | uint32(p.Payload[6])<<8 | uint32(p.Payload[7])
	st, sent := w.gun.table.look(xid)
	if st == unused {
		if xid-w.gun.firstXID < r.base {
			w.tally.stale++ // of an earlier run
		} else if w.issued(r, xid) {
			w.tally.stale++ // its place in the table was given away
		} else {
			w.tally.reasons[dhcpc.WrongXID]++
		}
		return
	}
	if why := w.judgeReply(xid); why != dhcpc.Valid {
		w.tally.reasons[why]++
		if st == pending && w.gun.table.move(xid, pending, wrong) {
			w.tally.wrong++
		}
		return
	}
	w.valid(r, xid, st, now, now-sent)
}

// issued says whether an xid was sent in this run, by whichever worker.
func (w *worker) issued(r *run, xid uint32) bool {
	k := int64(xid - w.gun.firstXID - r.base)
	owner := w.gun.workers[k%int64(len(w.gun.workers))]
	return k/int64(len(w.gun.workers)) < owner.seenSent.Load()
}

// judgeReply holds the packet at hand against the request with that xid.
func (w *worker) judgeReply(xid uint32) dhcpc.Reason {
	w.plan.make(&w.reply, xid-w.gun.firstXID, xid)
	expect := dhcpc.Expect{Kind: w.reply.sort.kind, Spec: &w.reply.sort.template.Spec, Vars: &w.reply.vars}
	if why := dhcpc.Addressing(&w.reply.meta, &w.packet.Meta, &expect); why != dhcpc.Valid {
		return why
	}
	if !(w.gun.load.HiddenTags && w.packet.NumVLANs == 0) {
		if why := dhcpc.Tagged(&w.reply.meta, &w.packet.Meta); why != dhcpc.Valid {
			return why
		}
	}
	return w.judge.Reply(w.packet.Payload, &expect)
}

// valid counts a valid reply.
func (w *worker) valid(r *run, xid uint32, st state, now, age time.Duration) {
	to := answered
	if age > w.gun.load.Late {
		to = late
	}
	// A second look where another thread was in between.
	for st == pending || st == wrong {
		if !w.gun.table.move(xid, st, to) {
			st, _ = w.gun.table.look(xid)
			continue
		}
		if st == wrong {
			w.tally.wrong-- // counts from 2^64 down if another worker counted it up; the sum is right
		}
		if to == late {
			w.tally.late++
			return
		}
		w.tally.answered++
		w.latency.Record(age)
		w.tally.doneIn[w.slice(r, now)]++
		return
	}
	if st == unused {
		w.tally.stale++
		return
	}
	w.tally.duplicates++
}
