package tftp

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xdpxe/xdpxe/responder/content"
	"github.com/xdpxe/xdpxe/responder/tftp/legacy"
)

// Uploads says what clients may write.
type Uploads = legacy.Uploads

// ErrUploads is what Listen fails with when the folder of uploads cannot be used.
var ErrUploads = legacy.ErrFolder

// Bounds of what is set aside: each is some goroutines and two sockets.
const (
	maxAside       = 256
	maxAsideClient = 32 // of one address
	maxAsideLinger = 64 // that have ended and only repeat their last acknowledgement
)

// aside has the requests that the event loops do not serve themselves: write
// requests and reads in netascii. The loops come here with these only, and in
// single-port mode with packets that belong to no transfer of theirs. All methods
// are safe for concurrent use; nil serves nothing.
type aside struct {
	server   *Server
	legacy   *legacy.Server
	ctx      context.Context
	cancel   context.CancelFunc
	sessions sync.WaitGroup
	counters counters
	uploads  atomic.Uint64
	received atomic.Uint64 // bytes of uploads

	mu      sync.Mutex
	running map[peer]*session // those that linger included
	active  int               // without these
	clients map[[16]byte]int  // the same of each address
	linger  []*session
}

// session is one request that was set aside.
type session struct {
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
	follow   *following // nil: nobody wants to hear of it
}

var errSuperseded = errors.New("the client asked for something else")

func newAside(s *Server) (*aside, error) {
	opts := legacy.Options{Uploads: s.cfg.Uploads, Netascii: s.cfg.Netascii, Timeout: s.cfg.InitialTimeout, GiveUp: s.cfg.GiveUp}
	l, err := legacy.New(opts)
	if err != nil {
		return nil, err
	}
	h := &aside{server: s, legacy: l, running: map[peer]*session{}, clients: map[[16]byte]int{}}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h, nil
}

// stop ends what runs. The event loops have ended by then.
func (h *aside) stop() {
	if h == nil {
		return
	}
	h.cancel()
	h.sessions.Wait()
	h.legacy.Close()
}

// serves says whether a request is one to set aside, of those that the event
// loops refuse with how.
func (h *aside) serves(req *request, how Outcome) bool {
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
func (h *aside) repeats(from peer, id uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.running[from]
	return t != nil && t.id == id && (t.ended.IsZero() || time.Since(t.ended) < restartAfter)
}

// supersede ends what is being served to a client that asks for something else.
func (h *aside) supersede(from peer) (old *session) {
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
func (h *aside) begin(e *endpoint, d *datagram, req *request, id uint64, blksize int) Outcome {
	old := h.supersede(d.from)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.active >= maxAside:
		return Full
	case h.clients[d.from.addr] >= maxAsideClient:
		return ClientFull
	}
	ctx, cancel := context.WithCancelCause(h.ctx)
	t := &session{peer: d.from, local: d.local, id: id, write: req.write, blksize: defaultBlksize, started: time.Now(), cancel: cancel, gone: make(chan struct{})}
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
	h.active++
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

func (h *aside) serve(ctx context.Context, t *session, r legacy.Request, zone string) {
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
	r.Open = func() (*content.File, error) { return h.open(t, r.Name) }
	refuse := error(nil)
	if r.Write {
		refuse = h.mayWrite(t, r.Name)
	}
	ended := func(err error) {
		how := legacyOutcome(err)
		if errors.Is(context.Cause(ctx), errSuperseded) && how == Stopped {
			how = Superseded
		}
		if code, text, ok := refusal(how); ok {
			var g *gateError
			if errors.As(err, &g) {
				text = plain(g.text, text)
			}
			// It may be lost, as any packet.
			_ = link.Send(appendError(nil, code, text))
		}
		h.end(t, r.Name, how, err)
	}
	if refuse != nil {
		ended(refuse)
		link.Close()
		return
	}
	h.legacy.Serve(ctx, r, link, &t.progress, ended)
}

func (h *aside) forget(t *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running[t.peer] == t {
		delete(h.running, t.peer)
	}
	if i := slices.Index(h.linger, t); i >= 0 {
		h.linger = slices.Delete(h.linger, i, i+1)
	}
}

// over takes it that a session has ended, and lingers from now on.
func (h *aside) over(t *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t.ended = time.Now()
	h.active--
	if h.clients[t.peer.addr]--; h.clients[t.peer.addr] == 0 {
		delete(h.clients, t.peer.addr)
	}
	h.linger = append(h.linger, t)
	if len(h.linger) > maxAsideLinger {
		h.linger[0].cancel(nil)
		h.linger = slices.Delete(h.linger, 0, 1)
	}
}

// packet takes a packet to the request port of single-port mode. It reports
// false where it belongs to nothing that was set aside.
func (h *aside) packet(d *datagram) bool {
	t := h.find(d.from)
	return t != nil && t.local == d.local && t.link.put(d.payload)
}

// unreachable takes it that ICMP says that a client is gone.
func (h *aside) unreachable(to peer) {
	if t := h.find(to); t != nil {
		t.link.lost()
	}
}

// find returns the session of a client in single-port mode.
func (h *aside) find(p peer) *session {
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
