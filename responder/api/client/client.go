// Package client asks a daemon's API (package api): through its control socket,
// or by https with a token or a certificate.
//
// Errors that the daemon tells are *api.Problem, wrapped with where they come
// from; that nobody answers on the socket is control.ErrNoDaemon.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/control"
	"github.com/xdpxe/xdpxe/responder/store"
)

const (
	dialTimeout = 10 * time.Second
	maxAnswer   = 64 << 20 // bytes that are read of one answer
	maxProblem  = 1 << 20
)

// Config says where the daemon is. URL goes before Socket.
type Config struct {
	Socket    string // path of the control socket; empty: control.DefaultPath
	URL       string // https://HOST:PORT
	Token     string // by https
	CA        string // file of the authorities to trust; empty: the system's
	Cert, Key string // files of a client certificate
}

// Client asks one daemon.
type Client struct {
	http  *http.Client
	base  string // of URLs
	where string // for messages
	token string
}

// New returns a client. It connects when it is used.
func New(c Config) (*Client, error) {
	if c.URL == "" {
		return overSocket(c.Socket), nil
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, fmt.Errorf("%q is no URL of an API, as in https://boot1.example.net:8443", c.URL)
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate in PEM", c.CA)
		}
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, err
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	d := net.Dialer{Timeout: dialTimeout}
	tr := &http.Transport{DialContext: d.DialContext, TLSClientConfig: conf, TLSHandshakeTimeout: dialTimeout, Proxy: http.ProxyFromEnvironment}
	return &Client{http: &http.Client{Transport: tr, CheckRedirect: stay}, base: "https://" + u.Host, where: "https://" + u.Host, token: c.Token}, nil
}

func overSocket(path string) *Client {
	if path == "" {
		path = control.DefaultPath
	}
	d := net.Dialer{Timeout: dialTimeout}
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d.DialContext(ctx, "unix", path)
	}}
	return &Client{http: &http.Client{Transport: tr, CheckRedirect: stay}, base: "http://xdpxe", where: "control socket " + path}
}

// stay follows no redirection: the API has none, and a token is for one host.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Close closes connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call is one request.
type call struct {
	method string
	path   string // escaped, below /v1
	query  url.Values
	body   any       // as JSON; nil: none
	rev    store.Rev // If-Match; 0: whatever it is
}

// do asks and reads the answer into out, if it is not nil.
func (c *Client) do(ctx context.Context, call call, out any) error {
	resp, err := c.send(ctx, call)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
		return fmt.Errorf("%s: %s %s: %w", c.where, call.method, call.path, err)
	}
	return nil
}

// send asks; the answer is one of 2xx.
func (c *Client) send(ctx context.Context, call call) (*http.Response, error) {
	var body io.Reader
	if call.body != nil {
		b, err := json.Marshal(call.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	target := c.base + "/v1" + call.path
	if len(call.query) > 0 {
		target += "?" + call.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, call.method, target, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if call.rev != 0 {
		req.Header.Set("If-Match", `"`+strconv.FormatInt(int64(call.rev), 10)+`"`)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("%s: %w", c.where, control.ErrNoDaemon)
	case err != nil:
		if u := (*url.Error)(nil); errors.As(err, &u) {
			err = u.Err
		}
		return nil, fmt.Errorf("%s: %w", c.where, err)
	case resp.StatusCode/100 != 2:
		defer resp.Body.Close()
		return nil, fmt.Errorf("%s: %w", c.where, problem(resp))
	}
	return resp, nil
}

// problem reads what the daemon says; an older one, or a proxy, says it in text.
func problem(resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	p := &api.Problem{}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") && json.Unmarshal(body, p) == nil && p.Detail != "" {
		return p
	}
	text := strings.TrimSpace(string(body[:min(len(body), 1<<10)]))
	return &api.Problem{Status: resp.StatusCode, Title: resp.Status, Detail: strings.TrimSpace(resp.Status + ": " + text)}
}
