package api

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/responder/control"
	"github.com/xdpxe/xdpxe/responder/policy"
)

const (
	patience = 10 * time.Second // for a client to send its request or take our answer
	// deadline is for one request: a write to the store takes at most that.
	deadline      = 15 * time.Second
	bulkDeadline  = time.Minute      // of a body of many megabytes too
	drainDeadline = 20 * time.Second // the others' time to hear it, and some for the store
	retryAfter    = "5"              // seconds, of what may go better then
)

//go:embed openapi.json
var document []byte

// api answers requests.
type api struct {
	o           Options
	subscribers atomic.Int32
	bulks       chan struct{} // a place for each large body
}

// route is one method of one path.
type route struct {
	method   string
	path     string
	params   []string // of the query
	open     bool     // handle itself says who may
	deadline time.Duration
	handle   func(*api, http.ResponseWriter, *http.Request) error
}

var pageParams = []string{"after", "limit"}

var routes = []route{
	{method: "GET", path: "/v1/openapi.json", handle: (*api).document},

	{method: "GET", path: "/v1/deployments", params: append([]string{"state", "machine", "group", "profile"}, pageParams...), handle: (*api).deployments},
	{method: "POST", path: "/v1/deployments", deadline: bulkDeadline, handle: (*api).create},
	{method: "GET", path: "/v1/deployments/{id}", handle: (*api).deployment},
	{method: "DELETE", path: "/v1/deployments/{id}", handle: (*api).deleteDeployment},
	{method: "POST", path: "/v1/deployments/{id}/cancel", handle: (*api).cancel},
	{method: "POST", path: "/v1/deployments/{id}/arm", handle: (*api).arm},
	{method: "POST", path: "/v1/deployments/{id}/callback", params: []string{"token"}, open: true, handle: (*api).callback},
	{method: "GET", path: "/v1/deployments/{id}/machines", params: pageParams, handle: (*api).runs},

	{method: "GET", path: "/v1/machines", params: append([]string{"state", "group"}, pageParams...), handle: (*api).machines},
	{method: "GET", path: "/v1/machines/{id}", handle: (*api).machine},
	{method: "PATCH", path: "/v1/machines/{id}", handle: (*api).describe},
	{method: "DELETE", path: "/v1/machines/{id}", handle: (*api).forget},
	{method: "POST", path: "/v1/machines/{id}/approve", handle: (*api).approve},

	{method: "GET", path: "/v1/ignored", params: pageParams, handle: (*api).ignored},
	{method: "PUT", path: "/v1/ignored/{pattern}", handle: (*api).ignore},
	{method: "DELETE", path: "/v1/ignored/{pattern}", handle: (*api).unignore},

	{method: "GET", path: "/v1/groups", params: pageParams, handle: (*api).groups},
	{method: "GET", path: "/v1/groups/{name}", handle: (*api).group},
	{method: "PUT", path: "/v1/groups/{name}", handle: (*api).putGroup},
	{method: "DELETE", path: "/v1/groups/{name}", handle: (*api).deleteGroup},
	{method: "GET", path: "/v1/groups/{name}/members", params: pageParams, handle: (*api).groupMembers},
	{method: "POST", path: "/v1/groups/{name}/members", deadline: bulkDeadline, handle: (*api).changeMembers},

	{method: "GET", path: "/v1/profiles", handle: (*api).profiles},
	{method: "GET", path: "/v1/members", handle: (*api).members},
	{method: "POST", path: "/v1/members/self/drain", deadline: drainDeadline, handle: (*api).drain},
	{method: "POST", path: "/v1/members/self/resume", deadline: drainDeadline, handle: (*api).resume},

	{method: "GET", path: "/v1/events", params: []string{"machine"}, deadline: forever, handle: (*api).events},
	{method: "GET", path: "/v1/explain", params: queryParams(), handle: (*api).explain},
}

// forever is until the client or the daemon ends it; each write has its deadline.
const forever = time.Duration(-1)

