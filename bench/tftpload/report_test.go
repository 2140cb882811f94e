package tftpload

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bench/result"
)

func TestQueue(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var q queue
	var left []event // in order; of one time as they were pushed
	for range 5000 {
		if random.IntN(3) > 0 {
			e := event{at: time.Duration(random.IntN(100)), port: uint16(random.IntN(1 << 16))}
			q.push(e)
			i := len(left)
			for i > 0 && left[i-1].at > e.at {
				i--
			}
			left = slices.Insert(left, i, e)
			continue
		}
		at, ok := q.first()
		if ok != (len(left) > 0) {
			t.Fatalf("first: %v with %d left", ok, len(left))
		}
		if !ok {
			continue
		}
		if e := q.pop(); e.at != at || at != left[0].at || e.port != left[0].port {
			t.Fatalf("popped %+v, the first is %+v", e, left[0])
		}
		left = left[1:]
	}
	if len(q.heap) != len(left) {
		t.Errorf("%d left, want %d", len(q.heap), len(left))
	}
}

func TestSlowShare(t *testing.T) {
	for _, share := range []float64{0, 0.1, 1. / 3, 0.5, 1} {
		c, n := &Config{Slow: Slow{Share: share}}, 0
		for i := range 300 {
			if c.slow(i) {
				n++
			}
		}
		if n < int(300*share)-1 || n > int(300*share)+1 {
			t.Errorf("share %g: %d of 300", share, n)
		}
	}
}

func TestFairness(t *testing.T) {
	of := func(bytes ...int64) float64 {
		w := &worker{}
		for _, b := range bytes {
			w.clients = append(w.clients, client{bytes: b, busy: time.Second})
		}
		return fairness([]*worker{w, {}})
	}
	for _, c := range []struct {
		got, want float64
	}{{of(5, 5, 5, 5), 1}, {of(5, 0, 0, 0), 0.25}, {of(1, 2, 3), 36. / 42}, {of(0, 0), 0}, {of(), 0}} {
		if math.Abs(c.got-c.want) > 1e-9 {
			t.Errorf("%g, want %g", c.got, c.want)
		}
	}
}

func TestLimit(t *testing.T) {
	server := &ServerUsage{CPU: 2 * time.Second}
	for _, c := range []struct {
		name   string
		r      Report
		cfg    Config
		by, in string
	}{
		{"idle", Report{Busy: 0.5}, Config{}, result.ByServer, "busy 50 % at most"},
		{"own loss", Report{Overflows: 2}, Config{}, result.ByGenerator, "lost 2 messages"},
		{"slow clients' loss", Report{SlowOverflows: 2}, Config{Slow: Slow{Share: 0.1}}, result.ByRequest, "slow"},
		{"busy", Report{Busy: 0.95, Ran: 0.92}, Config{}, result.ByGenerator, "ran 92 % of the time"},
		{"crowded out", Report{Busy: 0.95, Ran: 0.6}, Config{}, result.ByGenerator, "ran 60 % of the time and waited for a processor 35 %"},
		{"crowded out by a cheap server", Report{Busy: 0.95, Ran: 0.6, Server: server, ClientCPU: 1500 * time.Millisecond}, Config{}, result.ByGenerator, "waited"},
		{"crowded out by the server", Report{Busy: 0.95, Ran: 0.3, Server: server, ClientCPU: 800 * time.Millisecond}, Config{}, result.ByServer, "it took 2.00 s, the generator 0.80 s"},
		{"crowded out by others", Report{Busy: 0.95, Ran: 0.3, Server: server, ClientCPU: 800 * time.Millisecond, Others: 0.3}, Config{}, result.ByGenerator, "other processes took 30 %"},
		{"arrivals", Report{Wall: time.Second, lastArrival: 950 * time.Millisecond}, Config{}, result.ByRequest, "as planned"},
		{"arrivals, but long", Report{Wall: time.Second, lastArrival: 500 * time.Millisecond}, Config{}, result.ByServer, ""},
		{"bad network", Report{}, Config{In: Impairment{Loss: 0.01}}, result.ByRequest, "network"},
	} {
		if l := c.r.limit(&c.cfg); l.By != c.by || !strings.Contains(l.Why, c.in) {
			t.Errorf("%s: %+v", c.name, l)
		}
	}
}

// What a client's own socket loses is known to the message.
func TestLost(t *testing.T) {
	fd, err := openSocket(netipLoopback, false, false, 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	from := listen(t)
	defer from.Close()
	const sent = 100
	for range sent {
		if _, err := from.WriteTo(make([]byte, 1000), udpAddr(sa)); err != nil {
			t.Fatal(err)
		}
	}
	received := 0
	for b := make([]byte, 2000); ; received++ {
		if _, _, err := unix.Recvfrom(fd, b, 0); err != nil {
			break
		}
	}
	if n := lost(fd); n == 0 || n != uint64(sent-received) {
		t.Errorf("%d sent, %d received, %d lost", sent, received, n)
	}
}

func TestRow(t *testing.T) {
	server := newFake(t, Pattern(99*64+10), faults{drop: blocks(3)})
	cfg := config(server.addr(), server.file)
	cfg.Spans = 2
	row := load(t, cfg).Row("x")
	for name, want := range map[string]float64{"completed": 6, "failed": 0, "own retries": 0, "lost by clients": 0} {
		if f, ok := row.Figure(name); !ok || f.Value != want {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if f, _ := row.Figure("repeated"); math.Abs(f.Value-5*64./(99*64+10+5*64)) > 1e-9 {
		t.Errorf("repeated: %g", f.Value)
	}
	sum := 0.0
	for _, p := range row.Series[0].Points {
		sum += p.V * slice.Seconds()
	}
	if math.Abs(sum-float64(6*len(server.file))) > 1e-3 {
		t.Errorf("the throughput adds up to %g bytes", sum)
	}
	if len(row.Spans) != 4 || row.Spans[0].Outcome != "ok" || len(row.Spans[0].Marks) != 1 || row.Spans[0].To < row.Spans[0].Marks[0].T || row.Spans[0].Marks[0].T < row.Spans[0].From {
		t.Errorf("spans %+v", row.Spans)
	}
	if row.Limit == nil || len(row.Curves) != 2 {
		t.Errorf("%+v", row)
	}
}
