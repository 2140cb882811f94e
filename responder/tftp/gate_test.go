package tftp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/tftp/tftptest"
	"golang.org/x/sys/unix"
)

// gateFunc is a Gate that lets all have the file of the bed's own requests.
type gateFunc func(o Opening) Grant

func (g gateFunc) Open(o Opening) Grant {
	if o.Name == "no such file" {
		return Grant{}
	}
	return g(o)
}

// witness is a Follower that writes down what it hears.
type witness struct {
	holds bool
	last  func(ctx context.Context) error

	mu    sync.Mutex
	heard []string
	asks  chan struct{} // one for each LastBlock
	ended chan Ending
}

func newWitness(last func(ctx context.Context) error) *witness {
	return &witness{holds: last != nil, last: last, asks: make(chan struct{}, 16), ended: make(chan Ending, 1)}
}

func (w *witness) hear(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = append(w.heard, fmt.Sprintf(format, args...))
}

func (w *witness) Holds() bool      { return w.holds }
func (w *witness) Began(size int64) { w.hear("began %d", size) }
func (w *witness) Moved(int64)      {} // a matter of the clock
func (w *witness) LastBlock(ctx context.Context) error {
	w.hear("last")
	w.asks <- struct{}{}
	return w.last(ctx)
}

func (w *witness) Ended(e Ending) {
	w.hear("ended %v", e.Outcome)
	w.ended <- e
}

// expectEnd waits for the end and compares all that was heard.
func (w *witness) expectEnd(t *testing.T, how Outcome, heard ...string) Ending {
	t.Helper()
	select {
	case e := <-w.ended:
		w.mu.Lock()
		defer w.mu.Unlock()
		if e.Outcome != how || !slices.Equal(w.heard, heard) {
			t.Errorf("ended %v, heard %q; want %v, %q", e.Outcome, w.heard, how, heard)
		}
		return e
	case <-time.After(20 * time.Second):
		t.Fatal("heard of no end")
		return Ending{}
	}
}

func (w *witness) expectAsked(t *testing.T) {
	t.Helper()
	select {
	case <-w.asks:
	case <-time.After(20 * time.Second):
		t.Fatal("was not asked for the last block")
	}
}

