package tftp

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/responder/content"
)

// BenchmarkColdFile has 200 clients read a 2 GiB file at different offsets, from
// a server whose memory is bounded below that, and measures the round trips of a
// transfer of a small file beside them:
//
//	go test -run '^$' -bench ColdFile -benchtime 5x ./responder/tftp
//
// It takes root, a memory controller (cgroup v1 or v2) and XDPXE_COLD_DIR or the
// working directory on a disk with 2 GiB to spare.
func BenchmarkColdFile(b *testing.B) {
	dir := os.Getenv("XDPXE_COLD_DIR")
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp(".", "cold"); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { os.RemoveAll(dir) })
	}
	makeColdFile(b, filepath.Join(dir, "cold"))
	if err := os.WriteFile(filepath.Join(dir, "warm"), randomFile(4<<20, 1), 0o644); err != nil {
		b.Fatal(err)
	}
	cases := []coldCase{
		{"alone", 0, coldLimit, coldSetup{}},
		{"in-memory", coldClients, 0, coldSetup{}},
		{"cold-by-the-loops", coldClients, coldLimit, coldSetup{NoPrefetch: true}},
		{"cold-read-ahead", coldClients, coldLimit, coldSetup{}},
	}
	p99 := make([][]float64, len(cases))
	for b.Loop() {
		for i, c := range cases { // in turn, for the machine may have other things to do
			c.setup.Dir = dir
			p99[i] = append(p99[i], runCold(b, &c))
		}
	}
	b.ReportMetric(0, "ns/op")
	for i, c := range cases {
		slices.Sort(p99[i])
		b.ReportMetric(p99[i][len(p99[i])/2], "ms-p99-"+c.name)
	}
}

type coldCase struct {
	name    string
	clients int
	limit   int64 // bytes of memory; 0: none, and the file is in memory
	setup   coldSetup
}

const (
	coldSize    = 2 << 30
	coldLimit   = 256 << 20
	coldClients = 200
	coldBlksize = 16 << 10
	coldWindow  = 4
	coldRate    = 256 << 10 // bytes a second and client
	coldTime    = 8 * time.Second
)

// makeColdFile writes a file each of whose words is its own offset.
func makeColdFile(b *testing.B, path string) {
	b.Helper()
	if st, err := os.Stat(path); err == nil && st.Size() == coldSize {
		return
	}
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 1<<20)
	for at := 0; at < coldSize; at += len(buf) {
		for i := 0; i < len(buf); i += 8 {
			binary.NativeEndian.PutUint64(buf[i:], uint64(at+i))
		}
		if _, err := f.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
}

// warmUp takes the cold file out of memory, or brings it in.
func warmUp(b *testing.B, path string, in bool) {
	b.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if in {
		_, err = io.Copy(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f})
	} else {
		err = f.Sync()
		if err == nil {
			err = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
		}
	}
	if err != nil {
		b.Fatal(err)
	}
}

// coldSetup is what the server's process is told.
type coldSetup struct {
	Dir, Group string
	NoPrefetch bool
}

const coldServerEnv = "XDPXE_COLD_SERVER"

// coldServer is the server's process. It prints its port, serves until its
// standard input ends, and prints its totals.
func coldServer(setup string) error {
	var s coldSetup
	if err := json.Unmarshal([]byte(setup), &s); err != nil {
		return err
	}
	if s.Group != "" {
		if err := os.WriteFile(filepath.Join(s.Group, "cgroup.procs"), []byte("0"), 0); err != nil {
			return err
		}
	}
	root, err := content.Open(s.Dir)
	if err != nil {
		return err
	}
	defer root.Close()
	server, err := Listen(Config{GSO: true, Workers: 2, NoPrefetch: s.NoPrefetch, Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}, root)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	go func() {
		// TFTP has no way to ask for a place in a file, so transfers are put there.
		for tick := time.Tick(5 * time.Millisecond); ctx.Err() == nil; <-tick {
			for _, w := range server.workers {
				w.order(func(w *worker) { w.scatter() })
			}
		}
	}()
	fmt.Println(server.Port())
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	st := server.Stats()
	cancel()
	if err := <-ended; err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(st)
}

// scatter moves transfers of the cold file from its beginning to anywhere.
func (w *worker) scatter() {
	w.table.each(func(id slotID, s *slot) {
		if f := w.table.file(id); f != nil && f.Size() == coldSize && s.phase == sending && s.base == 1 {
			s.base = 1 + (rand.Uint64N(s.last-1)/coldWindow)*coldWindow
			s.next, s.high = s.base, s.base
			s.loading, s.loaded = false, false
			w.makeReady(w.endpoints[s.peer.endpoint], id, s)
		}
	})
}

// memoryGroup makes a control group with a bound.
func memoryGroup(b *testing.B, limit int64) string {
	b.Helper()
	parent, file := "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
	if c, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers"); err == nil && strings.Contains(string(c), "memory") {
		parent, file = "/sys/fs/cgroup", "memory.max"
	}
	group := filepath.Join(parent, "xdpxe-cold-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(group, 0o755); err != nil {
		b.Skipf("no control group for memory: %v", err)
	}
	if err := os.WriteFile(filepath.Join(group, file), []byte(strconv.FormatInt(limit, 10)), 0); err != nil {
		b.Skipf("the memory of a control group cannot be bounded: %v", err)
	}
	return group
}

