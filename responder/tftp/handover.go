package tftp

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/xdpxe/xdpxe/responder/content"
	"github.com/xdpxe/xdpxe/responder/tftp/legacy"
)

// Uploads says what clients may write.
type Uploads = legacy.Uploads

// ErrUploads is what Listen fails with when the folder of uploads cannot be used.
var ErrUploads = legacy.ErrFolder

// Bounds of what is handed over: each is some goroutines and two sockets.
const (
	maxHanded       = 256
	maxHandedClient = 32 // of one address
)

// handover has the requests that the event loops do not serve themselves. The
// loops come here with such requests only, and with packets that belong to no
// transfer of theirs. All methods are safe for concurrent use.
type handover struct {
	server   *Server
	legacy   *legacy.Server
	ctx      context.Context
	cancel   context.CancelFunc
	sessions sync.WaitGroup
	counters counters
	uploads  atomic.Uint64
	received atomic.Uint64 // bytes of uploads

	mu      sync.Mutex
	running map[peer]*handed
	clients map[[16]byte]int
}

// handed is one request that was handed over.
type handed struct {
	peer     peer
	local    [16]byte
	id       uint64
	write    bool
	blksize  int
	started  time.Time
	link     *portLink // in single-port mode
	progress legacy.Progress
	cancel   context.CancelCauseFunc
	gone     chan struct{} // closed at the very end
	ended    time.Time     // zero: not yet
	server   netip.AddrPort
}

var errSuperseded = errors.New("the client asked for something else")

func newHandover(s *Server) (*handover, error) {
	opts := legacy.Options{Uploads: s.cfg.Uploads, Timeout: s.cfg.InitialTimeout, GiveUp: s.cfg.GiveUp}
	if s.cfg.Netascii {
		opts.Open = func(name string) (*content.File, error) {
			f := s.opener.open(lookup{name: name})
			return f.file, f.err
		}
	}
	l, err := legacy.New(opts)
	if err != nil {
		return nil, err
	}
	h := &handover{server: s, legacy: l, running: map[peer]*handed{}, clients: map[[16]byte]int{}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h, nil
}

// stop ends what runs. The event loops have ended by then.
func (h *handover) stop() {
	if h == nil {
		return
	}
	h.cancel()
	h.sessions.Wait()
	h.legacy.Close()
}

// serves says whether a request is one to hand over, of those that the event
// loops refuse with how.
func (h *handover) serves(req *request, how Outcome) bool {
	switch {
	case h == nil:
		return false
	case how == WriteRefused:
		return h.legacy.Uploads()
	case how == BadMode:
		return h.legacy.Netascii() && req.netascii && !req.write
	}
	return false
}

// repeats says whether a request repeats one that is being served.
func (h *handover) repeats(from peer, id uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.running[from]
	return t != nil && t.id == id && (t.ended.IsZero() || time.Since(t.ended) < restartAfter)
}

// supersede ends what is being served to a client that asks for something else.
func (h *handover) supersede(from peer) (old *handed) {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if old = h.running[from]; old != nil {
		old.cancel(errSuperseded)
	}
	return old
}

// begin serves a request. It returns running, or why not.
func (h *handover) begin(e *endpoint, d *datagram, req *request, id uint64, blksize int) Outcome {
	old := h.supersede(d.from)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case len(h.running) >= maxHanded:
		return Full
	case h.clients[d.from.addr] >= maxHandedClient:
		return ClientFull
	}
	ctx, cancel := context.WithCancelCause(h.ctx)
	t := &handed{peer: d.from, local: d.local, id: id, write: req.write, blksize: defaultBlksize, started: time.Now(), cancel: cancel, gone: make(chan struct{})}
	r := legacy.Request{Write: req.write, Netascii: req.netascii, Name: string(req.name), Announced: req.tsize}
	if e.single() {
		// Longer datagrams would not fit the buffers of the event loop.
		t.link = newPortLink(e, t)
		t.server = netip.AddrPortFrom(netip.AddrFrom16(t.local).Unmap(), e.tid)
	} else if req.asked&optBlksize != 0 {
		r.Blksize = min(req.blksize, blksize)
		t.blksize = r.Blksize
	}
	h.running[d.from] = t
	h.clients[d.from.addr]++
	zone := e.addr.Zone()
	h.sessions.Go(func() {
		if old != nil {
			<-old.gone
		}
		h.serve(ctx, t, r, zone)
		cancel(nil)
		h.forget(t)
		close(t.gone)
	})
	return running
}

