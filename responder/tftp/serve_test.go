package tftp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestServeNegotiation(t *testing.T) {
	file := randomFile(1000, 1)
	b := serve(t, Config{GSO: true}, map[string][]byte{"f": file, "long": randomFile(100_000, 2)})

	statement(t, "G1", "plain RRQ", func(t *testing.T) {
		w := newWire(t, "127.0.0.1:0")
		w.send(b.addr, rrq("f", "octet"))
		tid := w.expect(dataPacket(file, 512, 1))
		if tid.Port() == b.addr.Port() {
			t.Error("the data comes from the request port")
		}
		w.send(tid, ackPacket(1))
		w.expect(dataPacket(file, 512, 2))
		w.send(tid, ackPacket(2))
		b.nothing(w)
	})

	// answer sends a request and gives its first packet; the transfer is then aborted.
	answer := func(t *testing.T, request []byte) []byte {
		t.Helper()
		w := newWire(t, "127.0.0.1:0")
		w.send(b.addr, request)
		p, tid := w.recv()
		w.send(tid, appendError(nil, 0, "enough"))
		b.nothing(w)
		w.close()
		return p
	}
	data1 := dataPacket(file, 512, 1)
	for _, c := range []struct {
		ids, what string
		options   []string
		want      []byte
	}{
		{"G2", "edk2", []string{"tsize", "0", "blksize", "1468", "windowsize", "4"}, oackPacket("tsize", "1000", "blksize", "1468", "windowsize", "4")},
		{"G6", "blksize 7", []string{"blksize", "7"}, data1},
		{"G6", "blksize 65465", []string{"blksize", "65465"}, data1},
		{"G6", "blksize abc", []string{"blksize", "abc"}, data1},
		{"G6", "blksize empty", []string{"blksize", ""}, data1},
		{"G7", "blksize 65464 on loopback", []string{"blksize", "65464"}, oackPacket("blksize", "65464")},
		{"G8", "windowsize 0", []string{"windowsize", "0"}, data1},
		{"G8", "windowsize 65536", []string{"windowsize", "65536"}, data1},
		{"G8", "windowsize x", []string{"windowsize", "x"}, data1},
		{"G9", "windowsize 65535", []string{"windowsize", "65535"}, oackPacket("windowsize", "64")},
		{"G10", "timeout 5", []string{"timeout", "5"}, oackPacket("timeout", "5")},
		{"G10", "timeout 0", []string{"timeout", "0"}, data1},
		{"G10", "timeout 256", []string{"timeout", "256"}, data1},
		{"G11", "tsize that is none", []string{"tsize", "12345"}, oackPacket("tsize", "1000")},
		{"G12", "msftwindow", []string{"tsize", "0", "blksize", "1456", "windowsize", "4", "msftwindow", "31416"}, oackPacket("tsize", "1000", "blksize", "1456", "windowsize", "4")},
		{"G13", "upper case", []string{"BLKSIZE", "600", "TSize", "0"}, oackPacket("tsize", "1000", "blksize", "600")},
		{"G14", "only unknown options", []string{"msftwindow", "31416", "multicast", ""}, data1},
		{"G16", "twice the same", []string{"blksize", "600", "blksize", "700"}, oackPacket("blksize", "600")},
	} {
		statement(t, c.ids, c.what, func(t *testing.T) {
			if got := answer(t, rrq(append([]string{"f", "octet"}, c.options...)...)); !bytes.Equal(got, c.want) {
				t.Errorf("got %.60q, want %.60q", got, c.want)
			}
		})
	}
	statement(t, "G15", "an option without value, or without its NUL", func(t *testing.T) {
		if got := answer(t, rrq("f", "octet", "blksize")); !bytes.Equal(got, data1) {
			t.Errorf("got %.60q", got)
		}
		cut := rrq("f", "octet", "tsize", "0", "blksize", "600")
		if got := answer(t, cut[:len(cut)-1]); !bytes.Equal(got, oackPacket("tsize", "1000")) {
			t.Errorf("got %.60q", got)
		}
	})
	statement(t, "G17", "modes", func(t *testing.T) {
		if got := answer(t, rrq("f", "OCTET")); !bytes.Equal(got, data1) {
			t.Errorf("got %.60q", got)
		}
		for _, mode := range []string{"netascii", "mail", "x"} {
			w := newWire(t, "127.0.0.1:0")
			w.send(b.addr, rrq("f", mode))
			w.expectError(codeIllegal)
		}
	})
	statement(t, "G18", "WRQ is refused, other opcodes get silence", func(t *testing.T) {
		w := newWire(t, "127.0.0.1:0")
		w.send(b.addr, []byte("\x00\x02new\x00octet\x00"))
		w.expectError(codeAccess)
		if _, err := os.Stat(filepath.Join(b.dir, "new")); err == nil {
			t.Error("a file was made")
		}
		for _, op := range []byte{0, 7, 8, 255} {
			w.send(b.addr, append([]byte{0, op}, "f\x00octet\x00"...))
		}
		b.nothing(w)
	})
	statement(t, "G19", "ACK, DATA, ERROR and OACK on the request port get silence", func(t *testing.T) {
		w := newWire(t, "127.0.0.1:0")
		for _, p := range [][]byte{ackPacket(0), data1, appendError(nil, 1, "x"), oackPacket("tsize", "1")} {
			w.send(b.addr, p)
		}
		b.nothing(w)
	})
	statement(t, "G20", "malformed requests never get a file", func(t *testing.T) {
		for _, p := range [][]byte{
			[]byte("\x00\x01f"), []byte("\x00\x01f\x00octet"), []byte("\x00\x01\x00octet\x00"), []byte("\x00\x01f\x00"),
			rrq("f", "octet", "x", string(make([]byte, 600))), rrq("f", "octet", "x", string(bytes.Repeat([]byte{'1'}, 2000))),
		} {
			w := newWire(t, "127.0.0.1:0")
			w.send(b.addr, p)
			w.expectError(codeIllegal)
		}
		w := newWire(t, "127.0.0.1:0")
		w.send(b.addr, nil)
		w.send(b.addr, []byte{0})
		b.nothing(w)
	})
	statement(t, "I2", "nothing outside of the root", func(t *testing.T) {
		if err := os.Symlink("/etc/passwd", filepath.Join(b.dir, "out")); err != nil {
			t.Fatal(err)
		}
		for name, code := range map[string]uint16{
			"../etc/passwd": codeAccess, `..\..\x`: codeAccess, "/a/../../x": codeAccess, `C:\x`: codeNotFound, "out": codeAccess,
			"f/../../etc/passwd": codeAccess, "etc/passwd\x01": codeNotFound, "/etc/passwd": codeNotFound, "a\x01b": codeAccess,
		} {
			w := newWire(t, "127.0.0.1:0")
			w.send(b.addr, rrq(name, "octet"))
			w.expectError(code)
			b.nothing(w)
		}
	})
}

