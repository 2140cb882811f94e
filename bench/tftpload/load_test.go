package tftpload

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/tftpc"
)

// blocks makes a set of block numbers.
func blocks(numbers ...int) map[int]bool {
	m := map[int]bool{}
	for _, n := range numbers {
		m[n] = true
	}
	return m
}

// What a fake server is known to do is what the report says, to the packet. The
// file has 100 blocks; six transfers are made of it.
func TestKnownFaults(t *testing.T) {
	file := Pattern(99*64 + 10)
	type counts struct {
		duplicates, duplicateBytes, beyond, ignored, acks uint64 // of one transfer
	}
	for _, c := range []struct {
		name     string
		faults   faults
		change   func(c *Config)
		want     counts
		failure  string // of every transfer
		errors   string // that the server gets from each client
		requests uint64 // 0: one each
	}{
		{name: "none", want: counts{acks: 14}},
		{name: "in lock-step", change: func(c *Config) { c.Transfer.Request.Window = 0 }, want: counts{acks: 101}},
		// 3 lost of 1 to 8: five beyond it, and 3 to 10 come. 20 lost of 19 to 26: six. 41 lost of 36 to 43: two.
		{name: "blocks are lost", faults: faults{drop: blocks(3, 20, 41)}, want: counts{beyond: 13, duplicateBytes: 13 * 64, acks: 1 + 13 + 12}},
		{name: "blocks are lost, one NACK each", faults: faults{drop: blocks(3, 20, 41)}, change: func(c *Config) { c.Transfer.Rules.Gap = tftpc.GapOnce },
			want: counts{beyond: 13, duplicateBytes: 13 * 64, acks: 1 + 3 + 12}},
		{name: "blocks come twice", faults: faults{twice: blocks(5, 50, 100)}, change: func(c *Config) { c.Transfer.Rules.Duplicate = tftpc.DuplicateIgnore },
			want: counts{duplicates: 2, duplicateBytes: 2 * 64, acks: 14}}, // the copy of the last one finds nobody
		{name: "blocks come twice in lock-step", faults: faults{twice: blocks(5, 50)}, change: func(c *Config) { c.Transfer.Request.Window = 0 },
			want: counts{duplicates: 2, duplicateBytes: 2 * 64, acks: 103}},
		{name: "copies from another port", faults: faults{stranger: blocks(1, 7, 60)}, want: counts{ignored: 3, acks: 14}},
		{name: "a wrong byte", faults: faults{corrupt: 42}, want: counts{acks: 6}, failure: "wrong bytes", errors: "0 wrong bytes"},
		{name: "the end is missing", faults: faults{short: 1}, want: counts{acks: 13}, failure: "wrong size", errors: "0 wrong size"},
		{name: "no such file", faults: faults{refuse: "File not found"}, failure: "ERROR 1 File not found"},
		{name: "OACK with too much", faults: faults{oack: []string{"blksize", "65"}}, failure: "bad OACK: blksize=65", errors: "4 Malformatted OACK packet"},
		{name: "OACK with another size", faults: faults{oack: []string{"tsize", "65"}}, failure: "wrong size", errors: "8 User aborted the transfer"},
		{name: "silence", faults: faults{silent: 20}, change: func(c *Config) { c.Loops, c.Transfer.Retry = 1, tftpc.Retry{First: time.Second, Retries: 2} },
			want: counts{acks: 3 + 2}, failure: "timeout"},
		{name: "silence from the start", faults: faults{ignore: true}, change: quick, failure: "timeout", requests: 3},
		{name: "the probe first", change: func(c *Config) { c.Probe = true }, want: counts{acks: 14}, errors: "8 User aborted the transfer", requests: 2},
		{name: "the probe gets no tsize", faults: faults{oack: []string{"blksize", "64"}}, change: func(c *Config) { c.Probe = true },
			failure: "no tsize in OACK", errors: "8 User aborted the transfer"},
	} {
		for _, gro := range []bool{false, true} {
			t.Run(c.name+map[bool]string{true: "/gro"}[gro], func(t *testing.T) {
				t.Parallel()
				server := newFake(t, file, c.faults)
				cfg := config(server.addr(), file)
				cfg.GRO = gro
				if c.change != nil {
					c.change(&cfg)
				}
				r := load(t, cfg)
				transfers := r.Transfers
				p := r.Packets
				if got, want := (counts{p.Duplicates, p.DuplicateBytes, p.Beyond, p.Ignored, p.Acks}), (counts{
					c.want.duplicates * transfers, c.want.duplicateBytes * transfers, c.want.beyond * transfers, c.want.ignored * transfers, c.want.acks * transfers,
				}); got != want {
					t.Errorf("%+v, want %+v", got, want)
				}
				failures := map[string]uint64{}
				if c.failure != "" {
					failures[c.failure] = transfers
				} else if r.Bytes != int64(transfers)*int64(len(file)) || r.Fairness <= 0 || r.Fairness > 1.0001 || r.Goodput() <= 0 {
					t.Errorf("%d bytes, fairness %g, goodput %g", r.Bytes, r.Fairness, r.Goodput())
				}
				if !maps.Equal(r.Failures, failures) {
					t.Errorf("failures %v, want %v", r.Failures, failures)
				}
				if want := max(c.requests, 1) * transfers; p.Requests != want {
					t.Errorf("%d requests, want %d", p.Requests, want)
				}
				server.wait("requests", &server.requests, p.Requests)
				if !c.faults.ignore && c.errors == "" {
					server.wait("ACKs", &server.acks, p.Acks)
				}
				if c.errors != "" {
					server.waitErrors(int(transfers), c.errors)
				}
			})
		}
	}
}

