package tftp

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/responder/content"
	"github.com/xdpxe/xdpxe/responder/mapfile"
	"github.com/xdpxe/xdpxe/responder/tftp/resume"
)

// Transfers that a former process left go on at the first block that was not
// acknowledged. Who is first to send after so long a silence is told by the
// acknowledgements that wait in the sockets; whose were lost is sent its window
// again, one client after the other.
const (
	restoreGap  = 200 * time.Microsecond // between those
	restoreSpan = time.Second            // for all of them
)

// restore goes on with what a former process left, and lets our own transfers be
// gone on with. Whatever is wrong with the state, the server serves.
func (s *Server) restore(left *estate) {
	defer left.discard()
	if s.cfg.State == "" || s.cfg.Sockets == nil {
		return
	}
	log := s.cfg.Logger
	saved, torn, err := resume.Read(s.cfg.State)
	switch {
	case errors.Is(err, mapfile.ErrInUse):
		log.Warn("transfers will not outlive this process", zap.Error(err))
		return
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		log.Warn("transfers of the last process are not gone on with", zap.Error(err))
	}
	if s.lasting, err = resume.Create(s.cfg.State, s.cfg.MaxTransfers); err != nil {
		log.Warn("transfers will not outlive this process", zap.Error(err))
	}
	s.lost = uint64(torn)
	s.adoptAll(left, saved)
	if s.lasting != nil {
		if err := s.lasting.Publish(); err != nil {
			log.Warn("transfers will not outlive this process", zap.Error(err))
		}
	}
	if s.restored+s.lost > 0 {
		log.Info("transfers of the last process", zap.Uint64("go on", s.restored), zap.Uint64("lost", s.lost), zap.Int("not whole", torn))
	}
}

// adoptAll gives each transfer to the worker that has its socket.
func (s *Server) adoptAll(left *estate, saved []resume.Saved) {
	type home struct {
		w *worker
		e *endpoint
	}
	homes := map[uint16]home{}
	for _, w := range s.workers {
		for _, e := range w.endpoints {
			homes[e.number] = home{w, e}
		}
	}
	gap := restoreGap
	if len(saved) > 0 {
		gap = min(gap, restoreSpan/time.Duration(len(saved)))
	}
	now := s.clock()
	for i := range saved {
		t := &saved[i]
		h, ok := homes[t.Socket]
		if l := left.left[t.Socket]; !ok && l != nil && l.data >= 0 && l.tid == t.TID {
			h.w = s.workers[int(l.number)%len(s.workers)]
			if h.e, ok = h.w.listenSurplus(l, &s.cfg); ok {
				l.data = -1
				homes[t.Socket] = h
			}
		}
		if !ok || !h.w.adopt(h.e, t, now, now.add(gap*time.Duration(i))) {
			s.lost++
			continue
		}
		s.restored++
	}
}

// adopt goes on with a transfer of a former process, which is heard of when at
// the latest. It reports false for what cannot be one on this endpoint.
func (w *worker) adopt(e *endpoint, t *resume.Saved, now, when instant) bool {
	p := peer{addr: t.Client, zone: t.Zone, port: t.Port, endpoint: e.index}
	if _, _, ok := w.table.find(p); ok || e.tid != t.TID || e.v6 == p.ip().Is4() {
		return false
	}
	id, s := w.table.add(p)
	e.join(&w.table, id, w.server.ledger.adopt(p.ip()))
	w.running++
	if e.surplus {
		e.slots++
	}
	s.local, s.mtu, s.id = t.Local, t.MTU, t.Request
	s.started = instant(time.Unix(0, t.Started).Sub(w.server.epoch))
	g := grant{blksize: t.Blksize, window: t.Window, burst: t.Burst, timeout: t.Timeout, options: options(t.Options)}
	s.goOn(now, t.Size, g, t.Base, when)
	was := content.Identity{Dev: t.File.Dev, Ino: t.File.Ino, Size: t.File.Size, Sec: t.File.Sec, Nsec: t.File.Nsec}
	f := w.reopen(s, t.File.Path, was)
	if f.file == nil {
		w.spoiled = append(w.spoiled, spoiled{id, f})
		return true
	}
	w.table.setFile(id, f.file)
	w.keepRecord(id, s, f.file)
	w.follow(id, s, f.follow)
	w.timers.set(id, s.deadline)
	return true
}

// reopen opens the file of a former process's transfer, if it is the same one
// and the client may still have it. The loops do not run yet, so nobody waits for the gate.
func (w *worker) reopen(s *slot, path string, was content.Identity) found {
	if a := w.asked(s, &was); a != nil {
		return w.server.opener.open(lookup{name: path, asked: a})
	}
	file, err := w.server.root.Load().Reopen(path, was)
	return found{file: file, name: path, how: lookupOutcome(err), err: err}
}

// spoiled is a transfer of a former process whose file is another now, or not
// for its client any more.
type spoiled struct {
	slot slotID
	found
}