// latch is a LastBlock that waits to be let go.
func latch() (last func(context.Context) error, let func(error)) {
	answers := make(chan error, 1)
	return func(ctx context.Context) error {
		select {
		case err := <-answers:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}, func(err error) { answers <- err }
}

func TestGateRefuses(t *testing.T) {
	for _, c := range []struct {
		grant Grant
		want  []byte // nil: silence
	}{
		{Grant{How: Refused, Text: "not yours"}, []byte("\x00\x05\x00\x02not yours\x00")},
		{Grant{How: Refused}, []byte("\x00\x05\x00\x02not for this client\x00")},
		{Grant{How: BadTemplate, Text: "bad\nscript\x00é", Err: errors.New("x.tmpl:1:2: is bad")}, []byte("\x00\x05\x00\x00bad?script??\x00")},
		{Grant{How: NotFound}, []byte("\x00\x05\x00\x01file not found\x00")},
		{Grant{How: Refused, Text: strings.Repeat("x", 1000)}, []byte("\x00\x05\x00\x02" + strings.Repeat("x", maxText) + "\x00")},
		{Grant{How: Busy}, nil},
	} {
		t.Run(c.grant.How.String()+" "+c.grant.Text[:min(8, len(c.grant.Text))], func(t *testing.T) {
			asked := make(chan Opening, 1)
			b := serve(t, Config{Gate: gateFunc(func(o Opening) Grant { asked <- o; return c.grant })}, map[string][]byte{"f": []byte("data")})
			w := newWire(t, "127.0.0.1:0")
			w.send(b.addr, rrq("f", "octet"))
			if c.want == nil {
				b.eventually("it is counted", func(st Stats) bool { return st.Outcomes[Busy] == 1 })
				b.nothing(w)
			} else {
				w.expect(c.want)
			}
			if got := <-asked; got.Client != w.addr() || got.Name != "f" || got.Server != b.addr.Addr() || got.Write || got.Restored || got.ID == "" || got.Root == nil {
				t.Errorf("asked about %+v", got)
			}
			if n := b.outcome(c.grant.How); n != 1 {
				t.Errorf("%v is counted %d times", c.grant.How, n)
			}
		})
	}
}

// What the gate makes is served as a file would be.
func TestGateContent(t *testing.T) {
	for _, size := range []int{0, 1, 511, 512, 513, 100_000} {
		data := randomFile(size, uint64(size))
		witness := newWitness(nil)
		b := serve(t, Config{GSO: true, Gate: gateFunc(func(Opening) Grant { return Grant{Content: data, Follow: witness} })}, map[string][]byte{"made": []byte("the file")})
		var got bytes.Buffer
		c := tftptest.Client{Server: b.addr}
		r, err := c.Get(t.Context(), tftptest.Request{Name: `\MADE`, Tsize: true, Blksize: 512, Window: 8}, &got)
		if err != nil || !bytes.Equal(got.Bytes(), data) || r.Size != int64(size) {
			t.Errorf("%d bytes: got %d, tsize %d, %v", size, got.Len(), r.Size, err)
		}
		e := witness.expectEnd(t, Complete, fmt.Sprintf("began %d", size), "ended complete")
		if !e.Confirmed || e.Acknowledged != int64(size) {
			t.Errorf("%d bytes: %+v", size, e)
		}
		b.stop()
		if n := b.opener.made.Load(); n != 0 {
			t.Errorf("%d bytes: %d are not given back", size, n)
		}
	}
}

// No more is made at a time than there is room for.
func TestGateContentBounded(t *testing.T) {
	b := serve(t, Config{Gate: gateFunc(func(Opening) Grant { return Grant{Content: make([]byte, 100)} })}, nil)
	b.opener.made.Store(maxMade - 50)
	w := newWire(t, "127.0.0.1:0")
	w.send(b.addr, rrq("f", "octet"))
	b.eventually("silence", func(st Stats) bool { return st.Outcomes[Busy] == 1 })
	b.nothing(w)
	if n := b.opener.made.Load(); n != maxMade-50 {
		t.Errorf("%d bytes are left", n)
	}
}

func TestNoSuchFileIsHeardOf(t *testing.T) {
	witness := newWitness(func(context.Context) error { return nil })
	b := serve(t, Config{Gate: gateFunc(func(Opening) Grant { return Grant{Follow: witness} })}, nil)
	w := newWire(t, "127.0.0.1:0")
	w.send(b.addr, rrq("f", "octet"))
	w.expectError(codeNotFound)
	witness.expectEnd(t, NotFound, "ended not_found")
}

// The last block waits for its leave, whatever the way of the transfer, and is
// asked for once, also if it is lost.
func TestHold(t *testing.T) {
	for _, c := range []struct {
		name    string
		size    int
		options []string
		blksize int
		window  int
	}{
		{"lock-step", 1200, nil, 512, 1},
		{"lock-step with options", 1200, []string{"blksize", "400"}, 400, 1},
		{"one window", 1000, []string{"blksize", "100", "windowsize", "16"}, 100, 16},
		{"windows", 1000, []string{"blksize", "100", "windowsize", "4"}, 100, 4},
		{"empty last block", 1024, []string{"blksize", "512", "windowsize", "4"}, 512, 4},
		{"one block", 10, nil, 512, 1},
		{"one block with options", 10, []string{"blksize", "512"}, 512, 1},
		{"nothing", 0, []string{"blksize", "512"}, 512, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := randomFile(c.size, 7)
			last, let := latch()
			witness := newWitness(last)
			cfg := Config{GSO: true, InitialTimeout: 200 * time.Millisecond, Gate: gateFunc(func(Opening) Grant { return Grant{Follow: witness} })}
			b := serve(t, cfg, map[string][]byte{"f": file})
			w := newWire(t, "127.0.0.1:0")
			w.send(b.addr, rrq(append([]string{"f", "octet"}, c.options...)...))
			tid := b.addr
			if c.options != nil {
				tid = w.expect(oackPacket(c.options...))
				if w.asked(witness) {
					t.Error("asked before the client has shown that it is there")
				}
				w.send(tid, ackPacket(0))
			}
			blocks := c.size/c.blksize + 1
			for base := 0; base < blocks-1; base += c.window {
				to := min(base+c.window, blocks-1)
				for n := base + 1; n <= to; n++ {
					tid = w.expect(dataPacket(file, c.blksize, n))
				}
				if to == base+c.window {
					if w.asked(witness) {
						t.Error("asked before its turn")
					}
					w.send(tid, ackPacket(to))
				}
			}
			witness.expectAsked(t)
			b.sync()
			w.noBlock(blocks)
			let(nil)
			want := dataPacket(file, c.blksize, blocks)
			var got []byte
			for !bytes.Equal(got, want) { // others may come again
				got, tid = w.recv()
			}
			w.expect(want) // as if it were lost
			w.send(tid, ackPacket(blocks))
			e := witness.expectEnd(t, Complete, fmt.Sprintf("began %d", c.size), "last", "ended complete")
			if !e.Confirmed || e.Acknowledged != int64(c.size) || e.Why != "" {
				t.Errorf("%+v", e)
			}
		})
	}
}