func TestProbe(t *testing.T) {
	statement(t, "G3", "ERROR 8 after the OACK ends it without a word", func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		b := serve(t, Config{Logger: zap.New(core)}, map[string][]byte{"f": []byte("data")})
		w := newWire(t, "127.0.0.1:0")
		w.send(b.addr, rrq("f", "octet", "tsize", "0", "blksize", "1468", "windowsize", "4"))
		tid := w.expect(oackPacket("tsize", "4", "blksize", "1468", "windowsize", "4"))
		w.send(tid, appendError(nil, 8, "User aborted the transfer"))
		b.nothing(w)
		if st := b.Stats(); st.Active != 0 || st.Outcomes[Probe] != 1 {
			t.Errorf("%+v", st)
		}
		if tr := b.Transfers(); len(tr) != 0 {
			t.Errorf("still running: %+v", tr)
		}
		b.stop()
		for _, l := range logs.All() {
			if l.ContextMap()["file"] == "f" {
				t.Errorf("logged: %v %v", l.Message, l.ContextMap())
			}
		}
	})
}

func TestNames(t *testing.T) {
	b := serve(t, Config{}, map[string][]byte{"Boot/BCD": []byte("bcd"), "same": []byte("lower"), "SAME": []byte("upper")})
	get := func(t *testing.T, name string) []byte {
		t.Helper()
		w := newWire(t, "127.0.0.1:0")
		defer w.close()
		w.send(b.addr, rrq(name, "octet"))
		p, tid := w.recv()
		if p[1] == opDATA {
			w.send(tid, ackPacket(1))
		}
		return p
	}
	statement(t, "I1", "slashes, backslashes and letter case", func(t *testing.T) {
		for _, name := range []string{`\Boot\BCD`, "/Boot/BCD", `Boot\bcd`, "//boot//BCD", `/\boot\BCD`} {
			if p := get(t, name); string(p[4:]) != "bcd" || p[1] != opDATA {
				t.Errorf("%s: %q", name, p)
			}
		}
	})
	statement(t, "I3", "the exact name is preferred", func(t *testing.T) {
		for name, want := range map[string]string{"same": "lower", "SAME": "upper", "Same": "upper"} {
			if p := get(t, name); string(p[4:]) != want {
				t.Errorf("%s: %q", name, p)
			}
		}
	})
	statement(t, "I4 I7 I8", "missing files are ERROR 1 at once", func(t *testing.T) {
		for _, name := range []string{
			"missing", "autoexec.ipxe", "/autoexec.ipxe", `\boot\fonts\wgl4_boot.ttf`,
			"pxelinux.cfg/4c4c4544-004a-3510-8038-5ac04f334d32", "pxelinux.cfg/01-52-54-00-12-34-56", "pxelinux.cfg/C0000264",
			"pxelinux.cfg/C000026", "pxelinux.cfg/C00002", "pxelinux.cfg/C0000", "pxelinux.cfg/C000", "pxelinux.cfg/C00",
			"pxelinux.cfg/C0", "pxelinux.cfg/C", "pxelinux.cfg/default",
		} {
			if p := get(t, name); p[1] != opERROR || p[3] != codeNotFound {
				t.Errorf("%s: %q", name, p)
			}
		}
	})
	statement(t, "I5", "a directory is an ERROR", func(t *testing.T) {
		for _, name := range []string{"Boot", "boot/", "/"} {
			if p := get(t, name); p[1] != opERROR || p[3] != codeNotFound {
				t.Errorf("%s: %q", name, p)
			}
		}
	})
}