func queryParams() (names []string) {
	for _, f := range new(Query).fields() {
		names = append(names, f.name)
	}
	return names
}

// New returns the handler of everything below /v1/ that the package has. A
// request needs a caller: of the control socket, or one that a Server knows.
func New(o Options) http.Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	a := &api{o: o, bulks: make(chan struct{}, maxBulks)}
	mux := http.NewServeMux()
	allowed := make(map[string][]string)
	for _, rt := range routes {
		if rt.deadline == 0 {
			rt.deadline = deadline
		}
		mux.HandleFunc(rt.method+" "+rt.path, func(w http.ResponseWriter, r *http.Request) { a.serve(&rt, w, r) })
		allowed[rt.path] = append(allowed[rt.path], rt.method)
	}
	for path, methods := range allowed {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", strings.Join(methods, ", "))
			a.fail(w, r, problem(http.StatusMethodNotAllowed, CodeNotAllowed, r.Method+" is none of "+strings.Join(methods, ", ")))
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.fail(w, r, problem(http.StatusNotFound, CodeNotFound, "there is nothing at this path: /v1/openapi.json describes what there is"))
	})
	return mux
}

// serve does what all routes have in common.
func (a *api) serve(rt *route, w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	if rt.deadline > 0 {
		ctx, cancel := context.WithTimeout(r.Context(), rt.deadline)
		defer cancel()
		r = r.WithContext(ctx)
		rc.SetReadDeadline(time.Now().Add(rt.deadline))
	}
	rc.SetWriteDeadline(time.Now().Add(max(rt.deadline, 0) + patience))
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if !rt.open && caller(r) == "" {
		a.fail(w, r, unauthorized("this needs the API's token, as in Authorization: Bearer TOKEN, or a client certificate"))
		return
	}
	if err := checkParams(rt.params, r); err != nil {
		a.fail(w, r, err)
		return
	}
	if err := rt.handle(a, w, r); err != nil {
		a.fail(w, r, err)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		a.o.Log.Info("changed by the API", zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.String("by", caller(r)))
	}
}

// checkParams refuses parameters that a route does not have: a filter with a
// slip in its name would show everything.
func checkParams(known []string, r *http.Request) error {
	q := r.URL.Query()
	for name, values := range q {
		switch {
		case !slices.Contains(known, name):
			msg := "no such parameter here"
			if near := policy.Suggest(name, known); near != "" {
				msg += ": did you mean " + near + "?"
			}
			return badParam(name, msg)
		case len(values) > 1:
			return badParam(name, "is given more than once")
		}
	}
	return nil
}

func badParam(name, msg string) *Problem {
	p := problem(http.StatusBadRequest, CodeInvalid, "the request has a mistake")
	p.Errors = []FieldError{{name, msg}}
	return p
}

func unauthorized(detail string) *Problem {
	return problem(http.StatusUnauthorized, CodeUnauthorized, detail)
}

// fail tells an error.
func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err, r.Header.Get("If-Match") != "")
	switch p.Status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="xdpxe"`)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", retryAfter)
	case http.StatusInternalServerError:
		a.o.Log.Error("API", zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.Error(err))
	}
	write(w, p.Status, "application/problem+json", p)
}

// answer writes a body as JSON.
func answer(w http.ResponseWriter, status int, body any) error {
	write(w, status, "application/json", body)
	return nil
}

func write(w http.ResponseWriter, status int, kind string, body any) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil { // a time outside of the years that JSON has
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience))
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(buf.Len()))
	w.WriteHeader(status)
	w.Write(buf.Bytes())
}

func noContent(w http.ResponseWriter) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type callerKey struct{}

// caller says who makes a request; empty: nobody who may.
func caller(r *http.Request) string {
	if name, ok := r.Context().Value(callerKey{}).(string); ok {
		return name
	}
	return control.User(r.Context())
}

func (a *api) document(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	w.Write(document)
	return nil
}