// asked says whether the last block was asked for by now.
func (w *wire) asked(of *witness) bool { return len(of.asks) > 0 }

// noBlock checks that of what has come by now nothing is block n.
func (w *wire) noBlock(n int) {
	w.t.Helper()
	raw, err := w.conn.SyscallConn()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		var buf [1 << 16]byte
		for {
			if got, _, err := unix.Recvfrom(int(fd), buf[:], unix.MSG_DONTWAIT); err != nil || got < headerLen {
				return
			}
			if int(binary.BigEndian.Uint16(buf[2:])) == n {
				w.t.Errorf("block %d has come", n)
			}
		}
	}); err != nil {
		w.t.Fatal(err)
	}
}

// What a window lost is sent again while its last block is held back.
func TestHoldRepairs(t *testing.T) {
	file := randomFile(950, 9)
	last, let := latch()
	witness := newWitness(last)
	b := serve(t, Config{MinTimeout: time.Hour, InitialTimeout: time.Hour, MaxTimeout: time.Hour, GiveUp: time.Hour,
		Gate: gateFunc(func(Opening) Grant { return Grant{Follow: witness} })}, map[string][]byte{"f": file})
	w := newWire(t, "127.0.0.1:0")
	w.send(b.addr, rrq("f", "octet", "blksize", "100", "windowsize", "16"))
	tid := w.expect(oackPacket("blksize", "100", "windowsize", "16"))
	w.send(tid, ackPacket(0))
	w.expectBlocks(file, 100, 1, 9)
	witness.expectAsked(t)
	w.send(tid, ackPacket(4)) // 5 is lost
	w.expectBlocks(file, 100, 5, 9)
	b.nothing(w)
	w.send(tid, ackPacket(9))
	b.nothing(w)
	let(nil)
	w.expectBlocks(file, 100, 10, 10)
	w.send(tid, ackPacket(10))
	witness.expectEnd(t, Complete, "began 950", "last", "ended complete")
}

func TestWithheld(t *testing.T) {
	last, let := latch()
	witness := newWitness(last)
	b := serve(t, Config{Gate: gateFunc(func(Opening) Grant { return Grant{Follow: witness} })}, map[string][]byte{"f": []byte("data")})
	w := newWire(t, "127.0.0.1:0")
	w.send(b.addr, rrq("f", "octet"))
	witness.expectAsked(t)
	let(errors.New("deployment x was used up before"))
	w.expect([]byte("\x00\x05\x00\x00deployment x was used up before\x00"))
	e := witness.expectEnd(t, Withheld, "began 4", "last", "ended withheld")
	if e.Why != "deployment x was used up before" || e.Confirmed || e.Acknowledged != 0 {
		t.Errorf("%+v", e)
	}
	if b.outcome(Withheld) != 1 || b.Stats().Blocks != 0 {
		t.Errorf("%+v", b.Stats())
	}
	w.send(b.addr, ackPacket(1)) // as an answer to nothing
	b.nothing(w)
}

// Nothing is used up for a file that cannot be sent to its end.
func TestHoldOfChangedFile(t *testing.T) {
	witness := newWitness(func(context.Context) error { return nil })
	b := serve(t, Config{Gate: gateFunc(func(Opening) Grant { return Grant{Follow: witness} })}, map[string][]byte{"f": make([]byte, 1000)})
	w := newWire(t, "127.0.0.1:0")
	w.send(b.addr, rrq("f", "octet"))
	tid := w.expect(dataPacket(make([]byte, 1000), 512, 1))
	b.write("f", make([]byte, 900))
	w.send(tid, ackPacket(1))
	w.expectError(codeUndefined)
	witness.expectEnd(t, FileChanged, "began 1000", "ended file_changed")
}