// endSpoiled tells those clients.
func (w *worker) endSpoiled() {
	for i := range w.spoiled {
		x := &w.spoiled[i]
		s := w.table.slot(x.slot)
		end := ending{how: FileChanged, name: x.name, err: x.err}
		if x.how >= Refused && x.how <= BadTemplate {
			end.how, end.text = x.how, x.text
		}
		if end.err != nil {
			end.err = fmt.Errorf("since the last process: %w", end.err)
		}
		w.finish(x.slot, s, end)
	}
	w.spoiled = nil
	for _, e := range w.endpoints {
		w.sendRound(e)
	}
}

// goOn makes a transfer of which base is the first block that is not
// acknowledged, 0 if the OACK is not. What was sent before is not known: any
// acknowledgement of the window counts, and none tells a round trip. At when,
// the timer sends everything from base on again.
func (t *transfer) goOn(now instant, size int64, g grant, base uint64, when instant) {
	t.size, t.grant = size, g
	t.last = uint64(size)/uint64(g.blksize) + 1
	t.phase = sending
	t.base = base
	if base == 0 {
		t.phase = negotiating
		t.base = 1
		t.high = 1
	} else {
		t.high = min(base+uint64(g.window), t.last+1)
	}
	t.next = t.high
	t.progress, t.sentFirst, t.sentLast = now, now, now
	t.twice = max(t.high, 1)
	t.answered = base > 1 || base == 1 && g.options != 0
	t.deadline = when
}

// keepRecord lets a transfer outlive this process.
func (w *worker) keepRecord(id slotID, s *slot, file *content.File) {
	state := w.server.lasting
	if state == nil {
		return
	}
	e := w.endpoints[s.peer.endpoint]
	f := file.Identity()
	t := resume.Transfer{
		Client: s.peer.addr, Zone: s.peer.zone, Port: s.peer.port, Local: s.local, Socket: e.number, TID: e.tid,
		Blksize: s.grant.blksize, Window: s.grant.window, Burst: s.grant.burst, MTU: s.mtu, Timeout: s.grant.timeout, Options: uint8(s.grant.options),
		Size: s.size, Request: s.id, Started: w.server.epoch.Add(time.Duration(s.started)).UnixNano(), Base: s.outstanding(),
	}
	w.table.setRecord(id, state.Add(&t, resume.File{Path: file.Path(), Dev: f.Dev, Ino: f.Ino, Size: f.Size, Sec: f.Sec, Nsec: f.Nsec}))
}

// dropRecord is the opposite of keepRecord.
func (w *worker) dropRecord(id slotID) {
	if r := w.table.record(id); r != nil {
		w.server.lasting.Remove(r)
		w.table.setRecord(id, nil)
	}
}

// outstanding returns what goOn calls base.
func (t *transfer) outstanding() uint64 {
	if t.phase == negotiating {
		return 0
	}
	return t.base
}

// listenSurplus adds a data socket of a former process whose place none of ours
// takes. It is closed when its transfers have ended.
func (w *worker) listenSurplus(l *pair, cfg *Config) (*endpoint, bool) {
	if len(w.endpoints) >= 2*maxEndpoints {
		return nil, false
	}
	e := &endpoint{v6: l.addr.Is6(), addr: l.addr, number: l.number, requests: -1, data: l.data, surplus: true}
	if e.open(cfg) != nil {
		return nil, false
	}
	if w.listen(e) != nil {
		e.data = -1 // stays the estate's
		return nil, false
	}
	return e, true
}

// listenOn lets workers serve the sockets that are left of a former process in
// single-port mode.
func (s *Server) listenOn(left *estate) error {
	for n, l := range left.left {
		if l.requests < 0 || l.port != s.port {
			continue
		}
		e := &endpoint{v6: l.addr.Is6(), addr: l.addr, number: n, requests: l.requests, data: l.requests}
		left.used[n] = true
		l.requests = -1
		w := s.workers[int(n)%len(s.workers)]
		if err := errors.Join(e.open(&s.cfg), w.listen(e)); err != nil {
			return err
		}
	}
	return nil
}

// retire closes a surplus endpoint without transfers.
func (w *worker) retire(e *endpoint) {
	w.unwatch(e.data)
	e.close()
	// Beside the loop: the store may have to be waited for.
	cfg, name := &w.server.cfg, storeName(storeData, e.number)
	go func() {
		if err := cfg.Sockets.Remove(name); err != nil {
			cfg.Logger.Warn("a socket stays in the store", zap.String("name", name), zap.Error(err))
		}
	}()
}

// abandon leaves the transfers to the next process.
func (w *worker) abandon() {
	w.table.each(func(id slotID, s *slot) {
		if file := w.table.file(id); file != nil {
			w.garbage = append(w.garbage, file)
			w.table.setFile(id, nil)
		}
		// Its Follower does not hear of an end, as there is none.
		if f := w.following[id]; f != nil {
			f.cancel()
		}
	})
	w.sweep()
}
