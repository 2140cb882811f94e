package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// DefaultPath is where daemon and tools meet if nothing else is configured.
const DefaultPath = "/run/xdpxe/control.sock"

// ErrNoDaemon is wrapped when nobody answers on the socket.
var ErrNoDaemon = errors.New("no daemon answers there")

// maxStatus bounds what a client reads of a Status, in bytes.
const maxStatus = 64 << 20

// Client asks a daemon through its control socket.
type Client struct{ path string }

// NewClient returns a Client for the socket at path. It connects for each question.
func NewClient(path string) *Client { return &Client{path} }

// Status returns the daemon's state.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	body, err := c.StatusJSON(ctx)
	if err != nil {
		return nil, err
	}
	st := new(Status)
	if err := json.Unmarshal(body, st); err != nil {
		return nil, fmt.Errorf("control socket %s: status: %w", c.path, err)
	}
	return st, nil
}

// StatusJSON returns the daemon's state as it sent it: a newer daemon's fields too.
func (c *Client) StatusJSON(ctx context.Context) ([]byte, error) {
	resp, _, err := c.get(ctx, "/v1/status")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxStatus))
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", c.path, err)
	}
	return body, nil
}

// Capture starts a capture on one of the daemon's interfaces. ctx ends it at
// once; Stop ends it in order.
func (c *Client) Capture(ctx context.Context, iface string) (*Capture, error) {
	resp, conn, err := c.get(ctx, "/v1/capture?iface="+url.QueryEscape(iface))
	if err != nil {
		return nil, err
	}
	return &Capture{resp: resp, conn: conn}, nil
}

// get asks on a connection of its own, which it returns for what HTTP has no words for.
func (c *Client) get(ctx context.Context, target string) (*http.Response, *net.UnixConn, error) {
	var conn *net.UnixConn
	tr := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			nc, err := d.DialContext(ctx, "unix", c.path)
			if err != nil {
				return nil, err
			}
			conn = nc.(*net.UnixConn)
			return nc, nil
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://xdpxe"+target, nil)
	if err != nil {
		return nil, nil, err
	}
	resp, err := tr.RoundTrip(req)
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED):
		return nil, nil, fmt.Errorf("control socket %s: %w", c.path, ErrNoDaemon)
	case err != nil:
		return nil, nil, fmt.Errorf("control socket %s: %w", c.path, err)
	case resp.StatusCode != http.StatusOK:
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return nil, nil, fmt.Errorf("control socket %s: %s", c.path, strings.TrimSpace(string(text)))
	}
	return resp, conn, nil
}

// Capture is a running capture: a pcap stream.
type Capture struct {
	resp *http.Response
	conn *net.UnixConn
	stop sync.Once
}

// Read reads the pcap stream; io.EOF after the last frame.
func (c *Capture) Read(b []byte) (int, error) { return c.resp.Body.Read(b) }

// Stop asks the daemon to end the capture: Read returns what was captured
// until then, then io.EOF. Safe from any goroutine.
func (c *Capture) Stop() { c.stop.Do(func() { c.conn.CloseWrite() }) }

// Dropped returns how many frames the capture could not keep up with, once
// Read has returned io.EOF; false if the daemon ended before it could say so.
func (c *Capture) Dropped() (uint64, bool) {
	n, err := strconv.ParseUint(c.resp.Trailer.Get(droppedTrailer), 10, 64)
	return n, err == nil
}

// Close ends the capture.
func (c *Capture) Close() error { return c.resp.Body.Close() }
