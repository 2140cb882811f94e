package tftp

import (
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/responder/content"
	"github.com/xdpxe/xdpxe/responder/tftp/tftptest"
)

// byHand returns a server's only worker, whose loop does not run, and a client's socket.
func byHand(t testing.TB, cfg Config, file []byte) (*worker, *wire) {
	t.Helper()
	dir := t.TempDir()
	(&bed{t: t, dir: dir}).write("f", file)
	root, err := content.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Workers, cfg.Addrs = 1, []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	s, err := Listen(cfg, root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); root.Close() })
	w := s.workers[0]
	w.now = s.clock()
	return w, newWire(t, "127.0.0.1:0")
}

// stays has a file count as being in memory for ever.
func stays(f *content.File) {
	for c := range f.Chunks() {
		f.SetLoaded(c, 1<<62)
	}
}

// open does by hand what a request and its lookup do, and takes the transfer past the OACK.
func (w *worker) open(t testing.TB, client *wire, options ...string) *datagram {
	t.Helper()
	a := client.addr()
	d := &datagram{payload: rrq(append([]string{"f", "octet"}, options...)...), local: mapped([4]byte{127, 0, 0, 1}), ifindex: 1, unicast: true,
		from: peer{addr: mapped(a.Addr().As4()), port: a.Port()}}
	e := w.endpoints[0]
	w.onRequest(e, d)
	answer := w.server.opener.open(<-w.server.opener.lookups)
	w.onFound(&answer)
	stays(answer.file)
	w.sendRound(e)
	client.recv()
	d.payload = ackPacket(0)
	w.onPacket(e, d)
	return d
}

// TestStage looks at messages before they leave.
func TestStage(t *testing.T) {
	file := randomFile(100*1468+9, 1)
	for _, c := range []struct {
		what     string
		gso      bool
		window   string
		messages []int // blocks in each, of the first rounds
	}{
		{"segmented", true, "16", []int{16}},
		{"no more than 64 KiB in a message", true, "64", []int{44, 20}},
		{"one by one", false, "5", []int{1, 1, 1, 1, 1}},
	} {
		t.Run(c.what, func(t *testing.T) {
			w, client := byHand(t, Config{GSO: c.gso}, file)
			tftptest.GrowReadBuffer(client.conn)
			w.open(t, client, "blksize", "1468", "windowsize", c.window)
			e := w.endpoints[0]
			var got []int
			e.settle = func(m *staged, errno unix.Errno) {
				got = append(got, int(m.blocks))
				w.settle(e, m, errno)
			}
			for range 3 {
				w.sendRound(e)
			}
			if len(got) != len(c.messages) {
				t.Fatalf("messages of %v blocks, want %v", got, c.messages)
			}
			for i := range got {
				if got[i] != c.messages[i] {
					t.Fatalf("messages of %v blocks, want %v", got, c.messages)
				}
			}
		})
	}
	t.Run("the final block is alone and last", func(t *testing.T) {
		w, client := byHand(t, Config{GSO: true}, file[:3*1468+5])
		w.open(t, client, "blksize", "1468", "windowsize", "16")
		e := w.endpoints[0]
		w.sendRound(e)
		client.expectBlocks(file[:3*1468+5], 1468, 1, 3)
		if !client.empty() {
			t.Error("the final block left in the same round")
		}
		w.sendRound(e)
		client.expectBlocks(file[:3*1468+5], 1468, 4, 4)
	})
}

// TestFullSocket has a socket buffer that takes few messages: what does not fit
// stays due, is not counted as sent, and goes when there is room.
func TestFullSocket(t *testing.T) {
	file := randomFile(200*1468, 2)
	w, client := byHand(t, Config{}, file)
	d := w.open(t, client, "blksize", "1468", "windowsize", "4")
	e := w.endpoints[0]
	id, s, _ := w.table.find(d.from)
	m := staged{id: id, serial: s.serial, kind: stagedData, blocks: 1, to: 2}
	w.settle(e, &m, unix.EAGAIN)
	if !e.watched || s.next != 1 || !s.queued || w.counters.blocks.Load() != 0 {
		t.Fatalf("watched %v, next %d, queued %v", e.watched, s.next, s.queued)
	}
	w.sendRound(e)
	if !client.empty() {
		t.Error("sent into a full socket")
	}
	e.watched = false // the event came
	w.sendRound(e)
	client.expectBlocks(file, 1468, 1, 4)
}

// TestSlotSize keeps the state of a transfer small: ten thousand have to fit.
func TestSlotSize(t *testing.T) {
	if size := unsafe.Sizeof(slot{}); size > 256 {
		t.Errorf("a transfer takes %d bytes", size)
	}
}

func TestTimers(t *testing.T) {
	table := newTable()
	timers := timers{slot: table.slot}
	var ids []slotID
	for i := range 300 {
		id, _ := table.add(peer{port: uint16(i)})
		ids = append(ids, id)
		timers.set(id, instant((i*7919)%1000+1))
	}
	for i, id := range ids {
		switch i % 3 {
		case 0:
			timers.remove(id)
			timers.remove(id)
		case 1:
			timers.set(id, instant(i%10+1))  // earlier: moves
			timers.set(id, instant(1000000)) // later: the slot is put off when its time comes
		}
	}
	last, n := instant(0), 0
	for {
		id, when, ok := timers.first()
		if !ok {
			break
		}
		if when < last {
			t.Fatalf("%d comes after %d", when, last)
		}
		last = when
		if n++; n%5 == 0 {
			timers.putOff(when + 500)
			continue
		}
		timers.remove(id)
		if table.slot(id).timer != -1 {
			t.Fatal("a removed slot has a timer")
		}
	}
	if n < 200 {
		t.Errorf("%d slots came up", n)
	}
}

func TestBucket(t *testing.T) {
	b := bucket{rate: 10, most: 10, level: 10}
	now, n := instant(time.Second), 0
	for range 100 {
		if b.take(now) {
			n++
		}
	}
	if n != 10 {
		t.Errorf("%d at once, want 10", n)
	}
	for range 100 {
		now = now.add(50 * time.Millisecond)
		if b.take(now) {
			n++
		}
	}
	if n != 10+50 {
		t.Errorf("%d in five seconds, want 60", n)
	}
}

// TestDataPortsAreUnpredictable opens data sockets one after the other: whoever
// sees one port must not know the next.
func TestDataPortsAreUnpredictable(t *testing.T) {
	for _, ports := range [][2]uint16{{}, {20000, 30000}} {
		const n = 32
		var got [n]int
		for i := range got {
			fd, err := openDataSocket(netip.MustParseAddr("127.0.0.1"), ports)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			port, err := localPort(fd)
			if err != nil {
				t.Fatal(err)
			}
			got[i] = int(port)
		}
		near := 0
		for i := range n - 1 {
			if d := got[i+1] - got[i]; d >= -8 && d <= 8 {
				near++
			}
		}
		if near > n/4 {
			t.Errorf("ports %v", got)
		}
	}
}

// TestEndsHere has loopback count as a link within this machine.
func TestEndsHere(t *testing.T) {
	w, _ := byHand(t, Config{}, nil)
	if fd := w.endpoints[0].data; !endsHere(fd, 1) || endsHere(fd, 1<<30) {
		t.Error("loopback has a wire, or what does not exist has none")
	}
	if b := w.server.burst(w.endpoints[0].data, 1); b != 0 {
		t.Errorf("windows over loopback leave in bursts of %d", b)
	}
	w.server.cfg.Burst = 7
	if b := w.server.burst(w.endpoints[0].data, 1); b != 7 {
		t.Errorf("bursts of %d, not as configured", b)
	}
}
