package config

import (
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/xdpxe/xdpxe/responder/hook"
)

// Webhook is an outside program that says what machines boot.
type Webhook struct {
	URL        string // http://…, https://…, or unix:/path of a socket
	Deadline   time.Duration
	Lifetime   time.Duration // of an answer that names none
	Retry      time.Duration // how long a failure counts as the answer
	OnFailure  string        // FailClosed or FailOpen
	Concurrent int           // questions out at a time
}

// Values of Webhook.OnFailure.
const (
	FailClosed = "closed" // silence
	FailOpen   = "open"   // the rules go on
)

func (r *reader) webhooks(dst *map[string]Webhook) setter {
	return func(n ast.Node, path string) {
		r.pairs(n, path, func(name string, at place, path string, n ast.Node) {
			w := Webhook{Deadline: 3 * time.Second, Lifetime: time.Minute, Retry: 5 * time.Second, OnFailure: FailClosed, Concurrent: 1024}
			mistakes := len(r.errs)
			r.keys(n, path, map[string]setter{
				"url":        r.hookURL(&w.URL),
				"deadline":   r.duration(&w.Deadline, 10*time.Millisecond, time.Minute),
				"lifetime":   r.duration(&w.Lifetime, time.Second, 24*time.Hour),
				"retry":      r.duration(&w.Retry, 100*time.Millisecond, time.Hour),
				"on-failure": r.oneOf(&w.OnFailure, FailClosed, FailOpen),
				"concurrent": r.number(&w.Concurrent, 1, 65536),
			})
			if w.URL == "" && len(r.errs) == mistakes {
				r.fail(at, "url: http://HOST/… or unix:/PATH", "%s: no url to ask", path)
			}
			if *dst == nil {
				*dst = make(map[string]Webhook)
			}
			(*dst)[name] = w
		})
	}
}

func (r *reader) hookURL(dst *string) setter {
	return r.value(func(s string) (string, string) {
		if err := hook.CheckURL(s); err != nil {
			return err.Error(), "as in http://cmdb.example/boot or unix:/run/cmdb.sock"
		}
		*dst = s
		return "", ""
	})
}
