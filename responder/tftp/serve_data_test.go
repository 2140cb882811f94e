package tftp

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/tftp/tftptest"
)

// begin asks for a file with a window and receives the first one.
func (b *bed) begin(t *testing.T, name string, file []byte, blksize, window int) *wire {
	t.Helper()
	w := newWire(t, "127.0.0.1:0")
	w.send(b.addr, rrq(name, "octet", "blksize", itoa(blksize), "windowsize", itoa(window)))
	tid := w.expect(oackPacket("blksize", itoa(blksize), "windowsize", itoa(window)))
	if b.cfg.SinglePort != (tid == b.addr) {
		t.Errorf("answered from %v, single-port mode is %v", tid, b.cfg.SinglePort)
	}
	w.from = tid
	w.send(tid, ackPacket(0))
	w.expectBlocks(file, blksize, 1, window)
	return w
}

func TestServeWindow(t *testing.T) {
	for _, gso := range []bool{true, false} {
		testWindow(t, Config{GSO: gso})
	}
}

func testWindow(t *testing.T, cfg Config) {
	file := randomFile(64*20+5, 5)
	b := serve(t, cfg, map[string][]byte{"f": file, "g": []byte("other")})
	tid := func() (w *wire, to func(n int)) {
		w = b.begin(t, "f", file, 64, 4)
		at := b.Transfers()[0].Server
		return w, func(n int) { w.send(at, ackPacket(n)) }
	}
	abort := func(t *testing.T, w *wire) {
		t.Helper()
		b.nothing(w)
		w.send(b.Transfers()[0].Server, appendError(nil, 0, "enough"))
		b.nothing(w)
		if n := len(b.Transfers()); n != 0 {
			t.Errorf("%d transfers still run", n)
		}
	}
	statement(t, "H1 H2", "windows on the wire", func(t *testing.T) {
		w, ack := tid()
		b.nothing(w)
		ack(4)
		w.expectBlocks(file, 64, 5, 8)
		ack(6)
		w.expectBlocks(file, 64, 7, 10)
		abort(t, w)
	})
	statement(t, "H3 H4 H5", "losses on the wire", func(t *testing.T) {
		w, ack := tid()
		ack(0)
		ack(0)
		ack(0)
		w.expectBlocks(file, 64, 1, 4)
		b.nothing(w)
		ack(1)
		ack(1)
		ack(1)
		w.expectBlocks(file, 64, 2, 5)
		b.nothing(w)
		ack(5)
		w.expectBlocks(file, 64, 6, 9)
		abort(t, w)
	})
	statement(t, "H12", "ACKs of five bytes", func(t *testing.T) {
		w, _ := tid()
		w.send(b.Transfers()[0].Server, append(ackPacket(4), 16))
		w.expectBlocks(file, 64, 5, 8)
		w.send(b.Transfers()[0].Server, ackPacket(8)[:3])
		abort(t, w)
	})
	statement(t, "H13", "a stranger gets ERROR 5, the transfer goes on", func(t *testing.T) {
		w, ack := tid()
		at := b.Transfers()[0].Server
		stranger := newWire(t, "127.0.0.1:0")
		stranger.send(at, ackPacket(4))
		if from := stranger.expectError(codeUnknownTID); from != at {
			t.Errorf("ERROR from %v", from)
		}
		stranger.send(at, appendError(nil, 0, "never answered"))
		b.nothing(stranger)
		ack(4)
		w.expectBlocks(file, 64, 5, 8)
		abort(t, w)
	})
	statement(t, "H14 H15", "a request repeated, and another one from the same port", func(t *testing.T) {
		w := newWire(t, "127.0.0.1:0")
		ask := rrq("f", "octet", "blksize", "64")
		w.send(b.addr, ask)
		first := w.expect(oackPacket("blksize", "64"))
		w.send(b.addr, ask)
		if again := w.expect(oackPacket("blksize", "64")); again != first {
			t.Errorf("answered from %v, then from %v", first, again)
		}
		if n := len(b.Transfers()); n != 1 {
			t.Errorf("%d transfers", n)
		}
		superseded := b.outcome(Superseded)
		w.send(b.addr, rrq("g", "octet"))
		w.expect(dataPacket([]byte("other"), 512, 1))
		if n := len(b.Transfers()); n != 1 || b.outcome(Superseded) != superseded+1 {
			t.Errorf("%d transfers, %+v", n, b.Stats())
		}
		complete := b.outcome(Complete)
		w.send(first, ackPacket(1))
		b.nothing(w)
		if b.outcome(Complete) != complete+1 {
			t.Errorf("%+v", b.Stats())
		}
		w.send(first, ackPacket(1)) // late packets of an ended transfer are absorbed
		b.nothing(w)
		w.send(b.addr, rrq("g", "octet")) // after the end it is a new transfer
		w.expect(dataPacket([]byte("other"), 512, 1))
		w.send(first, ackPacket(1))
		b.nothing(w)
	})
	statement(t, "H16", "ICMP unreachable ends the one transfer that it is about", func(t *testing.T) {
		staying := b.begin(t, "f", file, 64, 4)
		at := b.Transfers()[0].Server
		gone := b.begin(t, "f", file, 64, 4)
		before := b.outcome(Unreachable)
		// The last acknowledgement asks for more that nobody is there to take.
		gone.send(at, ackPacket(4))
		gone.expectBlocks(file, 64, 5, 8)
		release := b.hold()
		gone.send(at, ackPacket(8))
		gone.close()
		release()
		b.eventually("the transfer ends", func(s Stats) bool { return s.Outcomes[Unreachable] == before+1 })
		staying.send(at, ackPacket(4))
		staying.expectBlocks(file, 64, 5, 8)
		abort(t, staying)
	})
	b.stop()
}

