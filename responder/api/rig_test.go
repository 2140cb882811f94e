package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/responder/api/apitest"
	"github.com/xdpxe/xdpxe/responder/control"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/fleet"
	"github.com/xdpxe/xdpxe/responder/history"
	"github.com/xdpxe/xdpxe/responder/store"
)

const (
	macA  = "52:54:00:00:00:0a"
	macB  = "52:54:00:00:00:0b"
	uuidA = "4c4c4544-0044-4810-8031-b4c04f4a4e31"
)

func identity(t testing.TB, text string) deploy.Identity {
	t.Helper()
	id, err := deploy.ParseIdentity(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// flaky is a bbolt file that can be away.
type flaky struct {
	store.Store
	gone atomic.Bool
}

var errGone = fmt.Errorf("no route to it: %w", store.ErrUnavailable)

func (f *flaky) Get(ctx context.Context, key string) (store.Item, bool, error) {
	if f.gone.Load() {
		return store.Item{}, false, errGone
	}
	return f.Store.Get(ctx, key)
}

func (f *flaky) Bulk(ctx context.Context, txns []store.Txn) []store.Result {
	if !f.gone.Load() {
		return f.Store.Bulk(ctx, txns)
	}
	results := make([]store.Result, len(txns))
	for i := range results {
		results[i].Err = errGone
	}
	return results
}

// catalogue runs one on a file until the test ends.
func catalogue(t testing.TB, limits deploy.Limits) (*deploy.Catalogue, *flaky) {
	t.Helper()
	bolt, err := store.OpenBolt(context.Background(), filepath.Join(t.TempDir(), "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	s := &flaky{Store: bolt}
	c := deploy.New(deploy.Config{Store: s, Limits: limits})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
		if err := bolt.Close(); err != nil {
			t.Error(err)
		}
	})
	<-c.Ready()
	return c, s
}

var described = sync.OnceValues(func() (*apitest.Document, error) { return apitest.Parse(document) })

// checked is a handler whose answers are held against the document.
func checked(t testing.TB, o Options) http.Handler {
	t.Helper()
	d, err := described()
	if err != nil {
		t.Fatal(err)
	}
	return apitest.Check(t, d, New(o))
}

// options are those of a daemon on its own, with three profiles.
func options(c *deploy.Catalogue) Options {
	return Options{
		Catalogue: c,
		Tokens:    &Tokens{},
		Profiles: func() []Profile {
			return []Profile{{Name: "linux", Files: map[string]string{"x64-uefi": "linux/shim.efi"}, Allow: []string{"linux/*"}},
				{Name: "memtest", Files: map[string]string{"bios": "memtest.0"}}, {Name: "winpe", Files: map[string]string{"ipxe": "winpe.ipxe"}}}
		},
		Self:    func() fleet.Member { return fleet.Member{Name: "boot1", Addresses: []string{"192.0.2.1"}} },
		History: history.New(history.Config{}),
		Explain: func(q Query) (*Explanation, error) {
			if q.MAC == "" {
				return nil, &deploy.Invalid{Field: "mac", Msg: "is missing"}
			}
			return &Explanation{Reason: "nothing_deployed", Rule: q.Arch, Steps: []Step{{"rule racks", true, "matches"}}}, nil
		},
	}
}

// client asks a handler by a real connection.
type client struct {
	t    testing.TB
	http *http.Client
	base string
	head http.Header // of each request
}

// socket serves a handler on a control socket until the test ends.
func socket(t testing.TB, h http.Handler) *client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "control.sock")
	s, err := control.Listen(path, control.Options{Handler: h, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	serve(t, s.Serve)
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &client{t: t, http: &http.Client{Transport: tr}, base: "http://xdpxe"}
}

func serve(t testing.TB, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// reply is an answer.
type reply struct {
	status int
	header http.Header
	body   string
}

// ask sends a request; body is JSON text, or empty. Headers are "Name: value".
func (c *client) ask(method, path, body string, headers ...string) reply {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for name, values := range c.head {
		req.Header[name] = values
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(text)}
}

// want fails unless the answer has the status and has all texts in its body.
func (c *client) want(r reply, status int, texts ...string) reply {
	c.t.Helper()
	if r.status != status {
		c.t.Errorf("status %d, want %d: %s", r.status, status, r.body)
	}
	for _, text := range texts {
		if !strings.Contains(r.body, text) {
			c.t.Errorf("%q is not in %s", text, r.body)
		}
	}
	return r
}

// read is an answer's body.
func read[T any](t testing.TB, r reply) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	return v
}

// direct asks a handler without a connection; by is the caller, empty: nobody.
func direct(h http.Handler, by, method, path, body string, headers ...string) reply {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	if by != "" {
		req = req.WithContext(context.WithValue(req.Context(), callerKey{}, by))
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return reply{w.Code, w.Header(), w.Body.String()}
}

func write0600(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
