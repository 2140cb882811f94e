package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/flood"
	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
	"github.com/xdpxe/xdpxe/bench/port"
)

// A thousand machines whose webhook takes half a second have their answer by
// their second DISCOVER, and it is asked once for each. Meanwhile nobody else waits.
func TestSlowWebhook(t *testing.T) {
	labtest.Need(t, false)
	t.Parallel()
	ctx := labtest.Context(t, patience)
	r, server, root := labtest.BootServer(ctx, t)
	labtest.Polls(t, server)
	socket := r.Path("cmdb.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	const machines = 1000
	var asked atomic.Int32
	first := make(chan struct{})
	slow := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			close(first)
		}
		time.Sleep(500 * time.Millisecond) // it is the slow program
		io.WriteString(w, `{"boot": "lab"}`)
	})}
	go slow.Serve(l)
	t.Cleanup(func() { slow.Close() })
	start(ctx, t, server, lab.DaemonConfig{Root: root, More: fmt.Sprintf("webhooks: {cmdb: {url: \"unix:%s\"}}\n", socket), Policy: `
policy:
  default: lab
  rules:
    - {name: asked, match: {mac: ["02:00:00:*"]}, webhook: cmdb}
profiles:
  lab: {files: {x64-uefi: ` + lab.UEFIProgram + `}}
`})
	asking, plain := openPort(t, r, "asked"), openPort(t, r, "others")
	others := make(chan flood.Answers, 1)
	go func() {
		defer close(others)
		select {
		case <-first:
		case <-ctx.Done():
			return
		}
		h := flood.Honest{Clients: 100, Gap: 5 * time.Millisecond, Wait: firstRetry, Last: firstRetry, First: 1 << 24}
		a, err := h.Ask(ctx, plain)
		if err != nil {
			t.Error(err)
		}
		others <- a
	}()
	h := flood.Honest{Clients: machines, Gap: time.Millisecond, Wait: firstRetry, Last: firstRetry, First: 1}
	if a, err := h.Ask(ctx, asking); err != nil || a.First != 0 || a.Second != machines {
		t.Errorf("%v; machines of the webhook: %+v", err, a)
	}
	if o := <-others; o.Clients == 0 || o.First != o.Clients {
		t.Errorf("machines of another rule: %+v", o)
	}
	if n := asked.Load(); n != machines {
		t.Errorf("the webhook was asked %d times for %d machines", n, machines)
	}
}

// openPort plugs a client in and opens a port on it.
func openPort(t *testing.T, r *lab.Rack, role string) (p port.Port) {
	t.Helper()
	node, err := r.AddClient(role)
	if err == nil {
		err = node.Do(func() (err error) {
			p, err = port.Open(port.Options{Interface: lab.Iface, Kind: port.Packet})
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}
