package tftp

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/tftp/tftptest"
)

// Everything that holds with a data port holds on the request port alone.
func TestSinglePort(t *testing.T) {
	statement(t, "H21", "H1 to H5, H12 to H16", func(t *testing.T) { testWindow(t, Config{GSO: true, SinglePort: true}) })
	statement(t, "H21", "H8 to H10, H17", func(t *testing.T) { testFinalBlock(t, Config{SinglePort: true}) })
	statement(t, "H21", "H11", func(t *testing.T) { testRollover(t, Config{GSO: true, SinglePort: true}) })

	file := randomFile(64*20+5, 5)
	b := serve(t, Config{SinglePort: true, Clients: func(a netip.Addr) bool { return a != netip.MustParseAddr("127.0.0.66") }},
		map[string][]byte{"f": file, "g": []byte("other")})
	statement(t, "H21", "H6 and H7", func(t *testing.T) {
		w := newWire(t, "127.0.0.1:0")
		w.from = b.addr
		w.send(b.addr, rrq("f", "octet", "blksize", "64"))
		w.expect(oackPacket("blksize", "64"))
		w.send(b.addr, ackPacket(0))
		w.expectBlocks(file, 64, 1, 1)
		for _, n := range []int{0, 2, 7, 65535} { // the one before, and none that was sent
			w.send(b.addr, ackPacket(n))
			b.nothing(w)
		}
		w.send(b.addr, ackPacket(1))
		w.expectBlocks(file, 64, 2, 2)
	})
	t.Run("requests, packets of transfers, and neither", func(t *testing.T) {
		w := newWire(t, "127.0.0.1:0")
		strangers, others := b.Stats().Strangers, b.outcome(NotRequest)
		for _, p := range [][]byte{ackPacket(7), dataPacket(file, 64, 1)} {
			w.send(b.addr, p)
			w.expectError(codeUnknownTID)
		}
		w.send(b.addr, appendError(nil, 0, "never answered"))
		for _, p := range [][]byte{oackPacket("tsize", "1"), {0, 0, 0, 0}, {0, 7, 0, 0}, {1, opACK, 0, 0}, {0}, {}} {
			w.send(b.addr, p)
		}
		b.nothing(w)
		if st := b.Stats(); st.Strangers != strangers+3 || st.Outcomes[NotRequest] != others+6 {
			t.Errorf("%+v", st)
		}
	})
	t.Run("a transfer is between two addresses and ports", func(t *testing.T) {
		w := b.begin(t, "f", file, 64, 4)
		w.from = netip.AddrPort{}
		elsewhere := hostPort(t, "127.0.0.9", b.Port())
		w.send(elsewhere, ackPacket(4))
		if from := w.expectError(codeUnknownTID); from != elsewhere {
			t.Errorf("ERROR from %v", from)
		}
		w.send(b.addr, ackPacket(4))
		w.expectBlocks(file, 64, 5, 8)
	})
	t.Run("strangers that are no clients get silence", func(t *testing.T) {
		w := newWire(t, "127.0.0.66:0")
		w.send(b.addr, ackPacket(1))
		b.nothing(w)
	})
	t.Run("no request is taken while transfers have their grace", func(t *testing.T) {
		b := serve(t, Config{SinglePort: true, Grace: time.Minute}, map[string][]byte{"f": file})
		w := newWire(t, "127.0.0.1:0")
		w.send(b.addr, rrq("f", "octet", "blksize", "1200"))
		w.expect(oackPacket("blksize", "1200"))
		stopped := make(chan struct{})
		go func() { b.stop(); close(stopped) }()
		stopping := make(chan bool, 1)
		for done := false; !done; done = <-stopping {
			b.workers[0].order(func(w *worker) { stopping <- w.stopping })
		}
		late := newWire(t, "127.0.0.1:0")
		late.send(b.addr, rrq("f", "octet"))
		for n := range 3 {
			w.send(b.addr, ackPacket(n))
			if n < 2 {
				w.expect(dataPacket(file, 1200, n+1))
			}
		}
		<-stopped
		if !late.empty() {
			t.Error("a request was answered")
		}
	})
	if _, err := Listen(Config{SinglePort: true, DataPorts: [2]uint16{50000, 50010}}, openRoot(t, b.dir)); err == nil {
		t.Error("data ports in single-port mode")
	}
}

// TestSinglePortWorkers has the sockets of several workers on one port: each
// client must reach the one that has its transfer, with every packet, and so
// must the ICMP errors about it.
func TestSinglePortWorkers(t *testing.T) {
	const clients = 64
	file := randomFile(100_000, 3)
	b := serve(t, Config{GSO: true, SinglePort: true, Workers: 4}, map[string][]byte{"f": file})
	var wires []*wire
	for range clients {
		w := newWire(t, "127.0.0.1:0")
		wires = append(wires, w)
		w.from = b.addr
		for range 3 {
			w.send(b.addr, rrq("f", "octet", "blksize", "1000", "windowsize", "4"))
			w.expect(oackPacket("blksize", "1000", "windowsize", "4"))
		}
		w.send(b.addr, ackPacket(0))
		w.expectBlocks(file, 1000, 1, 4)
		w.send(b.addr, ackPacket(4))
		w.expectBlocks(file, 1000, 5, 8)
	}
	release := b.hold()
	for _, w := range wires {
		w.send(b.addr, ackPacket(8)) // what that asks for meets a closed port
		w.close()
	}
	release()
	b.turnUntil("every client is found gone", func(s Stats) bool { return s.Outcomes[Unreachable] == clients })
	if st := b.Stats(); st.Repeated != 2*clients || st.Requests != 3*clients || st.Strangers != 0 || st.Active != 0 {
		t.Errorf("%+v", st)
	}
	busy := 0
	for _, w := range b.workers {
		if w.counters.outcomes[Unreachable].Load() > 0 {
			busy++
		}
	}
	if busy < 2 {
		t.Error("one worker has all clients")
	}
}

// TestSinglePortLoss downloads over a bad network, by IPv4 and IPv6.
func TestSinglePortLoss(t *testing.T) {
	file := randomFile(300_000, 4)
	b := serve(t, Config{GSO: true, SinglePort: true, Workers: 2, InitialTimeout: 10 * time.Millisecond, MinTimeout: 10 * time.Millisecond, MaxTimeout: 40 * time.Millisecond, GiveUp: 10 * time.Second},
		map[string][]byte{"f": file})
	for _, host := range []string{"127.0.0.1", "::1"} {
		for seed := range uint64(4) {
			t.Run(host, func(t *testing.T) {
				t.Parallel()
				var got bytes.Buffer
				c := tftptest.Client{Server: hostPort(t, host, b.Port()), Retry: 50 * time.Millisecond, Tries: 100, Seed: seed,
					Faults: tftptest.Faults{Loss: 0.05, Duplicate: 0.05, Reorder: 0.05}}
				if _, err := c.Get(t.Context(), tftptest.Request{Name: "f", Blksize: 1448, Window: 16}, &got); err != nil || !bytes.Equal(got.Bytes(), file) {
					t.Errorf("%v, %d bytes", err, got.Len())
				}
			})
		}
	}
}
