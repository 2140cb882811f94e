package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	maxHeader = 16 << 10
	idle      = time.Minute     // of a connection between requests
	farewell  = 2 * time.Second // for answers under way when the daemon stops
	minToken  = 16              // characters
	maxToken  = 512
)

// Config says where a Server listens, and whom it believes. Of TokenFile and
// ClientCA at least one is needed.
type Config struct {
	Listen    string // HOST:PORT
	Cert, Key string // files in PEM
	ClientCA  string // file in PEM: the authorities of clients' certificates
	TokenFile string
	Log       *zap.Logger
}

// Server answers on TCP, by TLS.
type Server struct {
	config   Config
	handler  http.Handler
	listener net.Listener
	keys     atomic.Pointer[keys]
}

// keys are what the files have.
type keys struct {
	tls   *tls.Config
	token [sha256.Size]byte // its sum
	has   bool              // there is one
}

// Listen opens the address and reads the files. The caller runs Serve.
func Listen(c Config, handler http.Handler) (*Server, error) {
	// A browser shows its certificate to us whichever page has it ask.
	foreign := http.NewCrossOriginProtection()
	foreign.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p := problem(http.StatusForbidden, CodeForbidden, "a browser asks this for a page of another site")
		write(w, p.Status, "application/problem+json", p)
	}))
	s := &Server{config: c, handler: foreign.Handler(handler)}
	if err := s.Reload(); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	s.listener = l
	return s, nil
}

// Addr returns the address that is listened on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close closes the listener, for a Server whose Serve never ran.
func (s *Server) Close() error { return s.listener.Close() }

// Reload reads the files anew, for connections and requests from now on. After
// an error all is as it was.
func (s *Server) Reload() error {
	k, err := readKeys(&s.config)
	if err != nil {
		return fmt.Errorf("api: %w", err)
	}
	s.keys.Store(k)
	return nil
}

func readKeys(c *Config) (*keys, error) {
	if c.TokenFile == "" && c.ClientCA == "" {
		return nil, errors.New("neither a token nor a client-ca: nobody could use it")
	}
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", c.Cert, c.Key, err)
	}
	k := &keys{tls: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}}
	if c.ClientCA != "" {
		pem, err := os.ReadFile(c.ClientCA)
		if err != nil {
			return nil, fmt.Errorf("client-ca: %w", err)
		}
		k.tls.ClientCAs = x509.NewCertPool()
		if !k.tls.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("client-ca: %s has no certificate in PEM", c.ClientCA)
		}
		// Installers that call back have none.
		k.tls.ClientAuth = tls.VerifyClientCertIfGiven
	}
	if c.TokenFile != "" {
		token, err := readToken(c.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("token-file: %w", err)
		}
		k.token, k.has = sha256.Sum256(token), true
	}
	return k, nil
}

// readToken reads a file with one line.
func readToken(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("everybody on this machine may read or write %s: chmod 0640 %s", path, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	token := bytes.TrimSpace(text)
	if len(token) < minToken || len(token) > maxToken || bytes.ContainsAny(token, " \t\r\n") {
		return nil, fmt.Errorf("%s must have one line of %d to %d characters without spaces: openssl rand -hex 32 >%s", path, minToken, maxToken, path)
	}
	return token, nil
}

// Serve answers until ctx ends.
func (s *Server) Serve(ctx context.Context) error {
	hs := &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		ReadHeaderTimeout: patience, // and of the TLS handshake
		IdleTimeout:       idle,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          zap.NewStdLog(s.config.Log.Named("http")),
	}
	outer := &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.keys.Load().tls, nil }}
	ended := make(chan error, 1)
	go func() { ended <- hs.Serve(tls.NewListener(limit(s.listener, maxConns, maxConnsEach), outer)) }()
	select {
	case err := <-ended:
		if errors.Is(err, net.ErrClosed) { // Close
			return nil
		}
		return fmt.Errorf("api on %s: %w", s.listener.Addr(), err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if err := hs.Shutdown(last); err != nil {
		hs.Close()
	}
	<-ended
	return nil
}

// serve finds out who asks, and leaves it to the handler what they may.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	ctx := context.WithValue(r.Context(), callerKey{}, s.caller(r))
	s.handler.ServeHTTP(w, r.WithContext(ctx))
}

func (s *Server) caller(r *http.Request) string {
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		// A connection outlives the certificate's last moment.
		if leaf := r.TLS.PeerCertificates[0]; !time.Now().After(leaf.NotAfter) {
			return certificateName(leaf)
		}
	}
	// Of two sums, so that the comparison tells neither length nor place.
	k, sum := s.keys.Load(), sha256.Sum256([]byte(bearer(r)))
	if subtle.ConstantTimeCompare(sum[:], k.token[:]) == 1 && k.has {
		return "token"
	}
	return ""
}

// certificateName is who a client's certificate says it is.
func certificateName(c *x509.Certificate) string {
	if c.Subject.CommonName != "" {
		return c.Subject.CommonName
	}
	return "certificate " + c.SerialNumber.Text(16)
}

// bearer is the token that a request shows (RFC 6750 §2.1).
func bearer(r *http.Request) string {
	kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(kind, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
