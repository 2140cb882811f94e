package api

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/history"
)

// follow reads the events of a path until the test ends.
func (c *client) follow(path string) *bufio.Scanner {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), "GET", c.base+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), ":") {
		c.t.Fatalf("the stream begins with %q: %v", lines.Text(), lines.Err())
	}
	return lines
}

// until reads lines until one has the text.
func until(t *testing.T, lines *bufio.Scanner, text string) string {
	t.Helper()
	for lines.Scan() {
		if strings.Contains(lines.Text(), text) {
			return lines.Text()
		}
	}
	t.Fatalf("%q never came: %v", text, lines.Err())
	return ""
}

// remark is something that happens to a machine.
func remark(h History, machine deploy.Identity, text string) {
	h.(*history.History).Note(&history.Remark{Client: deploy.Client{MAC: machine.Bytes()}, Text: text}, time.Now())
}

// TestEvents: what happens is told as it happens, of all machines or of one.
func TestEvents(t *testing.T) {
	c, _ := catalogue(t, deploy.Limits{})
	o := options(c)
	a := socket(t, New(o))
	all, one := a.follow("/v1/events"), a.follow("/v1/events?machine="+macB)
	remark(o.History, identity(t, macA), "first")
	remark(o.History, identity(t, macB), "second")
	if line := until(t, all, "first"); !strings.Contains(line, macA) {
		t.Errorf("%s does not name the machine", line)
	}
	until(t, all, "second")
	if line := until(t, one, "data:"); !strings.Contains(line, "second") {
		t.Errorf("of one machine: %s", line)
	}
}

// TestReaderThatStops: one who does not read holds up nobody, and is told how
// much was dropped once it reads again.
func TestReaderThatStops(t *testing.T) {
	c, _ := catalogue(t, deploy.Limits{})
	o := options(c)
	h := New(o)
	server, reader := net.Pipe() // no buffer: each write waits for the reader
	defer reader.Close()
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	w := &pipeWriter{Conn: server, head: make(http.Header)}
	req, err := http.NewRequestWithContext(context.WithValue(ctx, callerKey{}, "ann"), "GET", "/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		h.ServeHTTP(w, req)
		close(ended)
	}()
	lines := bufio.NewScanner(reader)
	lines.Scan() // it has begun
	a := socket(t, h)
	other := a.follow("/v1/events")
	for i := range 4000 {
		remark(o.History, identity(t, macA), "noise "+strings.Repeat("x", i%7))
	}
	remark(o.History, identity(t, macB), "the last")
	until(t, other, "event: ") // who reads is served
	until(t, lines, "event: dropped")
	cancel()
	go func() {
		for lines.Scan() {
		}
	}()
	<-ended
}

// pipeWriter writes a handler's answer to a connection.
type pipeWriter struct {
	net.Conn
	head http.Header
}

func (w *pipeWriter) Header() http.Header { return w.head }
func (w *pipeWriter) WriteHeader(int)     {}
func (w *pipeWriter) Flush()              {}
