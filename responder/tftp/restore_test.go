package tftp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/responder/tftp/resume"
	"github.com/xdpxe/xdpxe/responder/tftp/tftptest"
)

// keeper is a socket store in this process.
type keeper struct {
	t    testing.TB
	mu   sync.Mutex
	held map[string]int
}

func newKeeper(t testing.TB) *keeper {
	k := &keeper{t: t, held: map[string]int{}}
	t.Cleanup(func() {
		for _, fd := range k.held {
			unix.Close(fd)
		}
	})
	return k
}

func (k *keeper) dup(fd int) int {
	d, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		k.t.Error(err)
	}
	return d
}

func (k *keeper) Take(prefix string) map[string]int {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := map[string]int{}
	for name, fd := range k.held {
		if strings.HasPrefix(name, prefix) {
			out[name] = k.dup(fd)
		}
	}
	return out
}

func (k *keeper) Store(name string, fd int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.held[name]; ok {
		return fmt.Errorf("%s is stored already", name)
	}
	k.held[name] = k.dup(fd)
	return nil
}

func (k *keeper) Remove(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	fd, ok := k.held[name]
	if !ok {
		return fmt.Errorf("%s is not stored", name)
	}
	delete(k.held, name)
	return unix.Close(fd)
}

func (k *keeper) names() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.held)
}

// lasting is a configuration whose transfers outlive the server.
func lasting(t testing.TB) (Config, *keeper) {
	k := newKeeper(t)
	return Config{State: filepath.Join(t.TempDir(), "state"), Sockets: k, InitialTimeout: 50 * time.Millisecond}, k
}

// A transfer goes on from the same port at the block after the last one that was
// acknowledged, in whatever phase it was.
func TestGoesOn(t *testing.T) {
	cfg, _ := lasting(t)
	cfg.InitialTimeout = time.Hour // only the restart makes anything be sent again
	cfg.MinTimeout, cfg.MaxTimeout, cfg.GiveUp, cfg.Unanswered = time.Hour, time.Hour, time.Hour, time.Hour
	file := bytes.Repeat([]byte("0123456789abcdef"), 200) // 3,200 bytes
	b := serve(t, cfg, map[string][]byte{"f": file})
	port := b.Port()

	running := newWire(t, "127.0.0.1:0")
	request := rrq("f", "octet", "blksize", "100", "windowsize", "4")
	running.send(b.addr, request)
	tid := running.expect(oackPacket("blksize", "100", "windowsize", "4"))
	running.send(tid, ackPacket(0))
	running.expectBlocks(file, 100, 1, 4)
	running.send(tid, ackPacket(4))
	running.expectBlocks(file, 100, 5, 8)

	negotiating := newWire(t, "127.0.0.1:0")
	negotiating.send(b.addr, rrq("f", "octet", "tsize", "0"))
	tid2 := negotiating.expect(oackPacket("tsize", "3200"))

	plain := newWire(t, "127.0.0.1:0")
	plain.send(b.addr, rrq("f", "octet"))
	tid3 := plain.expect(dataPacket(file, 512, 1))

	answered := newWire(t, "127.0.0.1:0") // its acknowledgement waits in the socket
	answered.send(b.addr, rrq("f", "octet"))
	tid4 := answered.expect(dataPacket(file, 512, 1))

	b.stop()
	answered.send(tid4, ackPacket(1))
	b.run(cfg)
	if b.Port() != port {
		t.Errorf("requests on port %d, were on %d", b.Port(), port)
	}
	if st := b.Stats(); st.Restored != 4 || st.Lost != 0 || st.Active != 4 {
		t.Errorf("%+v", st)
	}
	if from := running.expect(dataPacket(file, 100, 5)); from != tid {
		t.Errorf("goes on from %v, was %v", from, tid)
	}
	running.expectBlocks(file, 100, 6, 8)
	if from := negotiating.expect(oackPacket("tsize", "3200")); from != tid2 {
		t.Errorf("goes on from %v, was %v", from, tid2)
	}
	if from := plain.expect(dataPacket(file, 512, 1)); from != tid3 {
		t.Errorf("goes on from %v, was %v", from, tid3)
	}
	if from := answered.expect(dataPacket(file, 512, 2)); from != tid4 {
		t.Errorf("goes on from %v, was %v", from, tid4)
	}

	// A late copy of its request is known for one.
	running.send(b.addr, request)
	b.nothing(running)
	if n := b.Stats().Repeated; n != 1 {
		t.Errorf("%d repeated requests, want 1", n)
	}
	for base := 8; base < 33; base += 4 {
		running.send(tid, ackPacket(base))
		running.expectBlocks(file, 100, base+1, min(base+4, 33))
	}
	running.send(tid, ackPacket(33))
	b.eventually("the transfer that went on completes", func(st Stats) bool { return st.Outcomes[Complete] == 1 })
}

