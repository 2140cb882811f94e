package tftpload

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/tftpc"
)

// patient is a retry that no test waits for: what is repeated, is a fault.
func patient() tftpc.Retry { return tftpc.Retry{First: time.Minute, Retries: 1} }

// faults are what a fake server does wrong in each transfer. Blocks count from 1.
type faults struct {
	refuse   string       // an ERROR 1 instead of anything
	oack     []string     // instead of what is right
	drop     map[int]bool // not sent the first time
	twice    map[int]bool // sent twice
	stranger map[int]bool // followed by a copy from another port
	corrupt  int          // the block whose first byte is wrong
	short    int          // bytes that the file lacks at its end
	silent   int          // after this block nothing is sent
	closed   int          // the block whose acknowledgement closes the port
	ignore   bool         // requests get no answer
}

// fake is a TFTP server with faults that are known. It never repeats anything of
// its own: only acknowledgements make it send.
type fake struct {
	t        testing.TB
	file     []byte
	faults   faults
	conn     *net.UDPConn
	other    *net.UDPConn // a wrong TID
	requests atomic.Int64
	acks     atomic.Int64
	mu       sync.Mutex
	errors   []string // ERRORs from clients
	sources  map[netip.Addr]int
	sessions sync.WaitGroup
	open     []*net.UDPConn
	ended    bool
}

func listen(t testing.TB) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadBuffer(4 << 20) // requests come all at once
	return c
}

func newFake(t testing.TB, file []byte, f faults) *fake {
	s := &fake{t: t, file: file, faults: f, conn: listen(t), other: listen(t), sources: map[netip.Addr]int{}}
	s.sessions.Go(s.serve)
	t.Cleanup(func() {
		s.mu.Lock()
		s.ended = true
		s.conn.Close()
		s.other.Close()
		for _, c := range s.open {
			c.Close()
		}
		s.mu.Unlock()
		s.sessions.Wait()
	})
	return s
}

func (s *fake) addr() netip.AddrPort {
	return s.conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func (s *fake) serve() {
	b := make([]byte, 2048)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		fields := strings.Split(strings.TrimSuffix(string(b[2:n]), "\x00"), "\x00")
		s.requests.Add(1)
		if s.faults.ignore {
			continue
		}
		conn := listen(s.t)
		s.mu.Lock()
		if s.ended {
			conn.Close()
		}
		s.open = append(s.open, conn)
		s.sources[from.Addr()]++
		s.mu.Unlock()
		s.sessions.Go(func() { s.transfer(conn, from, fields[2:]) })
	}
}

// transfer serves one client until it is done or the test is.
func (s *fake) transfer(conn *net.UDPConn, to netip.AddrPort, options []string) {
	defer conn.Close()
	f := &s.faults
	send := func(op int, body string) {
		_, _ = conn.WriteToUDPAddrPort(append([]byte{0, byte(op)}, body...), to)
	}
	if f.refuse != "" {
		send(5, "\x00\x01"+f.refuse+"\x00")
		return
	}
	file := s.file[:len(s.file)-f.short]
	blksize, window := 512, 1
	granted := f.oack
	if granted == nil {
		for ; len(options) >= 2; options = options[2:] {
			value := options[1]
			n, _ := strconv.Atoi(value)
			switch options[0] {
			case "blksize":
				blksize = n
			case "windowsize":
				window = n
			case "tsize":
				value = strconv.Itoa(len(s.file))
			}
			granted = append(granted, options[0], value)
		}
	}
	base := 1 // the first block of the window
	if len(granted) > 0 {
		send(6, strings.Join(granted, "\x00")+"\x00")
		base = 0 // ACK 0 is the next
	}
	sent := map[int]bool{}
	last := len(file)/blksize + 1
	block := func(n int) {
		if f.silent > 0 && n > f.silent {
			return
		}
		p := binary.BigEndian.AppendUint16([]byte{0, 3}, uint16(n))
		p = append(p, file[(n-1)*blksize:min(n*blksize, len(file))]...)
		if n == f.corrupt {
			p[4] ^= 1
		}
		copies := 1
		if f.twice[n] {
			copies = 2
		}
		if f.drop[n] && !sent[n] {
			copies = 0
		}
		sent[n] = true
		for range copies {
			_, _ = conn.WriteToUDPAddrPort(p, to)
		}
		if f.stranger[n] {
			_, _ = s.other.WriteToUDPAddrPort(p, to)
		}
	}
	burst := func() {
		for n := base; n < base+window && n <= last; n++ {
			block(n)
		}
	}
	if base == 1 {
		burst()
	}
	b := make([]byte, 2048)
	for {
		n, _, err := conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		if b[1] == 5 {
			s.mu.Lock()
			s.errors = append(s.errors, strconv.Itoa(int(b[3]))+" "+strings.TrimSuffix(string(b[4:n]), "\x00"))
			s.mu.Unlock()
			return
		}
		s.acks.Add(1)
		acked := int(binary.BigEndian.Uint16(b[2:]))
		if f.closed > 0 && acked >= f.closed {
			return
		}
		if acked < base {
			continue // the sorcerer's apprentice
		}
		base = acked + 1
		burst()
	}
}

// wait waits until the server has seen n of something: what is on its way when
// the clients are done.
func (s *fake) wait(what string, seen *atomic.Int64, n uint64) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); seen.Load() != int64(n); time.Sleep(time.Millisecond) {
		if seen.Load() > int64(n) || time.Now().After(end) {
			s.t.Fatalf("the server saw %d %s, want %d", seen.Load(), what, n)
		}
	}
}

// config is a load of some clients on a server, for its file.
func config(server netip.AddrPort, file []byte) Config {
	return Config{
		Server: server, File: file, Clients: 3, Loops: 2, Threads: 2, Seed: 1, Timeout: 50 * time.Second,
		Transfer: tftpc.Config{Request: tftpc.Request{Name: "f", Tsize: true, Blksize: 64, Window: 8}, Retry: patient()},
	}
}

// load runs it and checks what always holds.
func load(t testing.TB, cfg Config) *Report {
	t.Helper()
	r, err := Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	check(t, r)
	return r
}

func check(t testing.TB, r *Report) {
	t.Helper()
	var failed uint64
	for _, n := range r.Failures {
		failed += n
	}
	if r.Completed+r.Failed != r.Transfers || failed != r.Failed || uint64(r.Times.Count()) != r.Completed {
		t.Errorf("%d transfers, %d completed, %d timed, %d failed: %v", r.Transfers, r.Completed, r.Times.Count(), r.Failed, r.Failures)
	}
	if r.Overflows+r.SlowOverflows+r.SendErrors > 0 {
		t.Errorf("lost %d and %d, send errors %d", r.Overflows, r.SlowOverflows, r.SendErrors)
	}
}