func (h *handover) serve(ctx context.Context, t *handed, r legacy.Request, zone string) {
	var link legacy.Link
	if t.link != nil {
		link = t.link
	} else {
		l, err := openSocketLink(t, zone, h.server.cfg.DataPorts)
		if err != nil {
			h.end(t, r.Name, Busy, err)
			return
		}
		link = l
		h.mu.Lock()
		t.server = l.server
		h.mu.Unlock()
	}
	h.legacy.Serve(ctx, r, link, &t.progress, func(err error) {
		how := legacyOutcome(err)
		if errors.Is(context.Cause(ctx), errSuperseded) && how == Stopped {
			how = Superseded
		}
		if code, text, ok := refusal(how); ok {
			// It may be lost, as any packet.
			_ = link.Send(appendError(nil, code, text))
		}
		h.end(t, r.Name, how, err)
	})
}

// end counts and reports how a request has ended.
func (h *handover) end(t *handed, name string, how Outcome, err error) {
	h.mu.Lock()
	t.ended = time.Now()
	h.mu.Unlock()
	if path := t.progress.Path(); path != "" {
		name = path
	}
	bytes := uint64(t.progress.Bytes())
	h.counters.outcomes[how].Add(1)
	switch {
	case !t.write:
		h.counters.bytes.Add(bytes)
	case how == Complete:
		h.uploads.Add(1)
		fallthrough
	default:
		h.received.Add(bytes)
	}
	if h.server.reports.wants(how) {
		h.server.reports.put(report{client: t.peer.addrPort(), file: name, how: how, err: err, upload: t.write,
			size: t.progress.Size(), sent: int64(bytes), took: t.ended.Sub(t.started)})
	}
}

func (h *handover) forget(t *handed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running[t.peer] == t {
		delete(h.running, t.peer)
	}
	if h.clients[t.peer.addr]--; h.clients[t.peer.addr] == 0 {
		delete(h.clients, t.peer.addr)
	}
}

// packet takes a packet to the request port of single-port mode. It reports
// false where it belongs to nothing that was handed over.
func (h *handover) packet(d *datagram) bool {
	t := h.find(d.from)
	return t != nil && t.local == d.local && t.link.put(d.payload)
}

// unreachable takes it that ICMP says that a client is gone.
func (h *handover) unreachable(to peer) {
	if t := h.find(to); t != nil {
		t.link.lost()
	}
}

// find returns what was handed over of a client in single-port mode.
func (h *handover) find(p peer) *handed {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.running[p]; t != nil && t.link != nil {
		return t
	}
	return nil
}

// add adds to a Server's totals.
func (h *handover) add(s *Stats) {
	if h == nil {
		return
	}
	h.counters.add(s)
	s.Uploads, s.Received = h.uploads.Load(), h.received.Load()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.running {
		if t.ended.IsZero() {
			s.Active++
		}
	}
}

// transfers describes what runs.
func (h *handover) transfers() (all []TransferInfo) {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.running {
		if t.ended.IsZero() {
			all = append(all, TransferInfo{
				Client: t.peer.addrPort(), Server: t.server, File: t.progress.Path(), Upload: t.write, Size: t.progress.Size(), Offset: t.progress.Bytes(),
				Blksize: t.blksize, Window: 1, Started: t.started,
			})
		}
	}
	return all
}

// legacyOutcome says how a request ended.
func legacyOutcome(err error) Outcome {
	for _, e := range []struct {
		err error
		how Outcome
	}{
		{legacy.ErrAborted, Aborted}, {legacy.ErrSilent, TimedOut}, {legacy.ErrUnreachable, Unreachable}, {legacy.ErrStopped, Stopped},
		{legacy.ErrChanged, FileChanged}, {legacy.ErrIncomplete, Incomplete}, {legacy.ErrBusy, Busy},
		{legacy.ErrExists, Exists}, {legacy.ErrLimit, OverLimit}, {syscall.ENOSPC, OverLimit}, {syscall.EDQUOT, OverLimit}, {os.ErrPermission, Refused},
	} {
		if errors.Is(err, e.err) {
			return e.how
		}
	}
	if err == nil {
		return Complete
	}
	return lookupOutcome(err)
}