func TestServeFinalBlock(t *testing.T) { testFinalBlock(t, Config{}) }

func testFinalBlock(t *testing.T, cfg Config) {
	whole := randomFile(1024, 6)
	cfg.InitialTimeout, cfg.MaxTimeout, cfg.GiveUp, cfg.Unanswered = 5*time.Millisecond, 10*time.Millisecond, 200*time.Millisecond, 200*time.Millisecond
	b := serve(t, cfg, map[string][]byte{"empty": nil, "whole": whole})
	statement(t, "H9 H10", "an empty final block", func(t *testing.T) {
		w := newWire(t, "127.0.0.1:0")
		w.send(b.addr, rrq("empty", "octet"))
		w.expect([]byte{0, opDATA, 0, 1})
		for _, window := range []string{"1", "3", "4"} {
			var got bytes.Buffer
			c := tftptest.Client{Server: b.addr}
			r, err := c.Get(t.Context(), tftptest.Request{Name: "whole", Window: int(window[0] - '0')}, &got)
			if err != nil || !bytes.Equal(got.Bytes(), whole) || r.Blocks != 3 {
				t.Errorf("window %s: %v, %d bytes in %d blocks", window, err, got.Len(), r.Blocks)
			}
		}
	})
	statement(t, "H8", "given up", func(t *testing.T) {
		w := newWire(t, "127.0.0.1:0")
		before := b.outcome(TimedOut)
		w.send(b.addr, rrq("whole", "octet"))
		for range 4 {
			w.expect(dataPacket(whole, 512, 1))
		}
		b.eventually("given up", func(s Stats) bool { return s.Outcomes[TimedOut] > before && s.Timeouts >= 3 && s.Retransmits >= 3 })
	})
	statement(t, "H17", "the final ACK is missing", func(t *testing.T) {
		w := newWire(t, "127.0.0.1:0")
		before := b.Stats()
		w.send(b.addr, rrq("empty", "octet"))
		for range 4 {
			w.expect([]byte{0, opDATA, 0, 1})
		}
		b.eventually("complete", func(s Stats) bool {
			return s.Outcomes[Complete] > before.Outcomes[Complete] && s.Unconfirmed > before.Unconfirmed
		})
	})
}

