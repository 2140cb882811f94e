package apitest

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"testing"
)

// Checker is a handler with a document beside it. Each mistake fails the test.
type Checker struct {
	t       testing.TB
	d       *Document
	handler http.Handler
}

// Check wraps a handler.
func Check(t testing.TB, d *Document, handler http.Handler) *Checker {
	return &Checker{t: t, d: d, handler: handler}
}

func (c *Checker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var sent bytes.Buffer
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.TeeReader(r.Body, &sent), r.Body}
	rec := &recorder{ResponseWriter: w, status: http.StatusOK}
	c.handler.ServeHTTP(rec, r)
	if err := c.check(r, &sent, rec); err != nil {
		c.t.Errorf("%v\n%s", err, clip(rec.body.String()))
	}
}

func clip(text string) string { return text[:min(len(text), 2000)] }

func (c *Checker) check(r *http.Request, sent *bytes.Buffer, rec *recorder) error {
	kind, _, _ := mime.ParseMediaType(rec.Header().Get("Content-Type"))
	op := c.d.lookup(r.Method, r.URL.Path)
	if op == nil {
		if kind != "application/problem+json" || rec.status/100 != 4 {
			return fmt.Errorf("%s %s is not in the document and has status %d, type %s", r.Method, r.URL.Path, rec.status, kind)
		}
		return c.d.Check(c.d.Schema("Problem"), rec.body.Bytes())
	}
	c.d.note(op, rec.status)
	if err := op.answer(rec.status, kind, rec.body.Bytes()); err != nil {
		return err
	}
	if schema := op.body(); schema != nil && rec.status/100 == 2 && strings.TrimSpace(sent.String()) != "" {
		if err := c.d.Check(schema, sent.Bytes()); err != nil {
			return fmt.Errorf("%s: a body that the document does not allow was taken: %w", op, err)
		}
	}
	return nil
}

// recorder keeps what it passes on, but for streams.
type recorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.Header().Get("Content-Type") != "text/event-stream" {
		r.body.Write(b)
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
