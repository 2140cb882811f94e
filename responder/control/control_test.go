package control

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
	"go.uber.org/zap"
)

// fakeSource gives st, and its transfers by Transfers alone.
type fakeSource struct {
	st    Status
	hangs bool // what has the transfers never tells them
}

func (f *fakeSource) Snapshot() Status {
	st := f.st
	st.TFTP.Transfers = nil
	return st
}

func (f *fakeSource) Transfers(ctx context.Context) []TFTPTransfer {
	if f.hangs {
		<-ctx.Done()
		return nil
	}
	return f.st.TFTP.Transfers
}

// fakeTap records its subscribers, so that a test can feed them.
type fakeTap struct {
	mu     sync.Mutex
	sinks  map[int]func(Frame)
	next   int
	joined chan string
}

func newFakeTap() *fakeTap {
	return &fakeTap{sinks: make(map[int]func(Frame)), joined: make(chan string, 16)}
}

func (f *fakeTap) Subscribe(iface string, sink func(Frame)) func() {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := f.next
	f.next++
	f.sinks[id] = sink
	f.joined <- iface
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.sinks, id)
	}
}

func (f *fakeTap) feed(fr Frame) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.sinks {
		s(fr)
	}
}

func (f *fakeTap) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sinks)
}

// start runs a server and returns its socket's path; the test's end checks that it left nothing behind.
func start(t *testing.T, opts Options) (path string, stop func()) {
	t.Helper()
	_, path, stop = startServer(t, opts)
	return path, stop
}

func startServer(t *testing.T, opts Options) (s *Server, path string, stop func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "run", "control.sock")
	if opts.Logger == nil {
		opts.Logger = zap.NewNop()
	}
	s, err := Listen(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("socket left behind: %v", err)
		}
	})
	t.Cleanup(stop)
	return s, path, stop
}

func source() *fakeSource {
	return &fakeSource{st: Status{
		Version: "v1", PID: 7, Started: time.Unix(100, 0).UTC(), Time: time.Unix(160, 0).UTC(),
		Interfaces: []Interface{{Name: "eth0", State: StateServing, Alive: true, Tier: "native"}},
		Requests:   []Requests{{"eth0", "native", "discover", "answered", 3}},
		TFTP:       TFTP{Transfers: []TFTPTransfer{{Client: "192.0.2.9:1", File: "f"}}},
	}}
}

func TestStatusRoundTrip(t *testing.T) {
	src := source()
	path, _ := start(t, Options{Source: src})
	got, err := NewClient(path).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Uptime() != time.Minute || got.PID != 7 || len(got.Requests) != 1 || got.Requests[0] != src.st.Requests[0] ||
		len(got.TFTP.Transfers) != 1 || got.TFTP.Transfers[0].File != "f" {
		t.Errorf("got %+v", got)
	}
}

func TestSocketModeAndDirectory(t *testing.T) {
	path, _ := start(t, Options{Source: source()})
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v", info.Mode())
	}
	if info, _ := os.Stat(filepath.Dir(path)); info.Mode().Perm() != 0o755 {
		t.Errorf("directory mode %v", info.Mode())
	}
}

func TestNoDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nobody.sock")
	_, err := NewClient(path).Status(t.Context())
	if !errors.Is(err, ErrNoDaemon) || !strings.Contains(err.Error(), path) {
		t.Errorf("missing socket: %v", err)
	}
	stale(t, path)
	if _, err = NewClient(path).Status(t.Context()); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("stale socket: %v", err)
	}
}

// stale leaves a socket at path that nobody answers on, as kill -9 does.
func stale(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

func TestListenTakesOverStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.sock")
	stale(t, path)
	s, err := Listen(path, Options{Source: source(), Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

func TestListenLeavesLiveDaemonAlone(t *testing.T) {
	path, _ := start(t, Options{Source: source()})
	_, err := Listen(path, Options{Source: source(), Logger: zap.NewNop()})
	if !errors.Is(err, ErrInUse) {
		t.Fatalf("err = %v", err)
	}
	if want := "process "; !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v does not name the process and the socket", err)
	}
	if _, err := NewClient(path).Status(t.Context()); err != nil {
		t.Errorf("the live daemon lost its socket: %v", err)
	}
}

func TestListenRefusesOtherFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, Options{}); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("err = %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "x" {
		t.Error("the file was touched")
	}
	if _, err := Listen("/tmp/"+strings.Repeat("x", 200), Options{}); err == nil || !strings.Contains(err.Error(), "at most 107") {
		t.Errorf("long path: %v", err)
	}
}