// Clients with windows download while the server is restarted again and again,
// with other numbers of workers each time: all get what they asked for, having asked once.
func TestGoesOnUnderLoad(t *testing.T) {
	cfg, k := lasting(t)
	file := make([]byte, 3<<20)
	rand.NewChaCha8([32]byte{}).Read(file)
	cfg.Workers = 2
	b := serve(t, cfg, map[string][]byte{"f": file})
	addr := b.addr
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var clients sync.WaitGroup
	const n = 20
	var requests, complete uint64
	end := func() {
		b.stop()
		st := b.Stats()
		requests += st.Requests - st.Outcomes[NotFound] // bed.sync's
		complete += st.Outcomes[Complete]
		if st.Lost != 0 {
			t.Errorf("%d transfers lost", st.Lost)
		}
	}
	for i := range n {
		clients.Go(func() {
			var got bytes.Buffer
			c := tftptest.Client{Server: addr, Retry: 10 * time.Second}
			_, err := c.Get(ctx, tftptest.Request{Name: "f", Blksize: 1000, Window: 8}, &got)
			if err != nil || !bytes.Equal(got.Bytes(), file) {
				t.Errorf("client %d: %d bytes, %v", i, got.Len(), err)
			}
		})
	}
	b.eventually("all run", func(st Stats) bool { return st.Blocks > n*100 })
	for _, workers := range []int{2, 3, 1, 2} {
		cfg.Workers = workers
		end()
		b.run(cfg)
		before := b.Stats().Blocks
		b.eventually("they go on", func(st Stats) bool { return st.Blocks > before+n*100 || st.Active == 0 })
	}
	clients.Wait()
	end()
	if requests != n || complete != n {
		t.Errorf("%d requests, %d transfers complete; want %d", requests, complete, n)
	}
	cfg.Workers = 1
	b.run(cfg)
	if want := 2 * len(b.workers[0].endpoints); k.names() != want {
		t.Errorf("%d sockets are kept, want %d", k.names(), want)
	}
}

func TestFileChangedBetween(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"replaced": func(p string) error {
			if err := os.WriteFile(p+".new", bytes.Repeat([]byte("B"), 2000), 0o644); err != nil {
				return err
			}
			if err := os.Chtimes(p+".new", time.Unix(1e9, 0), time.Unix(1e9, 0)); err != nil {
				return err
			}
			return os.Rename(p+".new", p)
		},
		"written to": func(p string) error { return os.WriteFile(p, bytes.Repeat([]byte("B"), 2000), 0o644) },
		"truncated": func(p string) error {
			if err := os.Truncate(p, 100); err != nil {
				return err
			}
			return os.Chtimes(p, time.Unix(1e9, 0), time.Unix(1e9, 0))
		},
		"removed":         os.Remove,
		"a directory now": func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o755)) },
		"a link out now":  func(p string) error { return errors.Join(os.Remove(p), os.Symlink("/etc/passwd", p)) },
	} {
		t.Run(name, func(t *testing.T) {
			cfg, _ := lasting(t)
			file := bytes.Repeat([]byte("A"), 2000)
			b := serve(t, cfg, map[string][]byte{"f": file})
			w := newWire(t, "127.0.0.1:0")
			w.send(b.addr, rrq("f", "octet"))
			tid := w.expect(dataPacket(file, 512, 1))
			b.stop()
			if err := change(filepath.Join(b.dir, "f")); err != nil {
				t.Fatal(err)
			}
			b.run(cfg)
			for {
				p, from := w.recv()
				if bytes.Equal(p, dataPacket(file, 512, 1)) {
					continue // repeated before the end
				}
				if from != tid || p[1] != opERROR {
					t.Errorf("%v sent %.40q, want an ERROR from %v", from, p, tid)
				}
				break
			}
			if n := b.outcome(FileChanged); n != 1 {
				t.Errorf("%d transfers ended so, want 1", n)
			}
		})
	}
}

