package tftp

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/responder/content"
)

// bed is a running server with a root of its own.
type bed struct {
	*Server
	t    testing.TB
	dir  string
	addr netip.AddrPort // on 127.0.0.1
	stop func()
}

// serve starts a server for files (path -> content). Without a number of
// workers it has one, so that what it gets, it gets in order.
func serve(t testing.TB, cfg Config, files map[string][]byte) *bed {
	t.Helper()
	b := &bed{t: t, dir: t.TempDir()}
	for name, data := range files {
		b.write(name, data)
	}
	b.run(cfg)
	return b
}

// run starts the server.
func (b *bed) run(cfg Config) {
	t := b.t
	t.Helper()
	root, err := content.Open(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Workers == 0 {
		cfg.Workers = 1
	}
	if cfg.MinTimeout == 0 && cfg.InitialTimeout == 0 {
		// Longer than any exchange here takes: what comes again, comes for a reason.
		cfg.MinTimeout = time.Second
	}
	if b.Server, err = Listen(cfg, root); err != nil {
		t.Fatal(err)
	}
	b.addr = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(b.Port()))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Serve(ctx) }()
	stopped := false
	b.stop = func() {
		t.Helper()
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		root.Close()
	}
	t.Cleanup(b.stop)
}

// Transfers waits for the loops as long as the test runs.
func (b *bed) Transfers() []TransferInfo { return b.Server.Transfers(b.t.Context()) }

func (b *bed) write(name string, data []byte) {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		b.t.Fatal(err)
	}
	// What a test writes later differs from this in its time stamp.
	if err := os.Chtimes(path, time.Unix(1e9, 0), time.Unix(1e9, 0)); err != nil {
		b.t.Fatal(err)
	}
}

// sync returns when the server has dealt with all that was sent before.
func (b *bed) sync() {
	b.t.Helper()
	w := newWire(b.t, "127.0.0.1:0")
	w.send(b.addr, rrq("no such file", "octet"))
	if p, _ := w.recv(); p[1] != opERROR {
		b.t.Fatalf("sync got %q", p)
	}
	w.close()
}

// eventually waits until the server's totals are as they should be.
func (b *bed) eventually(what string, ok func(Stats) bool) {
	b.t.Helper()
	for range 2000 {
		if ok(b.Stats()) {
			return
		}
		b.sync()
	}
	b.t.Fatalf("%s: %+v", what, b.Stats())
}

// hold stops the workers' loops until release is called.
func (b *bed) hold() (release func()) {
	let := make(chan struct{})
	for _, w := range b.workers {
		holding := make(chan struct{})
		w.order(func(*worker) { close(holding); <-let })
		<-holding
	}
	return func() { close(let) }
}

// outcome returns how many requests ended so.
func (b *bed) outcome(o Outcome) uint64 { return b.Stats().Outcomes[o] }

// wire is a client's socket, driven by hand.
type wire struct {
	t    testing.TB
	conn *net.UDPConn
	from netip.AddrPort // the only one that packets may come from, once it is valid
}

func newWire(t testing.TB, local string) *wire {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(local)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &wire{t: t, conn: conn}
}

func (w *wire) close() { w.conn.Close() }

func (w *wire) addr() netip.AddrPort { return w.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

func (w *wire) send(to netip.AddrPort, p []byte) {
	w.t.Helper()
	if _, err := w.conn.WriteToUDPAddrPort(p, to); err != nil {
		w.t.Fatal(err)
	}
}

// recv returns the next packet, which must come.
func (w *wire) recv() ([]byte, netip.AddrPort) {
	w.t.Helper()
	buf := make([]byte, 1<<16)
	w.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, from, err := w.conn.ReadFromUDPAddrPort(buf)
	if err != nil {
		w.t.Fatalf("no packet came: %v", err)
	}
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	if w.from.IsValid() && from != w.from {
		w.t.Fatalf("a packet from %v, the transfer is with %v", from, w.from)
	}
	return buf[:n], from
}

// expect returns the sender of the next packet, which must be want.
func (w *wire) expect(want []byte) netip.AddrPort {
	w.t.Helper()
	got, from := w.recv()
	if !bytes.Equal(got, want) {
		w.t.Fatalf("got %.60q, want %.60q", got, want)
	}
	return from
}

// expectError returns the sender of the next packet, which must be an ERROR.
func (w *wire) expectError(code uint16) netip.AddrPort {
	w.t.Helper()
	got, from := w.recv()
	if len(got) < 6 || got[1] != opERROR || binary.BigEndian.Uint16(got[2:]) != code || got[len(got)-1] != 0 {
		w.t.Fatalf("got %.60q, want ERROR %d", got, code)
	}
	return from
}

// empty says whether nothing has come by now.
func (w *wire) empty() bool {
	w.t.Helper()
	raw, err := w.conn.SyscallConn()
	if err != nil {
		w.t.Fatal(err)
	}
	var n int
	var recvErr error
	buf := make([]byte, 1<<16)
	if err := raw.Control(func(fd uintptr) {
		n, _, recvErr = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
	}); err != nil {
		w.t.Fatal(err)
	}
	if recvErr == nil {
		w.t.Logf("there is %.60q", buf[:n])
	}
	return recvErr == unix.EAGAIN
}

// count drops what has come and says how many packets it was.
func (w *wire) count() (n int) {
	w.t.Helper()
	raw, err := w.conn.SyscallConn()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		var buf [1 << 16]byte
		for {
			if _, _, err := unix.Recvfrom(int(fd), buf[:], unix.MSG_DONTWAIT); err != nil {
				return
			}
			n++
		}
	}); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// nothing checks that the server has sent nothing, having dealt with everything.
func (b *bed) nothing(w *wire) {
	b.t.Helper()
	b.sync()
	if !w.empty() {
		b.t.Error("the server sent a packet")
	}
}

func ackPacket(n int) []byte { return []byte{0, opACK, byte(n >> 8), byte(n)} }

// dataPacket is block n of a file in blocks of blksize.
func dataPacket(file []byte, blksize, n int) []byte {
	first := (n - 1) * blksize
	return append([]byte{0, opDATA, byte(n >> 8), byte(n)}, file[first:min(first+blksize, len(file))]...)
}

func oackPacket(fields ...string) []byte {
	p := []byte{0, opOACK}
	for _, f := range fields {
		p = append(append(p, f...), 0)
	}
	return p
}

// expectBlocks receives DATA from up to and including to.
func (w *wire) expectBlocks(file []byte, blksize, from, to int) {
	w.t.Helper()
	for n := from; n <= to; n++ {
		w.expect(dataPacket(file, blksize, n))
	}
}

func (b *bed) String() string { return fmt.Sprint(b.addr) }

func openRoot(t testing.TB, dir string) *content.Root {
	t.Helper()
	root, err := content.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// openFDs counts the process's descriptors.
func openFDs(t testing.TB) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

func hostPort(t testing.TB, host string, port int) netip.AddrPort {
	t.Helper()
	return netip.AddrPortFrom(netip.MustParseAddr(host), uint16(port))
}
