package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

var _ Store = (*Etcd)(nil)

// EtcdConfig says where the etcd is and how to speak to it.
type EtcdConfig struct {
	Endpoints []string // http:// or https:// URLs, all alike
	Prefix    string   // of all keys; default /xdpxe/

	CA, Cert, Key  string // PEM files: whom to trust (default: whom the system does), and who we are
	User, Password string

	Timeout time.Duration // of a request; default 3 s
	Log     *zap.Logger   // what the client library has to say; default: nowhere
}

const (
	defaultPrefix  = "/xdpxe/"
	defaultTimeout = 3 * time.Second
	probeEvery     = 2 * time.Second // that Health is true also when nobody asks anything
)

// Etcd is a Store in an etcd (3.4 or newer) that servers have in common.
type Etcd struct {
	config clientv3.Config
	name   string // for messages
	prefix string // of items
	format string // the key with the format
	user   string
	within time.Duration

	life context.Context // until Close
	end  context.CancelFunc
	work sync.WaitGroup

	connecting chan struct{} // who has its one element makes the client
	mu         sync.Mutex
	client     *clientv3.Client // nil until somebody could log in
	fenced     bool             // the format is known to be ours
	cluster    uint64
	another    chan struct{} // closed when it is another cluster: what was read is worth nothing
	health     Health
}

// OpenEtcd checks the configuration. It does not wait for an etcd.
func OpenEtcd(c EtcdConfig) (*Etcd, error) {
	secret, err := c.tls()
	if err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	if err := c.check(secret != nil); err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	if c.Prefix == "" {
		c.Prefix = defaultPrefix
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	e := &Etcd{
		name:   "etcd " + strings.Join(c.Endpoints, ", "),
		prefix: c.Prefix + "items/", format: c.Prefix + "format",
		user: c.User, within: c.Timeout,
		connecting: make(chan struct{}, 1), another: make(chan struct{}),
		health: Health{Since: time.Now()},
	}
	e.life, e.end = context.WithCancel(context.Background())
	e.config = clientv3.Config{
		Endpoints: c.Endpoints, TLS: secret, Username: c.User, Password: c.Password,
		Context: e.life, Logger: c.Log,
		DialTimeout: c.Timeout, // of the login
		// A server that is gone without a word is found out, and one that is back is
		// found at once: changes are to come within a second.
		DialKeepAliveTime: 5 * time.Second, DialKeepAliveTimeout: c.Timeout,
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: minBackoff, Multiplier: 2, Jitter: 0.2, MaxDelay: maxBackoff / 2},
			MinConnectTimeout: c.Timeout,
		}), grpc.WithChainUnaryInterceptor(askAtOnce), grpc.WithChainStreamInterceptor(streamAtOnce)},
		// What only reads is tried again by the library, for a second at most.
		MaxUnaryRetries: 10, BackoffWaitBetween: 100 * time.Millisecond, BackoffJitterFraction: 0.1,
	}
	e.work.Go(e.probe)
	return e, nil
}

// The client library waits for a connection until the request's time is over,
// and then can only say so. At once it says what is wrong with the connection,
// such as a certificate.
func askAtOnce(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, ask grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return ask(ctx, method, req, reply, cc, append(opts, grpc.WaitForReady(false))...)
}

func streamAtOnce(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, stream grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return stream(ctx, desc, cc, method, append(opts, grpc.WaitForReady(false))...)
}

// check finds mistakes before an etcd does.
func (c *EtcdConfig) check(secret bool) error {
	if len(c.Endpoints) == 0 {
		return errors.New("no endpoints: give the URL of at least one server, such as https://etcd1.example:2379")
	}
	plain := 0
	for _, e := range c.Endpoints {
		u, err := url.Parse(e)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.User != nil {
			return fmt.Errorf("endpoint %q is no URL of a server, such as https://etcd1.example:2379", e)
		}
		if u.Scheme == "http" {
			plain++
			if ip := net.ParseIP(u.Hostname()); c.Password != "" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
				return fmt.Errorf("endpoint %q: the password would go over the network in clear: use https", e)
			}
		}
	}
	switch {
	case plain != 0 && plain != len(c.Endpoints):
		return errors.New("endpoints of http and https together: the client has one way for all of them")
	case plain != 0 && secret:
		return errors.New("certificates are given, but the endpoints are http: use https")
	case (c.User == "") != (c.Password == ""):
		return errors.New("a user and a password go together")
	case c.Prefix != "" && (!strings.HasPrefix(c.Prefix, "/") || !strings.HasSuffix(c.Prefix, "/")):
		return fmt.Errorf("prefix %q must begin and end with /, such as %s", c.Prefix, defaultPrefix)
	}
	return nil
}