func TestOnlyGET(t *testing.T) {
	path, _ := start(t, Options{Source: source()})
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	answer, err := io.ReadAll(c)
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 405 ")) {
		t.Errorf("%v: %q", err, answer)
	}
}

func TestCaptureStopsInOrder(t *testing.T) {
	tap := newFakeTap()
	path, _ := start(t, Options{Source: source(), Tap: tap})
	c, err := NewClient(path).Capture(t.Context(), "eth0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := <-tap.joined; got != "eth0" {
		t.Fatalf("subscribed to %q", got)
	}
	r, err := pcapgo.NewReader(c)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1700000000, 123456789)
	for i := range 3 {
		tap.feed(Frame{Time: at, Iface: "eth0", Data: []byte{byte(i), 1, 2, 3}})
	}
	for i := range 3 {
		data, ci, err := r.ReadPacketData()
		if err != nil {
			t.Fatal(err)
		}
		if data[0] != byte(i) || !ci.Timestamp.Equal(at) {
			t.Errorf("frame %d: %v at %v", i, data, ci.Timestamp)
		}
	}
	c.Stop()
	if _, _, err := r.ReadPacketData(); !errors.Is(err, io.EOF) {
		t.Fatalf("after Stop: %v", err)
	}
	if n, ok := c.Dropped(); !ok || n != 0 {
		t.Errorf("Dropped() = %d, %v", n, ok)
	}
	if tap.count() != 0 {
		t.Error("still subscribed")
	}
}

// A status without transfers is better than none.
func TestStatusOfHungTransfers(t *testing.T) {
	src := source()
	src.hangs = true
	path, _ := start(t, Options{Source: src})
	st, err := NewClient(path).Status(t.Context())
	if err != nil || st.PID != 7 {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestCaptureCountsDrops(t *testing.T) {
	tap := newFakeTap()
	s, path, _ := startServer(t, Options{Source: source(), Tap: tap})
	c, err := NewClient(path).Capture(t.Context(), "eth0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	<-tap.joined
	// More than the queue and all socket buffers between us hold: nobody reads yet.
	const frames = 40000
	big := make([]byte, 1500)
	for range frames {
		tap.feed(Frame{Data: big})
	}
	// As metrics read it: at once, not when the capture ends.
	if n := s.Status().CaptureDrops; n == 0 {
		t.Error("nothing is counted while the capture runs")
	}
	c.Stop()
	r, err := pcapgo.NewReader(c)
	if err != nil {
		t.Fatal(err)
	}
	var got uint64
	for {
		if _, _, err := r.ReadPacketData(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		got++
	}
	dropped, ok := c.Dropped()
	if !ok || dropped == 0 || got+dropped != frames {
		t.Errorf("%d read + %d dropped (known: %v) of %d", got, dropped, ok, frames)
	}
	st, err := NewClient(path).Status(t.Context())
	if err != nil || st.CaptureDrops != dropped || s.Status().CaptureDrops != dropped {
		t.Errorf("status says %d drops, the capture %d (%v)", st.CaptureDrops, dropped, err)
	}
}

func TestCaptureEndsWithDaemon(t *testing.T) {
	tap := newFakeTap()
	path, stop := start(t, Options{Source: source(), Tap: tap})
	c, err := NewClient(path).Capture(t.Context(), "eth0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	<-tap.joined
	stop()
	if _, err := io.ReadAll(c); err != nil {
		t.Errorf("the stream did not end in order: %v", err)
	}
	if n, ok := c.Dropped(); !ok || n != 0 {
		t.Errorf("Dropped() = %d, %v", n, ok)
	}
}

func TestCaptureRefusals(t *testing.T) {
	tap := newFakeTap()
	path, _ := start(t, Options{Source: source(), Tap: tap})
	cl := NewClient(path)
	if _, err := cl.Capture(t.Context(), "eth1"); err == nil || !strings.Contains(err.Error(), `does not serve interface "eth1"`) {
		t.Errorf("unknown interface: %v", err)
	}
	for range maxCaptures {
		c, err := cl.Capture(t.Context(), "eth0")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if _, err := cl.Capture(t.Context(), "eth0"); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("capture beyond the limit: %v", err)
	}
}
