package api

import (
	"fmt"
	"net/http"
	"os/user"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/deploy"
)

// TestOverTheSocket: who may open the control socket reads and writes, and is named.
func TestOverTheSocket(t *testing.T) {
	c, _ := catalogue(t, deploy.Limits{})
	a := socket(t, checked(t, options(c)))
	body := `{"id":"d-1","target":{"mac":"` + macA + `"},"profile":"linux","once":true}`
	made := a.want(a.ask("POST", "/v1/deployments", body), http.StatusCreated, `"created":1`)
	again := a.want(a.ask("POST", "/v1/deployments", body), http.StatusOK, `"existed":1`)
	if made.header.Get("ETag") == "" || made.header.Get("ETag") != again.header.Get("ETag") {
		t.Errorf("ETags %q and %q", made.header.Get("ETag"), again.header.Get("ETag"))
	}
	if at := made.header.Get("Location"); at != "/v1/deployments/d-1" {
		t.Errorf("Location %q", at)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	d := read[deploy.Status](t, a.want(a.ask("GET", "/v1/deployments/d-1", ""), http.StatusOK))
	if d.Deployment.By != me.Username || d.Run.State != deploy.Waiting {
		t.Errorf("by %q, %s", d.Deployment.By, d.Run.State)
	}
	a.want(a.ask("POST", "/v1/deployments", `{"id":"d-1","target":{"mac":"`+macA+`"},"profile":"winpe"}`), http.StatusConflict, CodeExists)
	a.want(a.ask("POST", "/v1/deployments", `{"target":{"mac":"`+macA+`"},"profile":"linus"}`), http.StatusUnprocessableEntity, "did you mean linux?")
	a.want(a.ask("GET", "/v1/deployments?stat=done", ""), http.StatusBadRequest, "did you mean state?")
	a.want(a.ask("PUT", "/v1/deployments", ""), http.StatusMethodNotAllowed, CodeNotAllowed)
	a.want(a.ask("GET", "/v1/nothing", ""), http.StatusNotFound, "openapi.json")
	a.want(a.ask("POST", "/v1/deployments/d-1/cancel", `{"reason":"wrong rack"}`), http.StatusOK, "wrong rack", `"cancelled"`)
}

// TestIfMatch: of two operators who have read the same, one changes it.
func TestIfMatch(t *testing.T) {
	c, _ := catalogue(t, deploy.Limits{})
	a := socket(t, checked(t, options(c)))
	path := "/v1/machines/" + macA
	a.want(a.ask("PATCH", path, `{"name":"db1"}`), http.StatusOK)
	tag := a.want(a.ask("GET", path, ""), http.StatusOK, "db1").header.Get("ETag")
	a.want(a.ask("PATCH", path, `{"name":"db2"}`, "If-Match: "+tag), http.StatusOK)
	a.want(a.ask("PATCH", path, `{"name":"db3"}`, "If-Match: "+tag), http.StatusPreconditionFailed, CodeChanged)
	a.want(a.ask("GET", path, ""), http.StatusOK, "db2")
	a.want(a.ask("DELETE", path, "", "If-Match: "+tag), http.StatusPreconditionFailed)
	a.want(a.ask("DELETE", path, ""), http.StatusNoContent)
	a.want(a.ask("PATCH", "/v1/machines/"+macB, `{"name":"new"}`, "If-Match: *"), http.StatusPreconditionFailed) // RFC 9110, 13.1.1
}

// TestStoreGone: changes are refused, what is known is told.
func TestStoreGone(t *testing.T) {
	c, s := catalogue(t, deploy.Limits{})
	a := socket(t, checked(t, options(c)))
	a.want(a.ask("POST", "/v1/deployments", `{"id":"d-1","target":{"mac":"`+macA+`"},"profile":"linux"}`), http.StatusCreated)
	s.gone.Store(true)
	r := a.want(a.ask("POST", "/v1/deployments", `{"id":"d-2","target":{"mac":"`+macB+`"},"profile":"linux"}`), http.StatusServiceUnavailable, CodeUnavailable)
	if r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	a.want(a.ask("POST", "/v1/deployments/d-1/cancel", ""), http.StatusServiceUnavailable)
	a.want(a.ask("GET", "/v1/deployments/d-1", ""), http.StatusOK, "linux")
	s.gone.Store(false)
	a.want(a.ask("POST", "/v1/deployments/d-1/cancel", ""), http.StatusOK)
}

// TestBulkInPages: 10,000 by one call, and all of them on pages, once each.
func TestBulkInPages(t *testing.T) {
	const n = 10_000
	c, _ := catalogue(t, deploy.Limits{})
	a := socket(t, New(options(c))) // unchecked: the document's checker takes its time over megabytes
	began := time.Now()
	a.want(a.ask("POST", "/v1/deployments", manyDeployments(n)), http.StatusCreated)
	t.Logf("%d deployments by one call in %v", n, time.Since(began).Round(time.Millisecond))
	seen := make(map[string]bool)
	for after, pages := "", 0; ; pages++ {
		if pages > n/1000 {
			t.Fatalf("%d pages", pages)
		}
		p := read[Page[deploy.Status]](t, a.want(a.ask("GET", "/v1/deployments?limit=1000&after="+after, ""), http.StatusOK))
		for _, d := range p.Items {
			if seen[d.ID] {
				t.Fatalf("%s is on two pages", d.ID)
			}
			seen[d.ID] = true
		}
		if after = p.Next; after == "" {
			break
		}
	}
	if len(seen) != n {
		t.Errorf("%d on pages, of %d", len(seen), n)
	}
}

func manyDeployments(n int) string {
	var s strings.Builder
	for i := range n {
		fmt.Fprintf(&s, `%c{"id":"d-%06d","target":{"mac":"52:54:01:%02x:%02x:%02x"},"profile":"linux","once":true}`, "[,"[min(i, 1)], i, i>>16, i>>8&0xff, i&0xff)
	}
	return s.String() + "]"
}