func TestServeClients(t *testing.T) {
	b := serve(t, Config{Clients: func(a netip.Addr) bool { return a == netip.MustParseAddr("127.0.0.1") }}, map[string][]byte{"f": []byte("data")})
	stranger := newWire(t, "127.0.0.2:0")
	stranger.send(b.addr, rrq("f", "octet"))
	b.nothing(stranger)
	if n := b.outcome(NotAllowed); n != 1 {
		t.Errorf("%d requests counted as not allowed", n)
	}
	b.SetClients(nil)
	stranger.send(b.addr, rrq("f", "octet"))
	stranger.expect(dataPacket([]byte("data"), 512, 1))
}

func TestServeMaxTransfers(t *testing.T) {
	b := serve(t, Config{MaxTransfers: 3}, map[string][]byte{"f": []byte("data")})
	var wires []*wire
	for range 2 {
		w := newWire(t, "127.0.0.1:0")
		w.send(b.addr, rrq("f", "octet", "tsize", "0"))
		w.expect(oackPacket("tsize", "4"))
		wires = append(wires, w)
	}
	// The third place is for sync, which gets an ERROR and leaves.
	b.sync()
	third := newWire(t, "127.0.0.1:0")
	third.send(b.addr, rrq("f", "octet"))
	tid := third.expect(dataPacket([]byte("data"), 512, 1))
	over := newWire(t, "127.0.0.1:0")
	over.send(b.addr, rrq("f", "octet"))
	b.turnUntil("a request met the limit", func(st Stats) bool { return st.Outcomes[Full] > 0 })
	if !over.empty() {
		t.Error("answered beyond the limit")
	}
	third.send(tid, ackPacket(1))
	b.turnUntil("the third ended", func(st Stats) bool { return st.Active == 2 })
	over.send(b.addr, rrq("f", "octet")) // as clients do
	over.expect(dataPacket([]byte("data"), 512, 1))
	if len(b.Transfers()) != 3 {
		t.Errorf("%d transfers run", len(b.Transfers()))
	}
	_ = wires
}

// turnUntil waits until the totals are as they should be, with the worker's own
// ear: a sync is a request, which would need a place, and goes to another socket
// than an acknowledgement, so that it may overtake one.
func (b *bed) turnUntil(what string, ok func(Stats) bool) {
	b.t.Helper()
	for range 100_000 {
		b.Transfers() // one turn of the loop
		if ok(b.Stats()) {
			return
		}
	}
	b.t.Fatalf("%s: %+v", what, b.Stats())
}

