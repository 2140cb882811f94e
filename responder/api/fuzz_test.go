package api

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/responder/deploy"
)

// FuzzRequest: whatever is sent, the answer is one of the document's, and
// nothing panics.
func FuzzRequest(f *testing.F) {
	c, _ := catalogue(f, deploy.Limits{Deployments: 1000, Machines: 1000})
	o := options(c)
	for _, rt := range routes {
		f.Add(rt.method, pathOf(rt), `{"reason":"x","target":{"mac":"`+macA+`"},"profile":"linux"}`, `"1"`)
	}
	f.Add("POST", "/v1/deployments", `[{"target":{"uuid":"`+uuidA+`"},"profile":"linux","once":true},{}]`, "*")
	f.Fuzz(func(t *testing.T, method, path, body, ifMatch string) {
		if method == "GET" && strings.HasPrefix(path, "/v1/events") || !strings.HasPrefix(path, "/v1/") || strings.ContainsAny(method+path, " \x00\r\n\t") {
			return // a stream does not end; not what a server would hand over
		}
		defer func() { // what httptest refuses as no request line
			if r := recover(); r != nil && !strings.Contains(toText(r), "invalid NewRequest arguments") {
				panic(r)
			}
		}()
		req := httptest.NewRequest(method, path, strings.NewReader(body))
		if strings.HasPrefix(req.URL.Path, "/v1/events") {
			return
		}
		direct(checked(t, o), "ann", method, path, body, "If-Match: "+ifMatch)
	})
}

func toText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return ""
}
