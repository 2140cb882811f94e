package tftp

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/responder/content"
)

func TestReports(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	b := serve(t, Config{Logger: zap.New(core), MaxTransfers: 2}, map[string][]byte{"F": []byte("data")})
	w := newWire(t, "127.0.0.1:0")
	for range 3 {
		w.send(b.addr, rrq("f", "octet"))
		tid := w.expect(dataPacket([]byte("data"), 512, 1))
		w.send(tid, ackPacket(1))
		b.sync() // its missing file is logged once
	}
	w.send(b.addr, rrq("f", "octet"))
	w.send(w.expect(dataPacket([]byte("data"), 512, 1)), appendError(nil, 3, "disk full"))
	b.sync()
	b.SetClients(func(netip.Addr) bool { return false })
	for _, name := range []string{"a", "b", "c"} {
		w.send(b.addr, rrq(name, "octet"))
	}
	w.send(b.addr, ackPacket(1))
	b.turnUntil("all are refused", func(st Stats) bool { return st.Outcomes[NotAllowed] == 3 })
	b.SetClients(nil)
	b.stop()
	count := map[string]int{}
	for _, l := range logs.All() {
		m := l.ContextMap()
		count[fmt.Sprint(l.Level, " ", m["outcome"])]++
		if m["outcome"] == "complete" && (m["file"] != "F" || m["size"] != int64(4) || m["acknowledged"] != int64(4) || m["client"] != w.addr().String()) {
			t.Errorf("%v", m)
		}
	}
	if count["info complete"] != 3 || count["info not_found"] != 1 || count["info aborted"] != 1 || len(count) > 4 {
		t.Errorf("lines: %v", count)
	}
}

func TestReportLimits(t *testing.T) {
	r := newReporter(zap.NewNop())
	client := netip.MustParseAddrPort("192.0.2.1:1000")
	now := time.Unix(1e9, 0)
	line := func(file string, how Outcome) *report {
		return &report{client: client, file: file, how: how}
	}
	for i, c := range []struct {
		l    *report
		want bool
	}{
		{line("a", NotFound), true}, {line("a", NotFound), false}, {line("b", NotFound), true},
		{line("a", NotAllowed), true}, {line("b", NotAllowed), false}, // silences: once per client
		{line("a", TimedOut), true},
	} {
		if got := r.first(c.l, now); got != c.want {
			t.Errorf("line %d is written: %v, want %v", i, got, c.want)
		}
	}
	if !r.first(line("a", NotAllowed), now.Add(reportPeriod)) {
		t.Error("nothing is written in the next period")
	}
	for i := range 2 * reportMemory {
		r.first(line(itoa(i), NotFound), now.Add(reportPeriod))
	}
	if len(r.seen) > reportMemory {
		t.Errorf("%d lines are remembered", len(r.seen))
	}
	for o := Complete; o < NumOutcomes; o++ {
		if l := level(o); l < zapcore.DebugLevel || l > zapcore.WarnLevel {
			t.Errorf("%v is logged at %v", o, l)
		}
	}
}

func TestHopeless(t *testing.T) {
	const v4, v6, local = unix.SO_EE_ORIGIN_ICMP, unix.SO_EE_ORIGIN_ICMP6, unix.SO_EE_ORIGIN_LOCAL
	for _, c := range []struct {
		what              string
		origin, typ, code uint8
		want              bool
	}{
		{"port", v4, 3, 3, true}, {"protocol", v4, 3, 2, true}, {"prohibited", v4, 3, 13, true},
		{"network", v4, 3, 0, false}, {"host", v4, 3, 1, false}, {"fragmentation needed", v4, 3, 4, false}, {"time exceeded", v4, 11, 0, false},
		{"port, v6", v6, 1, 4, true}, {"prohibited, v6", v6, 1, 1, true}, {"no route, v6", v6, 1, 0, false}, {"address, v6", v6, 1, 3, false},
		{"too big, v6", v6, 2, 0, false}, {"our own", local, 3, 3, false},
	} {
		if got := hopeless(c.origin, c.typ, c.code); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

func TestLookupOutcome(t *testing.T) {
	for err, want := range map[error]Outcome{
		nil: running, content.ErrNotFound: NotFound, content.ErrBadName: BadName, content.ErrOutside: OutsideRoot,
		content.ErrNoPermission: NoPermission, content.ErrNotRegular: NotRegular, content.ErrIsDir: IsDirectory,
		syscall.EMFILE: Busy, syscall.ENOMEM: Busy, syscall.EIO: Unreadable, fs.ErrInvalid: Unreadable,
	} {
		wrapped := err
		if err != nil {
			wrapped = fmt.Errorf("open %q: %w", "f", err)
		}
		if got := lookupOutcome(wrapped); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}

// TestOpenerFollowsRoot has the root replaced and closed while a lookup is on its way.
func TestOpenerFollowsRoot(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("data"), 0o644); err != nil {
		t.Fatal(err)
	}
	old, fresh := openRoot(t, dir), openRoot(t, dir)
	old.Close()
	asked := 0
	o := newOpener(func() *content.Root {
		if asked++; asked == 1 {
			return old
		}
		return fresh
	}, nil)
	f := o.open(lookup{name: "f"})
	if f.how != running || f.err != nil {
		t.Fatalf("%v, %v", f.how, f.err)
	}
	f.file.Release()
	o.root = func() *content.Root { return old }
	if f := o.open(lookup{name: "f"}); !errors.Is(f.err, os.ErrClosed) || f.how != Unreadable {
		t.Errorf("%v, %v", f.how, f.err)
	}
}

// TestBacklog has more lookups than may wait: the requests beyond get silence.
func TestBacklog(t *testing.T) {
	w, client := byHand(t, Config{}, []byte("data"))
	a := client.addr()
	for i := range openBacklog + 5 {
		d := &datagram{payload: rrq("f", "octet"), local: mapped([4]byte{127, 0, 0, 1}), ifindex: 1, unicast: true,
			from: peer{addr: mapped(a.Addr().As4()), port: uint16(i + 1), zone: 0}}
		w.onRequest(w.endpoints[0], d)
	}
	if n := w.counters.outcomes[Busy].Load(); n != 5 {
		t.Errorf("%d requests counted as busy", n)
	}
	if w.running != openBacklog || w.server.Stats().Active != openBacklog || len(w.table.byPeer) != openBacklog || w.endpoints[0].out.n != 0 {
		t.Errorf("%d run, %d slots, %d answers", w.running, len(w.table.byPeer), w.endpoints[0].out.n)
	}
}
