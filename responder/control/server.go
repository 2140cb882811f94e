// Package control is the daemon's unix socket: HTTP, JSON and pcap.
//
//	GET /v1/status                    Status as JSON
//	GET /v1/capture?iface=NAME        what that interface receives and answers, as nanosecond pcap, until the client half-closes
//	/v1/…                             Options.Handler
//
// Errors are plain text with a status code, but for the handler's. Who may open
// the socket may use all of it: its mode and group are the guard. User says who
// that was.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/netutil"
)

const (
	maxConns    = 64
	maxCaptures = 4
	patience    = 10 * time.Second // for a client to send its request or take our answer
	farewell    = 2 * time.Second  // for answers under way when the daemon stops
	// transfersWait is for the TFTP loops to tell their transfers: a status that
	// waits for one that hangs would hide just that.
	transfersWait = time.Second
)

// Options says what the server shows.
type Options struct {
	Source  Source
	Tap     Tap          // nil: no captures
	Handler http.Handler // the rest of /v1/; nil: there is none
	Mode    fs.FileMode  // of the socket; 0: DefaultMode
	Group   string       // that the socket belongs to; empty: the daemon's
	Logger  *zap.Logger
}

// DefaultMode lets the socket's owner and group use it.
const DefaultMode fs.FileMode = 0o660

// Server answers on the control socket.
type Server struct {
	opts     Options
	listener *net.UnixListener
	captures atomic.Int32
	drops    atomic.Uint64
}

// Serve answers until ctx ends, then closes and removes the socket.
func (s *Server) Serve(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", s.status)
	mux.HandleFunc("GET /v1/capture", s.capture)
	if s.opts.Handler != nil {
		mux.Handle("/v1/", s.opts.Handler)
	}
	hs := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: patience,
		IdleTimeout:       patience,
		MaxHeaderBytes:    8 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       withUser,
		ErrorLog:          zap.NewStdLog(s.opts.Logger.Named("http")),
	}
	ended := make(chan error, 1)
	go func() { ended <- hs.Serve(netutil.LimitListener(userListener{s.listener}, maxConns)) }()
	select {
	case err := <-ended:
		if errors.Is(err, net.ErrClosed) { // Close
			return nil
		}
		return fmt.Errorf("control socket %s: %w", s.listener.Addr(), err)
	case <-ctx.Done():
	}
	// Captures see the end of ctx too and finish their stream.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if err := hs.Shutdown(last); err != nil {
		hs.Close()
	}
	<-ended
	return nil
}

// Close closes and removes the socket, for a Server whose Serve never ran.
func (s *Server) Close() error { return s.listener.Close() }

// Status returns the daemon's state, the server's own counters included, but
// for the running transfers.
func (s *Server) Status() Status {
	st := s.opts.Source.Snapshot()
	st.CaptureDrops = s.drops.Load()
	return st
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	st := s.Status()
	ctx, cancel := context.WithTimeout(r.Context(), transfersWait)
	defer cancel()
	st.TFTP.Transfers = s.opts.Source.Transfers(ctx)
	body, err := json.MarshalIndent(&st, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	extend(w)
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(body, '\n'))
}

// extend gives the client another while to take what is written next.
func extend(w http.ResponseWriter) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience))
}