func TestSetRoot(t *testing.T) {
	b := serve(t, Config{}, map[string][]byte{"old/f": []byte("old"), "new/f": []byte("new")})
	b.SetRoot(openRoot(t, filepath.Join(b.dir, "old")))
	w := newWire(t, "127.0.0.1:0")
	w.send(b.addr, rrq("f", "octet", "tsize", "0"))
	tid := w.expect(oackPacket("tsize", "3"))
	old := b.root.Load()
	b.SetRoot(openRoot(t, filepath.Join(b.dir, "new")))
	old.Close()
	v := newWire(t, "127.0.0.1:0")
	v.send(b.addr, rrq("f", "octet"))
	v.expect(dataPacket([]byte("new"), 512, 1))
	w.send(tid, ackPacket(0))
	w.expect(dataPacket([]byte("old"), 512, 1))
}

func TestTransfers(t *testing.T) {
	file := randomFile(4000, 3)
	b := serve(t, Config{}, map[string][]byte{"dir/F": file})
	w := newWire(t, "127.0.0.1:0")
	before := time.Now()
	w.send(b.addr, rrq("dir/f", "octet", "blksize", "1000", "windowsize", "2"))
	tid := w.expect(oackPacket("blksize", "1000", "windowsize", "2"))
	w.send(tid, ackPacket(0))
	w.expectBlocks(file, 1000, 1, 2)
	w.send(tid, ackPacket(2))
	w.expectBlocks(file, 1000, 3, 4)
	all := b.Transfers()
	if len(all) != 1 {
		t.Fatalf("%d transfers", len(all))
	}
	got := all[0]
	if got.Client != w.addr() || got.Server != tid || got.File != "dir/F" || got.Size != 4000 || got.Offset != 2000 ||
		got.Blksize != 1000 || got.Window != 2 || got.RTT <= 0 || got.Started.Before(before.Add(-time.Second)) || got.Started.After(time.Now()) {
		t.Errorf("%+v", got)
	}
	if st := b.Stats(); st.Active != 1 || st.Requests != 1 || st.Bytes != 4000 || st.Blocks != 4 || st.Retransmits != 0 {
		t.Errorf("%+v", st)
	}
}

// A loop that hangs (a page that no disk brings, say) keeps nobody who asks
// for the transfers waiting beyond the patience that they have.
func TestTransfersOfHungLoop(t *testing.T) {
	b := serve(t, Config{}, nil)
	release := b.hang()
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if all := b.Server.Transfers(ctx); all != nil {
		t.Errorf("%+v", all)
	}
}

// An idle loop goes on turning, and one that stands still is told from it.
func TestHung(t *testing.T) {
	b := serve(t, Config{Workers: 2}, nil)
	turned := func(w *worker) int64 { return w.turned.Load() }
	awaitTurn := func(w *worker) {
		t.Helper()
		tick, limit := time.NewTicker(time.Millisecond), time.After(10*time.Second)
		defer tick.Stop()
		for last := turned(w); turned(w) == last; {
			select {
			case <-tick.C:
			case <-limit:
				t.Fatal("an idle loop does not turn")
			}
		}
	}
	awaitTurn(b.workers[0])
	awaitTurn(b.workers[1])
	const limit = time.Hour
	if n := b.Hung(time.Now(), limit); n != 0 {
		t.Errorf("%d idle loops hang", n)
	}

	release := b.hang()
	defer release()
	stands := b.epoch.Add(time.Duration(turned(b.workers[0])))
	awaitTurn(b.workers[1])
	if n := b.Hung(stands.Add(limit), limit); n != 0 {
		t.Errorf("at the limit %d loops hang", n)
	}
	if n := b.Hung(stands.Add(limit+1), limit); n != 1 {
		t.Errorf("beyond the limit %d loops hang, want the first alone", n)
	}
	release()
	awaitTurn(b.workers[0])
	if n := b.Hung(time.Now(), limit); n != 0 {
		t.Errorf("%d loops hang after all", n)
	}
	b.stop()
	if n := b.Hung(time.Now().Add(2*limit), limit); n != 0 {
		t.Errorf("%d loops of a server that has ended hang", n)
	}
}

