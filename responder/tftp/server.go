package tftp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/responder/content"
	"github.com/xdpxe/xdpxe/responder/tftp/resume"
)

// Server is a TFTP server. Its methods but Serve are safe for concurrent use.
type Server struct {
	cfg        Config
	timing     timing
	ledger     *ledger
	caps       caps
	sources    *sources
	port       uint16
	headers    *headers
	epoch      time.Time // of all instants
	workers    []*worker
	opener     *opener
	prefetcher *prefetcher
	reports    *reporter
	followers  *followers
	// aside is nil unless there is something that the workers do not serve.
	aside *aside

	lasting        *resume.State // nil: transfers end with the process
	restored, lost uint64        // transfers of a former process

	root    atomic.Pointer[content.Root]
	clients atomic.Pointer[func(netip.Addr) bool]
	nets    atomic.Pointer[[]Network]
	state   atomic.Int32
}

// States of a Server.
const (
	listening int32 = iota
	serving
	closed
)

// Listen opens the server's sockets. The root stays the caller's, who closes it
// after Serve has returned or SetRoot has replaced it.
func Listen(cfg Config, root *content.Root) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg,
		timing: timing{initial: cfg.InitialTimeout, floor: cfg.MinTimeout, ceiling: cfg.MaxTimeout,
			giveUp: cfg.GiveUp, unanswered: cfg.Unanswered},
		ledger:  newLedger(&cfg),
		caps:    newCaps(&cfg),
		sources: newSources(&cfg),
		headers: newHeaders(),
		epoch:   time.Now().Add(-time.Second), // instant 0 is "never"
		reports: newReporter(cfg.Logger),

		followers: new(followers),
	}
	s.opener = newOpener(s.root.Load, cfg.Gate)
	s.prefetcher = newPrefetcher(s.clock)
	s.SetRoot(root)
	s.SetClients(cfg.Clients)
	if err := s.SetNetworks(cfg.Networks); err != nil {
		return nil, err
	}

	if cfg.Uploads != nil || cfg.Netascii {
		if s.aside, err = newAside(s); err != nil {
			return nil, fmt.Errorf("tftp: %w", err)
		}
	}
	if err := s.listenAnywhere(); err != nil {
		s.aside.stop()
		return nil, err
	}
	return s, nil
}

// listenAnywhere is listen, again where port 0 needs it: the kernel picks one
// that is free for the first address; it need not be for the others.
func (s *Server) listenAnywhere() error {
	left := inherit(s.cfg.Sockets, s.cfg.Logger)
	for try := 0; ; try++ {
		err := s.listen(left)
		if err == nil {
			s.restore(left)
			return nil
		}
		s.closeWorkers()
		if s.cfg.Port != 0 || try == 9 || !errors.Is(err, unix.EADDRINUSE) {
			left.close()
			return err
		}
	}
}

// listen opens the sockets of all workers.
func (s *Server) listen(left *estate) error {
	s.port = uint16(s.cfg.Port)
	addrs := s.cfg.Addrs
	optional := len(addrs) == 0 // IPv6 is
	if optional {
		addrs = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	if len(addrs) > maxEndpoints {
		return fmt.Errorf("tftp: %d addresses are more than %d", len(addrs), maxEndpoints)
	}
	for i := range s.cfg.Workers {
		w, err := newWorker(s)
		if err != nil {
			return err
		}
		s.workers = append(s.workers, w)
		for _, addr := range addrs {
			addr = addr.Unmap()
			if i == 0 && left.find(addr, s.port) == nil {
				if err := s.exclusive(addr); err != nil {
					if optional && addr.Is6() && (errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL)) {
						s.cfg.Logger.Debug("no IPv6, TFTP serves IPv4 only")
						addrs = addrs[:1]
						continue
					}
					return err
				}
			}
			e, err := s.openEndpoint(left, addr)
			if err != nil {
				return err
			}
			if e == nil {
				continue
			}
			if err := w.listen(e); err != nil {
				return err
			}
			if s.port, err = e.port(); err != nil {
				return err
			}
		}
	}
	if s.cfg.SinglePort {
		return s.listenOn(left)
	}
	return nil
}

