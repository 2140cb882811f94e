package tftp

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"
)

// openings keeps what a gate was asked.
type openings struct {
	mu  sync.Mutex
	all []Opening
}

func (o *openings) add(one Opening) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, one)
}

// sameTransfer checks that the gate was asked twice, about one transfer.
func (o *openings) sameTransfer(t *testing.T, path string) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.all) != 2 {
		t.Fatalf("asked %d times, want 2", len(o.all))
	}
	was, is := o.all[0], o.all[1]
	if was.Restored || !is.Restored || is.ID != was.ID || is.Client != was.Client || is.Server != was.Server || is.Name != path {
		t.Errorf("asked about\n%+v, then\n%+v", was, is)
	}
}

// A transfer whose last block is held back asks for it again in the next
// process, under the same name, and gets it there.
func TestHeldGoesOn(t *testing.T) {
	file := randomFile(950, 3)
	for _, window := range []string{"1", "4", "16"} {
		t.Run("window "+window, func(t *testing.T) {
			cfg, _ := lasting(t)
			asked := openings{}
			held, _ := latch()
			first, second := newWitness(held), newWitness(func(context.Context) error { return nil })
			cfg.Gate = gateFunc(func(o Opening) Grant {
				asked.add(o)
				if o.Restored {
					return Grant{Follow: second}
				}
				return Grant{Follow: first}
			})
			b := serve(t, cfg, map[string][]byte{"dir/F": file})
			w := newWire(t, "127.0.0.1:0")
			w.send(b.addr, rrq(`DIR\f`, "octet", "blksize", "100", "windowsize", window))
			tid := w.expect(oackPacket("blksize", "100", "windowsize", window))
			w.send(tid, ackPacket(0))
			for n := 1; n <= 9; n++ {
				p := w.block(n)
				if !bytes.Equal(p, dataPacket(file, 100, n)) {
					t.Fatalf("block %d is %q", n, p)
				}
				w.send(tid, ackPacket(n))
			}
			first.expectAsked(t)
			b.stop()
			select {
			case e := <-first.ended:
				t.Errorf("it ended: %+v", e)
			default:
			}
			b.run(cfg)
			if p := w.block(10); !bytes.Equal(p, dataPacket(file, 100, 10)) {
				t.Fatalf("block 10 is %q", p)
			}
			w.send(tid, ackPacket(10))
			if e := second.expectEnd(t, Complete, "began 950", "last", "ended complete"); !e.Confirmed {
				t.Errorf("%+v", e)
			}
			asked.sameTransfer(t, "dir/F")
		})
	}
}

// block returns the next packet that is block n; others may come again.
func (w *wire) block(n int) []byte {
	w.t.Helper()
	for {
		if p, _ := w.recv(); p[1] != opDATA || int(p[2])<<8|int(p[3]) == n {
			return p
		}
	}
}

// The last block had left when the process ended: its acknowledgement, which
// waits in the socket, is the client's word that it has it.
func TestAcknowledgedBetweenProcesses(t *testing.T) {
	cfg, _ := lasting(t)
	cfg.InitialTimeout, cfg.MinTimeout, cfg.MaxTimeout, cfg.GiveUp = time.Hour, time.Hour, time.Hour, time.Hour
	first, second := newWitness(func(context.Context) error { return nil }), newWitness(func(context.Context) error { return nil })
	cfg.Gate = gateFunc(func(o Opening) Grant {
		if o.Restored {
			return Grant{Follow: second}
		}
		return Grant{Follow: first}
	})
	b := serve(t, cfg, map[string][]byte{"f": []byte("data")})
	w := newWire(t, "127.0.0.1:0")
	w.send(b.addr, rrq("f", "octet"))
	tid := w.expect(dataPacket([]byte("data"), 512, 1))
	b.stop()
	w.send(tid, ackPacket(1))
	b.run(cfg)
	if e := second.expectEnd(t, Complete, "began 4", "ended complete"); !e.Confirmed {
		t.Errorf("%+v", e)
	}
}

// What was made for a client is made again for the rest of its transfer, and must be the same.
func TestMadeGoesOn(t *testing.T) {
	file := randomFile(1200, 4)
	other := bytes.Clone(file)
	other[1100]++
	for _, c := range []struct {
		name string
		now  Grant
		want []byte
	}{
		{"the same", Grant{Content: file}, dataPacket(file, 512, 2)},
		{"another", Grant{Content: other}, []byte("\x00\x05\x00\x00file changed during the transfer\x00")},
		{"shorter", Grant{Content: file[:1100]}, []byte("\x00\x05\x00\x00file changed during the transfer\x00")},
		{"a file", Grant{}, []byte("\x00\x05\x00\x00file changed during the transfer\x00")},
		{"refused", Grant{How: Refused, Text: "no more"}, []byte("\x00\x05\x00\x02no more\x00")},
		{"wrong", Grant{How: BadTemplate}, []byte("\x00\x05\x00\x00file cannot be made: see the server's log\x00")},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, _ := lasting(t)
			cfg.InitialTimeout = time.Hour
			cfg.MinTimeout, cfg.MaxTimeout, cfg.GiveUp, cfg.Unanswered = time.Hour, time.Hour, time.Hour, time.Hour
			asked := openings{}
			cfg.Gate = gateFunc(func(o Opening) Grant {
				asked.add(o)
				if o.Restored {
					return c.now
				}
				return Grant{Content: file}
			})
			b := serve(t, cfg, map[string][]byte{"made/x": file})
			w := newWire(t, "127.0.0.1:0")
			w.send(b.addr, rrq(`\made\x`, "octet"))
			tid := w.expect(dataPacket(file, 512, 1))
			b.stop()
			w.send(tid, ackPacket(1))
			b.run(cfg)
			w.expect(c.want)
			asked.sameTransfer(t, "made/x")
			b.stop()
			if n := b.opener.made.Load(); n != 0 {
				t.Errorf("%d bytes are not given back", n)
			}
		})
	}
}
