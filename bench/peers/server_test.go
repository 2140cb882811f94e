package peers

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
)

func TestMain(m *testing.M) {
	labtest.RemoveOnSignal(func() {})
	os.Exit(m.Run())
}

// start starts a shell as a server in a namespace of its own.
func start(t *testing.T, ctx context.Context, ready Ready, script string) (*Server, error) {
	t.Helper()
	labtest.Need(t, false)
	ns, err := labtest.New(t).Namespace("server")
	if err != nil {
		t.Fatal(err)
	}
	return startIn(t, ctx, ns, ready, script)
}

func startIn(t *testing.T, ctx context.Context, ns *lab.Namespace, ready Ready, script string) (*Server, error) {
	t.Helper()
	p := &Peer{Name: "shell", Program: "/bin/sh", Recipe: &Recipe{Ready: ready, Command: []Text{{}, text(t, "-c"), text(t, script)}}}
	return p.Start(ctx, ns, Vars{Dir: t.TempDir()})
}

func text(t *testing.T, s string) (x Text) {
	t.Helper()
	recipes, err := Parse("test", []byte("- {name: x, kinds: [dhcp], ready: {log: x}, command: ['"+strings.ReplaceAll(s, "'", "''")+"']}"))
	if err != nil {
		t.Fatal(err)
	}
	return recipes[0].Command[0]
}

func TestServerReadyByLog(t *testing.T) {
	ctx := labtest.Context(t, 30*time.Second)
	s, err := start(t, ctx, Ready{Log: "at your service"}, `echo at your service; sleep 60 & wait`)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Alive(); err != nil {
		t.Error(err)
	}
	// The sleeping child holds the log open: Stop has to end it as well.
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
}

func TestServerDies(t *testing.T) {
	ctx := labtest.Context(t, 30*time.Second)
	for name, ready := range map[string]Ready{"log": {Log: "at your service"}, "port": {UDP: []uint16{69}}} {
		_, err := start(t, ctx, ready, `echo no licence; exit 3`)
		if err == nil || !strings.Contains(err.Error(), "shell does not get ready") || !strings.Contains(err.Error(), "no licence") {
			t.Errorf("by %s: %v", name, err)
		}
	}
}

func TestServerDiesLater(t *testing.T) {
	ctx := labtest.Context(t, 30*time.Second)
	s, err := start(t, ctx, Ready{Log: "at your service"}, `echo at your service; read line; echo oops; exit 3`)
	if err != nil {
		t.Fatal(err)
	}
	<-s.process.Exited() // its input is empty
	for _, err := range []error{s.Alive(), s.Stop()} {
		if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "oops") {
			t.Errorf("after its end: %v", err)
		}
	}
}

func TestServerNeverReady(t *testing.T) {
	never := errors.New("enough of this")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, never)
	defer cancel()
	_, err := start(t, ctx, Ready{UDP: []uint16{69}}, `echo thinking; sleep 60`)
	if !errors.Is(err, never) || !strings.Contains(err.Error(), "UDP port 69 is not bound") {
		t.Errorf("without a port: %v", err)
	}
}