// hang stops the first worker's loop until release is called.
func (b *bed) hang() (release func()) {
	hangs, hold := make(chan struct{}), make(chan struct{})
	b.workers[0].order(func(*worker) { close(hangs); <-hold })
	<-hangs
	return sync.OnceFunc(func() { close(hold) })
}

func TestServeConfig(t *testing.T) {
	root := openRoot(t, t.TempDir())
	for _, cfg := range []Config{
		{Port: 65536}, {Port: -1}, {Workers: -1}, {MaxWindow: 65536}, {MaxBlksize: 7}, {MaxBlksize: 65465}, {MaxTransfers: -1},
		{DataPorts: [2]uint16{5, 4}}, {DataPorts: [2]uint16{0, 4}}, {InitialTimeout: time.Hour}, {Grace: -1},
	} {
		if s, err := Listen(cfg, root); err == nil {
			s.Close()
			t.Errorf("%+v is taken", cfg)
		}
	}
}

func TestPortInUse(t *testing.T) {
	b := serve(t, Config{}, nil)
	root := openRoot(t, t.TempDir())
	fds := openFDs(t)
	s, err := Listen(Config{Port: b.Port()}, root)
	if err == nil {
		s.Close()
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second server on the first one's port: %v", err)
	}
	if now := openFDs(t); now > fds {
		t.Errorf("%d descriptors open, %d before", now, fds)
	}
}

func TestDataPorts(t *testing.T) {
	// Ports that were free a moment ago.
	w := newWire(t, "127.0.0.1:0")
	first := w.addr().Port()
	w.close()
	cfg := Config{Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Workers: 2, DataPorts: [2]uint16{first, min(first, 65525) + 10}}
	b := serve(t, cfg, map[string][]byte{"f": []byte("data")})
	for range 8 {
		w := newWire(t, "127.0.0.1:0")
		w.send(b.addr, rrq("f", "octet"))
		if tid := w.expect(dataPacket([]byte("data"), 512, 1)); tid.Port() < cfg.DataPorts[0] || tid.Port() > cfg.DataPorts[1] {
			t.Errorf("data comes from port %d", tid.Port())
		}
	}
	// A range that is used up: by somebody else, and by the workers themselves.
	held := newWire(t, "127.0.0.1:0")
	root, fds := openRoot(t, b.dir), openFDs(t)
	for _, cfg.DataPorts = range [][2]uint16{{held.addr().Port(), held.addr().Port()}, {first, first}} {
		s, err := Listen(cfg, root)
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), fmt.Sprintf("data ports %d-%d on 127.0.0.1 are in use", cfg.DataPorts[0], cfg.DataPorts[1])) {
			t.Errorf("all of the data ports are in use: %v", err)
		}
	}
	if now := openFDs(t); now > fds {
		t.Errorf("%d descriptors open, %d before", now, fds)
	}
}

func TestStopAndGrace(t *testing.T) {
	file := randomFile(2000, 4)
	fds := openFDs(t)
	b := serve(t, Config{}, map[string][]byte{"f": file})
	w := newWire(t, "127.0.0.1:0")
	w.send(b.addr, rrq("f", "octet"))
	w.expect(dataPacket(file, 512, 1))
	b.stop() // with a transfer running
	if n := b.outcome(Stopped); n != 1 {
		t.Errorf("%d transfers counted as stopped", n)
	}
	w.close()
	if now := openFDs(t); now > fds {
		t.Errorf("%d descriptors open, %d before", now, fds)
	}

	b = serve(t, Config{Grace: time.Minute}, map[string][]byte{"f": file})
	w = newWire(t, "127.0.0.1:0")
	w.send(b.addr, rrq("f", "octet"))
	tid := w.expect(dataPacket(file, 512, 1))
	stopped := make(chan struct{})
	go func() { b.stop(); close(stopped) }()
	for n := 1; n <= 4; n++ {
		w.send(tid, ackPacket(n))
		if n < 4 {
			w.expect(dataPacket(file, 512, n+1))
		}
	}
	<-stopped // long before the minute is over
	if n := b.outcome(Complete); n != 1 {
		t.Errorf("%d transfers completed", n)
	}
	if err := b.Serve(t.Context()); err == nil {
		t.Error("a server serves twice")
	}
	if b.Transfers() != nil || b.Close() != nil {
		t.Error("a stopped server is not quiet")
	}
}