// Whatever the state says, the server serves; what cannot go on is counted.
func TestStateOfNoUse(t *testing.T) {
	file := bytes.Repeat([]byte("A"), 2000)
	for name, c := range map[string]struct {
		spoil func(t *testing.T, cfg *Config, k *keeper)
		lost  uint64
	}{
		"no file": {func(t *testing.T, cfg *Config, _ *keeper) { must(t, os.Remove(cfg.State)) }, 0},
		"foreign": {func(t *testing.T, cfg *Config, _ *keeper) {
			must(t, os.WriteFile(cfg.State, []byte("something"), 0o600))
		}, 0},
		"directory": {func(t *testing.T, cfg *Config, _ *keeper) {
			must(t, os.Remove(cfg.State))
			must(t, os.Mkdir(cfg.State, 0o700))
		}, 0},
		"no socket": {func(_ *testing.T, _ *Config, k *keeper) {
			for name := range k.Take("") {
				k.Remove(name)
			}
		}, 1},
		"another's socket": {func(t *testing.T, _ *Config, k *keeper) {
			must(t, k.Remove("tftp-data-0"))
			fd, err := openSocket(netip.MustParseAddr("0.0.0.0"), 0, false)
			must(t, err)
			must(t, k.Store("tftp-data-0", fd))
			must(t, unix.Close(fd))
		}, 1},
		"no UDP socket": {func(t *testing.T, _ *Config, k *keeper) {
			must(t, k.Remove("tftp-data-0"))
			l, err := net.Listen("tcp", "127.0.0.1:0")
			must(t, err)
			f, err := l.(*net.TCPListener).File()
			must(t, err)
			must(t, k.Store("tftp-data-0", int(f.Fd())))
			f.Close()
			l.Close()
		}, 1},
		"fewer places": {func(t *testing.T, cfg *Config, _ *keeper) { cfg.MaxTransfers = 1 }, 0},
		"in use": {func(t *testing.T, cfg *Config, _ *keeper) {
			s, err := resume.Create(cfg.State, 1)
			must(t, err)
			must(t, s.Publish())
			t.Cleanup(func() { s.Close() })
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, k := lasting(t)
			b := serve(t, cfg, map[string][]byte{"f": file})
			w := newWire(t, "127.0.0.1:0")
			w.send(b.addr, rrq("f", "octet"))
			w.expect(dataPacket(file, 512, 1))
			b.stop()
			c.spoil(t, &cfg, k)
			b.run(cfg)
			if st := b.Stats(); st.Lost != c.lost {
				t.Errorf("%d lost, want %d", st.Lost, c.lost)
			}
			next := newWire(t, "127.0.0.1:0")
			next.send(b.addr, rrq("f", "octet"))
			if name != "fewer places" {
				next.expect(dataPacket(file, 512, 1))
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// In single-port mode the kernel spreads clients over the sockets of the last
// process, so their number stays whatever the number of workers is.
func TestSinglePortGoesOn(t *testing.T) {
	cfg, k := lasting(t)
	cfg.SinglePort, cfg.Workers = true, 3
	cfg.InitialTimeout = time.Hour
	cfg.MinTimeout, cfg.MaxTimeout, cfg.GiveUp, cfg.Unanswered = time.Hour, time.Hour, time.Hour, time.Hour
	file := bytes.Repeat([]byte("0123456789abcdef"), 200)
	b := serve(t, cfg, map[string][]byte{"f": file})
	var wires []*wire
	for range 20 {
		w := newWire(t, "127.0.0.1:0")
		w.send(b.addr, rrq("f", "octet", "blksize", "1000"))
		w.expect(oackPacket("blksize", "1000"))
		w.send(b.addr, ackPacket(0))
		w.expect(dataPacket(file, 1000, 1))
		wires = append(wires, w)
	}
	kept := k.names()
	for block, workers := range []int{3, 5, 1, 2} {
		cfg.Workers = workers
		b.stop()
		b.run(cfg)
		for _, w := range wires {
			// After the restart, the last block again; then the next one.
			if from := w.expect(dataPacket(file, 1000, block+1)); from != b.addr {
				t.Fatalf("goes on from %v", from)
			}
			w.send(b.addr, ackPacket(block+1))
			if block < 3 {
				w.expect(dataPacket(file, 1000, block+2))
			}
		}
		if k.names() != kept {
			t.Errorf("%d workers: %d sockets are kept, were %d", workers, k.names(), kept)
		}
	}
	b.eventually("all complete", func(st Stats) bool { return st.Outcomes[Complete] == uint64(len(wires)) })
}

// What is known of a transfer after a restart is its base: whatever the client
// says next, it gets what it lacks.
func TestGoOn(t *testing.T) {
	g := grant{blksize: 100, window: 4, options: optWindowsize}
	const size = 1000 // 11 blocks
	at := instant(5 * time.Second)
	when := at.add(time.Millisecond)
	for _, c := range []struct {
		name     string
		base     uint64
		ack      int // -1: none comes
		from, to uint64
		oack     bool
	}{
		{"no answer: the window again", 5, -1, 5, 9, false},
		{"no answer at the end", 9, -1, 9, 12, false},
		{"the whole window arrived", 5, 8, 9, 12, false},
		{"a part of it", 5, 6, 7, 11, false},
		{"nothing of it", 5, 4, 5, 9, false},
		{"an old one", 5, 2, 5, 9, false},
		{"one of the future", 5, 9, 5, 9, false},
		{"OACK, no answer", 0, -1, 0, 0, true},
		{"OACK acknowledged", 0, 0, 1, 5, false},
		{"OACK acknowledged before", 1, -1, 1, 5, false},
	} {
		var x transfer
		x.goOn(at, size, g, c.base, when)
		if x.pending(at) {
			t.Errorf("%s: something is due at once", c.name)
		}
		if c.ack >= 0 {
			if how := x.ack(uint16(c.ack), at, &testTiming); how != running {
				t.Errorf("%s: %v", c.name, how)
			}
		}
		if !x.pending(at) {
			if how := x.expire(when, &testTiming); how != running {
				t.Errorf("%s: %v", c.name, how)
			}
		}
		if oack, from, to := x.due(when); oack != c.oack || !oack && (from != c.from || to != c.to) {
			t.Errorf("%s: due are OACK %v, %d to %d; want %v, %d to %d", c.name, oack, from, to, c.oack, c.from, c.to)
		}
		if _, known := x.rtt.timeout(); known {
			t.Errorf("%s: a round trip over the restart", c.name)
		}
		if x.outstanding() != x.base && !c.oack {
			t.Errorf("%s: outstanding %d, base %d", c.name, x.outstanding(), x.base)
		}
	}
	var x transfer
	x.goOn(at, size, g, 9, when)
	if how := x.ack(11, at, &testTiming); how != Complete {
		t.Errorf("the final acknowledgement waited in the socket: %v", how)
	}
}