// runCold measures a case. It returns the 99th percentile of the warm transfer's round trips, in ms.
func runCold(b *testing.B, c *coldCase) float64 {
	b.Helper()
	clients, limit, s := c.clients, c.limit, c.setup
	if limit != 0 {
		s.Group = memoryGroup(b, limit)
		defer os.Remove(s.Group)
	}
	warmUp(b, filepath.Join(s.Dir, "cold"), limit == 0)
	setup, err := json.Marshal(s)
	if err != nil {
		b.Fatal(err)
	}
	server := exec.CommandContext(b.Context(), os.Args[0])
	server.Env = append(os.Environ(), coldServerEnv+"="+string(setup))
	server.Stderr = os.Stderr
	in, err := server.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := server.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	var port int
	if _, err := fmt.Fscan(out, &port); err != nil {
		b.Fatal(err)
	}
	at := hostPort(b, "127.0.0.1", port)

	ctx, cancel := context.WithTimeout(b.Context(), coldTime)
	defer cancel()
	var all sync.WaitGroup
	received := make([]int64, clients)
	for i := range clients {
		all.Go(func() { received[i] = readCold(ctx, b, at) })
	}
	trips := readWarm(ctx, b, at)
	all.Wait()
	in.Close()
	var st Stats
	if err := json.NewDecoder(out).Decode(&st); err != nil {
		b.Fatal(err)
	}
	if err := server.Wait(); err != nil {
		b.Fatal(err)
	}
	slices.Sort(trips)
	if len(trips) == 0 {
		b.Fatal("the warm transfer received nothing")
	}
	var sum int64
	for _, n := range received {
		sum += n
	}
	ms := func(q float64) float64 { return trips[int(q*float64(len(trips)-1))].Seconds() * 1e3 }
	b.Logf("%-18s warm round trips: p50 %.2f ms, p99 %.2f ms, longest %.0f ms, %d of them; beside it %.1f MB/s; %d faults in loops, %d waits, %d chunks read",
		c.name, ms(0.5), ms(0.99), ms(1), len(trips), float64(sum)/coldTime.Seconds()/1e6, st.Faults, st.Waits, st.Loads)
	return ms(0.99)
}

// readCold reads the cold file at a bounded rate and checks what comes. It returns how much did.
func readCold(ctx context.Context, b *testing.B, at netip.AddrPort) (received int64) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Error(err)
		return 0
	}
	defer conn.Close()
	ask := rrq("cold", "octet", "blksize", itoa(coldBlksize), "windowsize", itoa(coldWindow))
	last, to, n := ask, at, 0
	next := time.Now()
	buf := make([]byte, coldBlksize+headerLen)
	for ctx.Err() == nil {
		conn.WriteToUDPAddrPort(last, to)
		for {
			conn.SetReadDeadline(time.Now().Add(time.Second))
			got, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				n = 0
				break // say it again
			}
			if buf[1] == opOACK {
				to, last = from, ackPacket(0)
				break
			}
			if buf[1] != opDATA || got < len(buf) {
				last, to, n = ask, at, 0 // the end
				break
			}
			block := binary.BigEndian.Uint16(buf[2:])
			first, end := binary.NativeEndian.Uint64(buf[headerLen:]), binary.NativeEndian.Uint64(buf[got-8:])
			if uint16(first/coldBlksize+1) != block || end-first != coldBlksize-8 {
				b.Errorf("block %d begins with the bytes at %d and ends with those at %d", block, first, end)
				return received
			}
			received += coldBlksize
			if n++; n == coldWindow {
				last, n = ackPacket(int(block)), 0
				next = next.Add(time.Second * coldWindow * coldBlksize / coldRate)
				if wait := time.Until(next); wait > 0 {
					time.Sleep(wait)
				} else {
					next = time.Now()
				}
				break
			}
		}
	}
	conn.WriteToUDPAddrPort(appendError(nil, 0, "enough"), to)
	return received
}

// readWarm reads the warm file over and over. It returns the time between each
// acknowledgement and the end of the window that it asked for.
func readWarm(ctx context.Context, b *testing.B, at netip.AddrPort) (trips []time.Duration) {
	b.Helper()
	const blksize, window = 1468, 16
	w := newWire(b, "127.0.0.1:0")
	defer w.close()
	buf := make([]byte, blksize+headerLen)
	for ctx.Err() == nil {
		w.send(at, rrq("warm", "octet", "blksize", itoa(blksize), "windowsize", itoa(window)))
		_, to := w.recv()
		ack := 0
		for end := false; !end; {
			start := time.Now()
			w.send(to, ackPacket(ack))
			for n := 0; n < window && !end; n++ {
				w.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
				got, _, err := w.conn.ReadFromUDPAddrPort(buf)
				if err != nil {
					b.Fatal(err)
				}
				end = got < len(buf)
				ack = int(binary.BigEndian.Uint16(buf[2:]))
			}
			trips = append(trips, time.Since(start))
			time.Sleep(500 * time.Microsecond)
		}
		w.send(to, ackPacket(ack))
	}
	return trips
}