// openEndpoint opens sockets for addr, or goes on with a former process's. nil:
// the worker gets none. In single-port mode that process's number of sockets stays:
// with another, the kernel would find other workers for the transfers.
func (s *Server) openEndpoint(left *estate, addr netip.Addr) (*endpoint, error) {
	e, err := left.take(addr, s.port, &s.cfg)
	if e != nil || err != nil || s.cfg.SinglePort && left.served[addr] {
		return e, err
	}
	if e, err = openEndpoint(addr, s.port, &s.cfg); err == nil {
		left.enter(e)
	}
	return e, err
}

// exclusive makes sure that nobody else has the request port: SO_REUSEPORT
// would share it with any other process of our user, and half of the requests with it.
func (s *Server) exclusive(addr netip.Addr) error {
	fd, err := openSocket(addr, s.port, false)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// Serve answers clients until ctx ends (and Config.Grace has passed), then closes
// the server. It returns nil on such an end, or what made a worker fail. Call it once.
func (s *Server) Serve(ctx context.Context) error {
	if !s.state.CompareAndSwap(listening, serving) {
		return errors.New("tftp: server is closed or served already")
	}
	s.opener.start()
	s.prefetcher.start()
	s.reports.start()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var loops sync.WaitGroup
	errs := make([]error, len(s.workers))
	for i, w := range s.workers {
		loops.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			if errs[i] = w.run(); errs[i] != nil {
				cancel(errs[i])
			}
		})
	}
	<-ctx.Done()
	grace := s.cfg.Grace
	if s.lasting != nil {
		grace = 0
	}
	for _, w := range s.workers {
		w.order(func(w *worker) { w.beginStop(grace) })
	}
	loops.Wait()
	s.prefetcher.stop()
	s.aside.stop()
	s.followers.wait()
	s.opener.stop()
	s.reports.stop()
	s.state.Store(closed)
	s.closeWorkers()
	return errors.Join(errs...)
}

// Close closes a server that was never served. After Serve it does nothing.
func (s *Server) Close() error {
	if s.state.CompareAndSwap(listening, closed) {
		for _, w := range s.workers {
			w.table.each(func(id slotID, _ *slot) {
				if f := w.table.file(id); f != nil {
					f.Release()
				}
				if f := w.following[id]; f != nil {
					f.cancel()
				}
			})
		}
		s.aside.stop()
		s.followers.wait()
		s.closeWorkers()
	}
	return nil
}

func (s *Server) closeWorkers() {
	for _, w := range s.workers {
		w.close()
	}
	if s.state.Load() == listening {
		s.workers = nil // Listen tries again
	}
	if s.lasting != nil {
		if err := s.lasting.Close(); err != nil {
			s.cfg.Logger.Warn("closing the transfers' state", zap.Error(err))
		}
		s.lasting = nil
	}
}

// Port returns the port that takes requests.
func (s *Server) Port() int { return int(s.port) }

// SetRoot lets requests from now on find their files under root. Running
// transfers keep their files. The caller may close the old root at once.
func (s *Server) SetRoot(root *content.Root) { s.root.Store(root) }

// SetClients replaces Config.Clients for requests from now on. nil: everybody.
func (s *Server) SetClients(allowed func(netip.Addr) bool) {
	if allowed == nil {
		allowed = func(netip.Addr) bool { return true }
	}
	s.clients.Store(&allowed)
}

func (s *Server) allowed(a netip.Addr) bool { return (*s.clients.Load())(a) }

// clock returns the time for the state machines.
func (s *Server) clock() instant { return instant(time.Since(s.epoch)) }

// Stats returns the totals.
func (s *Server) Stats() Stats {
	st := Stats{Restored: s.restored, Lost: s.lost, Loads: s.prefetcher.loads.Load()}
	st.Active, st.Queued = s.ledger.counts()
	for _, w := range s.workers {
		w.counters.add(&st)
	}
	s.aside.add(&st)
	return st
}