// A client that goes away ends the wait.
func TestHoldEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		how  Outcome
		cfg  Config
		end  func(b *bed, w *wire)
	}{
		{"error", Aborted, Config{}, func(b *bed, w *wire) { w.send(b.transferOf(w), []byte("\x00\x05\x00\x00bye\x00")) }},
		{"another request", Superseded, Config{}, func(b *bed, w *wire) { w.send(b.addr, rrq("no such file", "octet")) }},
		{"silence", Withheld, Config{InitialTimeout: 50 * time.Millisecond, GiveUp: 100 * time.Millisecond}, func(*bed, *wire) {}},
		{"the server stops", Stopped, Config{}, func(b *bed, _ *wire) { b.stop() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			last, _ := latch()
			witness := newWitness(last)
			c.cfg.Gate = gateFunc(func(Opening) Grant { return Grant{Follow: witness} })
			b := serve(t, c.cfg, map[string][]byte{"f": []byte("data")})
			w := newWire(t, "127.0.0.1:0")
			w.send(b.addr, rrq("f", "octet"))
			witness.expectAsked(t)
			c.end(b, w)
			witness.expectEnd(t, c.how, "began 4", "last", "ended "+c.how.String())
		})
	}
}

// transferOf returns the address that a client's transfer is served from.
func (b *bed) transferOf(w *wire) (server netip.AddrPort) {
	b.t.Helper()
	for _, t := range b.Transfers() {
		if t.Client == w.addr() {
			return t.Server
		}
	}
	b.t.Fatal("no such transfer")
	return server
}

// Many last blocks wait at once, and the loop serves others meanwhile.
func TestManyHeld(t *testing.T) {
	const n = 2 * maxFollowing
	let := make(chan struct{})
	asked := make(chan struct{}, n)
	file := []byte("data")
	gate := gateFunc(func(o Opening) Grant {
		if o.Name != "f" {
			return Grant{}
		}
		w := newWitness(func(ctx context.Context) error {
			asked <- struct{}{}
			select {
			case <-let:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		return Grant{Follow: w}
	})
	b := serve(t, Config{Gate: gate, PerClient: Limits{}, InitialTimeout: time.Minute, GiveUp: time.Hour, MaxTimeout: time.Hour}, map[string][]byte{"f": file, "g": file})
	conns := make([]*net.UDPConn, 0, n)
	for i := range n {
		w := newWire(t, fmt.Sprintf("127.0.%d.%d:0", 1+i/250, 1+i%250))
		conns = append(conns, w.conn)
		w.send(b.addr, rrq("f", "octet"))
		if i%100 == 99 {
			b.sync()
		}
	}
	for range maxFollowing {
		<-asked
	}
	var got bytes.Buffer
	c := tftptest.Client{Server: b.addr}
	if _, err := c.Get(t.Context(), tftptest.Request{Name: "g"}, &got); err != nil {
		t.Error(err)
	}
	close(let)
	for range n - maxFollowing {
		<-asked
	}
	for _, conn := range conns {
		w := &wire{t: t, conn: conn}
		w.send(w.expect(dataPacket(file, 512, 1)), ackPacket(1))
	}
	b.eventually("all complete", func(st Stats) bool { return st.Outcomes[Complete] == n+1 })
}

// Progress is told, but not more often than once a second.
func TestProgressIsTold(t *testing.T) {
	w, client := byHand(t, Config{}, randomFile(100*512, 1))
	d := w.open(t, client, "blksize", "512")
	e := w.endpoints[0]
	id, s, _ := w.table.find(d.from)
	moved := make(chan int64, 100)
	w.follow(id, s, progress{newWitness(nil), moved})
	start := w.now
	for i := 1; i <= 50; i++ {
		w.sendRound(e)
		d.payload = ackPacket(i)
		w.onPacket(e, d)
		w.now = start.add(time.Duration(i) * 100 * time.Millisecond)
		w.tellProgress()
	}
	w.end(id, s, Aborted)
	w.server.followers.wait()
	close(moved)
	n, last := 0, int64(0)
	for at := range moved {
		if n++; at <= last {
			t.Errorf("%d after %d", at, last)
		}
		last = at
	}
	if n < 1 || n > 6 || last < 40*512 {
		t.Errorf("told %d times in 5 s, last of %d bytes", n, last)
	}
}

type progress struct {
	*witness
	moved chan int64
}

func (p progress) Moved(n int64) { p.moved <- n }