func TestServeChangedFile(t *testing.T) {
	const blksize, size = 512, 512*20 + 100
	old := randomFile(size, 7)
	for _, c := range []struct {
		what   string
		change func(path string) error
		kept   bool // the client gets the old bytes
	}{
		{"replaced by rename", func(p string) error {
			if err := os.WriteFile(p+".new", randomFile(size, 8), 0o644); err != nil {
				return err
			}
			return os.Rename(p+".new", p)
		}, true},
		{"unlinked", os.Remove, true},
		{"truncated", func(p string) error { return os.Truncate(p, 5000) }, false},
		{"truncated to nothing", func(p string) error { return os.Truncate(p, 0) }, false},
		{"truncated and extended again", func(p string) error {
			return errors.Join(os.Truncate(p, 5000), os.Truncate(p, size))
		}, false},
		{"overwritten within the second", func(p string) error {
			f, err := os.OpenFile(p, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt([]byte("new"), size-200)
			return errors.Join(err, os.Chtimes(p, time.Time{}, time.Unix(1e9, 1)))
		}, false},
		{"grown", func(p string) error { return os.Truncate(p, size+1) }, false},
		{"overwritten in place", func(p string) error {
			f, err := os.OpenFile(p, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt([]byte("new"), size-200)
			return err
		}, false},
	} {
		statement(t, "H20", c.what, func(t *testing.T) {
			b := serve(t, Config{GSO: true}, map[string][]byte{"f": old})
			w := b.begin(t, "f", old, blksize, 4)
			tid := b.Transfers()[0].Server
			if err := c.change(filepath.Join(b.dir, "f")); err != nil {
				t.Fatal(err)
			}
			var got []byte
			got = append(got, old[:4*blksize]...)
			w.send(tid, ackPacket(4))
			for n := 5; ; n++ {
				p, _ := w.recv()
				if p[1] == opERROR {
					if c.kept || p[3] != codeUndefined {
						t.Errorf("got %q", p)
					}
					b.sync()
					if b.outcome(FileChanged) != 1 || len(b.Transfers()) != 0 {
						t.Errorf("%+v", b.Stats())
					}
					return
				}
				got = append(got, p[4:]...)
				if len(p)-4 < blksize {
					break
				}
				if n%4 == 0 {
					w.send(tid, ackPacket(n))
				}
			}
			if !c.kept || !bytes.Equal(got, old) {
				t.Errorf("the client completes with %d bytes, the old ones: %v", len(got), bytes.Equal(got, old))
			}
		})
	}
}

// TestServeConcurrent has 500 clients at once, some sharing a file.
func TestServeConcurrent(t *testing.T) {
	statement(t, "H19", "no cross-talk between concurrent transfers", func(t *testing.T) {
		const clients, names, size = 500, 20, 128 << 10
		files := map[string][]byte{}
		for i := range names {
			files[fmt.Sprint("file", i)] = randomFile(size+i, uint64(i))
		}
		b := serve(t, Config{GSO: true, Workers: 2}, files)
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range clients {
			name := fmt.Sprint("file", i%names)
			request := tftptest.Request{Name: name, Tsize: true, Blksize: []int{512, 1000, 1468}[i%3], Window: []int{0, 4, 16}[i/3%3]}
			wg.Go(func() {
				<-start
				var got bytes.Buffer
				c := tftptest.Client{Server: b.addr}
				if r, err := c.Get(t.Context(), request, &got); err != nil {
					t.Errorf("client %d: %v, %+v", i, err, r)
				} else if !bytes.Equal(got.Bytes(), files[name]) {
					t.Errorf("client %d: wrong bytes of %s", i, name)
				}
			})
		}
		close(start)
		wg.Wait()
		b.eventually("all complete", func(s Stats) bool { return s.Outcomes[Complete] == clients && s.Active == 0 })
	})
}

// TestServeLoss is the same as TestLossInSimulation with everything real.
func TestServeLoss(t *testing.T) {
	files := map[string][]byte{}
	for _, size := range []int{0, 1, 512 * 7, 1468 * 64, 100_000, 1 << 20} {
		files[fmt.Sprint(size)] = randomFile(size, uint64(size))
	}
	timing := Config{GSO: true, InitialTimeout: 10 * time.Millisecond, MinTimeout: 10 * time.Millisecond, MaxTimeout: 40 * time.Millisecond, GiveUp: 10 * time.Second}
	for _, host := range []string{"127.0.0.1", "::1"} {
		b := serve(t, timing, files)
		t.Run(host, func(t *testing.T) {
			server := hostPort(t, host, b.Port())
			for name, file := range files {
				for _, c := range []struct{ blksize, window int }{{0, 0}, {1448, 4}, {1448, 64}} {
					if c.window == 0 && len(file) > 100_000 {
						c.blksize = 8192 // fewer blocks to wait for a timer
					}
					for _, chance := range []float64{0.01, 0.10} {
						for _, everyGap := range []bool{false, true} {
							t.Run(fmt.Sprintf("%s bytes, window %d, %g %%, every gap %v", name, c.window, 100*chance, everyGap), func(t *testing.T) {
								t.Parallel()
								var got bytes.Buffer
								client := tftptest.Client{Server: server, EveryGap: everyGap, Retry: 50 * time.Millisecond, Tries: 100, Seed: uint64(len(file)),
									Faults: tftptest.Faults{Loss: chance, Duplicate: chance, Reorder: chance}}
								r, err := client.Get(t.Context(), tftptest.Request{Name: name, Blksize: c.blksize, Window: c.window}, &got)
								if err != nil {
									t.Fatalf("%v after %d blocks", err, r.Blocks)
								}
								if !bytes.Equal(got.Bytes(), file) {
									t.Fatalf("%d bytes arrived, not the file", got.Len())
								}
							})
						}
					}
				}
			}
		})
		b.stop()
	}
}

func TestServeRollover(t *testing.T) { testRollover(t, Config{GSO: true}) }

func testRollover(t *testing.T, cfg Config) {
	file := randomFile(8*70_001+3, 9)
	b := serve(t, cfg, map[string][]byte{"f": file})
	for _, window := range []int{3, 64} {
		statement(t, "H11", fmt.Sprintf("more than 65,535 blocks, window %d", window), func(t *testing.T) {
			var got bytes.Buffer
			c := tftptest.Client{Server: b.addr}
			r, err := c.Get(t.Context(), tftptest.Request{Name: "f", Blksize: 8, Window: window}, &got)
			if err != nil || !bytes.Equal(got.Bytes(), file) || r.Blocks != 70_002 {
				t.Errorf("%v, %d bytes in %d blocks", err, got.Len(), r.Blocks)
			}
		})
	}
}

// markedZeros checks a stream that is zero but for marks at some offsets.
type markedZeros struct {
	marks map[int64]byte // one byte each
	at    int64
	wrong string
}

func (z *markedZeros) Write(p []byte) (int, error) {
	rest := p
	for len(rest) > 0 {
		n := min(len(rest), len(zeros))
		if !bytes.Equal(rest[:n], zeros[:n]) {
			for i, v := range rest[:n] {
				if v != 0 && z.marks[z.at+int64(i)] != v && z.wrong == "" {
					z.wrong = fmt.Sprintf("byte %d is %d", z.at+int64(i), v)
				}
				if v != 0 {
					delete(z.marks, z.at+int64(i))
				}
			}
		}
		z.at += int64(n)
		rest = rest[n:]
	}
	return len(p), nil
}

var zeros = make([]byte, 1<<16)

func TestServePast4GiB(t *testing.T) {
	b := serve(t, Config{GSO: true}, nil)
	f, err := os.Create(filepath.Join(b.dir, "huge"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 4<<30 + 4<<20 + 11
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	z := &markedZeros{marks: map[int64]byte{}}
	for i, off := range []int64{0, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<32 + 1, size - 1} {
		z.marks[off] = byte(i + 1)
		if _, err := f.WriteAt([]byte{byte(i + 1)}, off); err != nil {
			t.Fatal(err)
		}
	}
	c := tftptest.Client{Server: b.addr}
	r, err := c.Get(t.Context(), tftptest.Request{Name: "huge", Tsize: true, Blksize: 65464, Window: 8}, z)
	if err != nil || r.Size != size || z.at != size || z.wrong != "" || len(z.marks) != 0 {
		t.Errorf("%v: tsize %d, %d bytes, %s, marks missing: %v", err, r.Size, z.at, z.wrong, z.marks)
	}
}

// TestSegmentationChangesNothing compares the datagrams with and without UDP_SEGMENT.
func TestSegmentationChangesNothing(t *testing.T) {
	file := randomFile(1<<20+77, 10)
	var streams [2]strings.Builder
	for i, gso := range []bool{true, false} {
		b := serve(t, Config{GSO: gso}, map[string][]byte{"f": file})
		if got := b.workers[0].endpoints[0].gso; got != gso {
			t.Fatalf("segmentation is %v, asked for %v", got, gso)
		}
		for _, request := range []tftptest.Request{
			{Name: "f"}, {Name: "f", Blksize: 8, Window: 64}, {Name: "f", Blksize: 1468, Window: 64}, {Name: "f", Blksize: 1468, Window: 7, Tsize: true},
			{Name: "f", Blksize: 30000, Window: 5}, {Name: "f", Blksize: 40000, Window: 5}, {Name: "f", Blksize: 65464, Window: 2},
		} {
			if request.Blksize == 8 {
				request.Name = "small"
				b.write("small", file[:20_001])
			}
			w := newWire(t, "127.0.0.1:0")
			tftptest.GrowReadBuffer(w.conn)
			r := tftptest.NewReceiver(request, io.Discard)
			w.send(b.addr, r.Last())
			for !r.Done {
				p, tid := w.recv()
				fmt.Fprintf(&streams[i], "%x %d %08x\n", p[:4], len(p), crc32.ChecksumIEEE(p))
				answer, err := r.Take(p)
				if err != nil {
					t.Fatal(err)
				}
				if answer != nil {
					w.send(tid, answer)
				}
			}
			if want := len(file); r.Unwanted != 0 || request.Name == "f" && int(r.Bytes) != want {
				t.Fatalf("%+v: %d bytes, %d unwanted packets", request, r.Bytes, r.Unwanted)
			}
		}
		b.stop()
	}
	if streams[0].String() != streams[1].String() {
		t.Error("the datagrams differ")
	}
}