// quick lets clients give up soon.
func quick(c *Config) { c.Transfer.Retry = tftpc.Retry{First: 20 * time.Millisecond, Retries: 2} }

// waitErrors waits for ERRORs of clients, which are all the same.
func (s *fake) waitErrors(n int, text string) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		got := s.errors
		s.mu.Unlock()
		for _, e := range got {
			if e != text {
				s.t.Fatalf("ERROR %q, want %q", e, text)
			}
		}
		if len(got) == n {
			return
		}
		if time.Now().After(end) || len(got) > n {
			s.t.Fatalf("the server got %d ERRORs, want %d", len(got), n)
		}
	}
}

// An ICMP port unreachable ends a client, be it about the request or later.
func TestUnreachable(t *testing.T) {
	file := Pattern(1000)
	gone := listen(t)
	addr := gone.LocalAddr().(*net.UDPAddr).AddrPort()
	gone.Close()
	r := load(t, config(addr, file))
	if !maps.Equal(r.Failures, map[string]uint64{"ICMP unreachable": 6}) || r.Packets.Resent != 0 {
		t.Errorf("nobody at the request port: %v, %d sent again", r.Failures, r.Packets.Resent)
	}

	server := newFake(t, file, faults{closed: 8})
	cfg := config(server.addr(), file)
	// The port closes upon an acknowledgement; the repeated one finds it closed.
	cfg.Transfer.Retry = tftpc.Retry{First: 20 * time.Millisecond, Retries: 1000}
	r = load(t, cfg)
	if !maps.Equal(r.Failures, map[string]uint64{"ICMP unreachable": 6}) || r.Packets.Resent < 6 || r.Packets.Bytes != 6*8*64 {
		t.Errorf("a port that closes: %v, %d sent again, %d bytes", r.Failures, r.Packets.Resent, r.Packets.Bytes)
	}
}

func TestPatience(t *testing.T) {
	server := newFake(t, Pattern(1000), faults{ignore: true})
	cfg := config(server.addr(), server.file)
	cfg.Timeout = 50 * time.Millisecond
	r := load(t, cfg)
	if !maps.Equal(r.Failures, map[string]uint64{"aborted: out of patience": 6}) || r.Wall < 2*cfg.Timeout {
		t.Errorf("%v after %v", r.Failures, r.Wall)
	}
}

// A load that is told to stop says what it did not do.
func TestStop(t *testing.T) {
	server := newFake(t, Pattern(1000), faults{ignore: true})
	cfg := config(server.addr(), server.file)
	cfg.Clients, cfg.Loops = 4, 3
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		for server.requests.Load() < 4 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	r, err := Run(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	check(t, r)
	if !maps.Equal(r.Failures, map[string]uint64{"aborted: stopped": 4, "not begun": 8}) {
		t.Errorf("%v", r.Failures)
	}
}

func TestSources(t *testing.T) {
	server := newFake(t, Pattern(1000), faults{})
	cfg := config(server.addr(), server.file)
	cfg.Clients, cfg.Loops = 300, 1
	cfg.Source = netip.MustParsePrefix("127.77.0.0/16")
	r := load(t, cfg)
	server.mu.Lock()
	defer server.mu.Unlock()
	if r.Completed != 300 || len(server.sources) != 300 || server.sources[netip.MustParseAddr("127.77.1.43")] != 1 {
		t.Errorf("%d completed, from %d addresses: %v", r.Completed, len(server.sources), r.Failures)
	}

	cfg.Source = netip.MustParsePrefix("192.0.2.0/24")
	cfg.Clients = 2
	if _, err := Run(context.Background(), cfg); err == nil || errors.Is(err, ErrConfig) {
		t.Errorf("addresses of somebody else: %v", err)
	}
	cfg.Source = netip.MustParsePrefix("127.77.0.0/31")
	cfg.Clients = 3
	if _, err := Run(context.Background(), cfg); err == nil {
		t.Error("three clients have two addresses")
	}
}

func TestFetch(t *testing.T) {
	server := newFake(t, Pattern(5000), faults{})
	cfg := config(server.addr(), nil)
	b, err := Fetch(context.Background(), cfg)
	if err != nil || string(b) != string(server.file) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	server = newFake(t, nil, faults{refuse: "no"})
	cfg.Server = server.addr()
	if _, err := Fetch(context.Background(), cfg); err == nil {
		t.Error("a refused file was fetched")
	}
}

func TestBadConfig(t *testing.T) {
	ok := config(netip.MustParseAddrPort("127.0.0.1:69"), []byte{})
	for name, change := range map[string]func(c *Config){
		"server":       func(c *Config) { c.Server = netip.AddrPort{} },
		"port":         func(c *Config) { c.Server = netip.MustParseAddrPort("127.0.0.1:0") },
		"clients":      func(c *Config) { c.Clients = MaxClients + 1 },
		"fewer":        func(c *Config) { c.Clients = -1 },
		"loss":         func(c *Config) { c.In.Loss = 1.1 },
		"duplicate":    func(c *Config) { c.Out.Duplicate = -1 },
		"delay":        func(c *Config) { c.Out.Delay = -1 },
		"blksize":      func(c *Config) { c.Transfer.Request.Blksize = 65465 },
		"window":       func(c *Config) { c.Transfer.Request.Window = 65536 },
		"slow":         func(c *Config) { c.Slow.Share = 2 },
		"other family": func(c *Config) { c.Source = netip.MustParsePrefix("::/64") },
	} {
		cfg := ok
		change(&cfg)
		if _, err := Run(context.Background(), cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
