package metrics

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
	"golang.org/x/net/netutil"

	"github.com/xdpxe/xdpxe/responder/control"
)

const (
	maxConns = 64
	patience = 10 * time.Second // for a client to send its request or take our answer
	farewell = time.Second      // for answers under way when the daemon stops
)

// Server answers /metrics and /healthz by HTTP.
type Server struct {
	listener net.Listener
	server   *http.Server
}

// Listen opens the TCP address, as in the configuration's metrics.listen. The caller runs Serve.
func Listen(addr string, source Source, log *zap.Logger) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return &Server{
		listener: l,
		server: &http.Server{
			Handler:           Handler(source),
			ReadHeaderTimeout: patience,
			ReadTimeout:       patience,
			WriteTimeout:      patience,
			IdleTimeout:       patience * 12, // scrapers come back every 15 to 60 s
			MaxHeaderBytes:    8 << 10,
			ErrorLog:          zap.NewStdLog(log.Named("metrics")),
		},
	}, nil
}

// Addr returns the address that is listened on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close closes the listener, for a Server whose Serve never ran.
func (s *Server) Close() error { return s.listener.Close() }

// Serve answers until ctx ends.
func (s *Server) Serve(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- s.server.Serve(netutil.LimitListener(s.listener, maxConns)) }()
	select {
	case err := <-ended:
		if errors.Is(err, net.ErrClosed) { // Close
			return nil
		}
		return fmt.Errorf("metrics on %s: %w", s.listener.Addr(), err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if err := s.server.Shutdown(last); err != nil {
		s.server.Close()
	}
	<-ended
	return nil
}

// Handler serves /metrics, with the Go runtime's and the process's own metrics
// beside ours, and /healthz.
func Handler(source Source) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(NewCollector(source), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		st := source.Status()
		text, ok := health(&st)
		if !ok {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(w, text)
	})
	return mux
}

// health is bad when a worker hangs or nothing is served. An interface that is
// merely gone or down is the site's doing, and others may be served. A store that
// does not answer is said, but is no reason to start this server again: what it
// knows it goes on answering.
func health(st *control.Status) (text string, ok bool) {
	var b strings.Builder
	any, hung := false, false
	for i := range st.Interfaces {
		n := &st.Interfaces[i]
		state := n.State
		switch {
		case n.Serving():
			any = true
		case n.State == control.StateServing:
			hung = true
			state = "a worker hangs"
		}
		fmt.Fprintf(&b, "%s: %s\n", n.Name, state)
	}
	if st.TFTP.Hung > 0 {
		hung = true
		b.WriteString("tftp: a loop hangs\n")
	}
	kept := keptHealth(st)
	if ok = any && !hung; ok {
		return "ok\n" + kept, true
	}
	if b.Len() == 0 {
		b.WriteString("no interface\n")
	}
	return b.String() + kept, false
}

// keptHealth is a line for each thing beyond this host that is missed.
func keptHealth(st *control.Status) string {
	var b strings.Builder
	if s := st.Store; s != nil && !s.Available {
		what := "deployments for once are held back"
		if !s.Loaded {
			what = "rules with deployments answer nobody"
		}
		fmt.Fprintf(&b, "store: does not answer, %s\n", what)
	}
	if f := st.Fleet; f != nil && !f.Member {
		fmt.Fprintf(&b, "fleet: %s is no member\n", f.Name)
	}
	return b.String()
}