// tls reads the files; nil without any.
func (c *EtcdConfig) tls() (*tls.Config, error) {
	if c.CA == "" && c.Cert == "" && c.Key == "" {
		return nil, nil
	}
	secret := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("CA: %w", err)
		}
		secret.RootCAs = x509.NewCertPool()
		if !secret.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("CA: %s has no certificate in PEM form", c.CA)
		}
	}
	if (c.Cert == "") != (c.Key == "") {
		return nil, errors.New("a certificate and its key go together")
	}
	if c.Cert != "" {
		if _, err := tls.LoadX509KeyPair(c.Cert, c.Key); err != nil {
			return nil, fmt.Errorf("certificate %s with key %s: %w", c.Cert, c.Key, err)
		}
		// Read for each connection: a renewed certificate needs no restart.
		cert, key := c.Cert, c.Key
		secret.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(cert, key)
			return &pair, err
		}
	}
	return secret, nil
}

// Close ends watches and requests. Leases go on until they run out; Revoke them first.
func (e *Etcd) Close() error {
	e.end()
	e.work.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.client == nil {
		return nil
	}
	err := e.client.Close()
	e.client = nil
	if errors.Is(err, context.Canceled) { // what it says after its context has ended
		err = nil
	}
	return err
}

// Health says since when the etcd answers, or why it does not. Without requests
// it is asked every 2 seconds.
func (e *Etcd) Health() Health {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.health
}

// probe looks at the format now and then.
func (e *Etcd) probe() {
	for {
		e.checkFormat(e.life) // takes down what it finds
		if !sleep(e.life, probeEvery) {
			return
		}
	}
}

// request is one question to the etcd. It returns the header of the answer.
type request func(context.Context, *clientv3.Client) (*etcdserverpb.ResponseHeader, error)

// do asks, within the time that a request may take, and takes down how it went.
func (e *Etcd) do(ctx context.Context, ask request) error {
	if e.life.Err() != nil {
		return fmt.Errorf("%s: %w", e.name, ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", e.name, err)
	}
	asking, cancel := context.WithTimeout(ctx, e.within)
	defer cancel()
	defer context.AfterFunc(e.life, cancel)()
	client, err := e.connect(asking)
	var header *etcdserverpb.ResponseHeader
	if err == nil {
		header, err = ask(asking, client)
	}
	switch {
	case err == nil:
		e.answered(header)
		return nil
	case e.life.Err() != nil:
		return fmt.Errorf("%s: %w", e.name, ErrClosed)
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", e.name, ctx.Err())
	}
	err = e.explain(err)
	if errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNewer) || errors.Is(err, ErrForeign) {
		e.failed(err)
	}
	return err
}

// connect returns the client. To make one with a password is to log in, which
// needs an etcd; one does it and the others wait.
func (e *Etcd) connect(ctx context.Context) (*clientv3.Client, error) {
	select {
	case e.connecting <- struct{}{}:
		defer func() { <-e.connecting }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	e.mu.Lock()
	client := e.client
	e.mu.Unlock()
	if client != nil {
		return client, nil
	}
	client, err := clientv3.New(e.config)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.life.Err() != nil {
		client.Close()
		return nil, e.life.Err()
	}
	e.client = client
	return client, nil
}

// answered notes that the etcd is there, and whether it is the one that it was.
func (e *Etcd) answered(header *etcdserverpb.ResponseHeader) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.health.Err != nil {
		e.health = Health{Since: time.Now()}
	}
	if header == nil || header.ClusterId == e.cluster {
		return
	}
	if e.cluster != 0 {
		e.fenced = false
		close(e.another)
		e.another = make(chan struct{})
	}
	e.cluster = header.ClusterId
}

func (e *Etcd) failed(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.health.Err == nil {
		e.health.Since = time.Now()
	}
	e.health.Err = err
}
