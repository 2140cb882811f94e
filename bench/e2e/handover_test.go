package e2e

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/gun"
	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
)

// firstRetry is when a PXE client asks again (PXE 2.1, figure 2-1: 4 seconds). A request
// that is answered before is not repeated.
const firstRetry = 4 * time.Second

// handOverRate is how many requests a second clients make meanwhile; for the
// figure of the README: XDPXE_HANDOVER_RATE=100000.
func handOverRate(t *testing.T) float64 {
	t.Helper()
	rate, err := strconv.ParseFloat(cmp.Or(os.Getenv("XDPXE_HANDOVER_RATE"), "500"), 64)
	if err != nil {
		t.Fatal(err)
	}
	return rate
}

// loaded is a daemon under a keeper with a gun aimed at it.
type loaded struct {
	*lab.Daemon
	gun *gun.Gun
}

func newLoaded(ctx context.Context, t *testing.T, what gun.What, datapath string) *loaded {
	t.Helper()
	l := labtest.New(t)
	r, err := l.NewRack(ctx, lab.Flat)
	if err != nil {
		t.Fatal(err)
	}
	root, err := l.MakeRoot()
	if err != nil {
		t.Fatal(err)
	}
	server, err := r.AddBootServer()
	if err != nil {
		t.Fatal(err)
	}
	// A veth delivers what XDP sends back only to an end that has a program (veth_xdp_flush).
	if err := server.Switch.Do(func() error {
		ifi, err := net.InterfaceByName(server.Port)
		if err == nil {
			xsktest.Redirect(t, xsktest.End{Name: ifi.Name, Index: ifi.Index}, xsktest.Native)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	d := start(ctx, t, server, lab.DaemonConfig{Root: root, Keep: true, Datapath: datapath})
	return &loaded{d, newGun(ctx, t, r, server, what)}
}

// newGun makes a gun on a client's cable that is aimed at a server which answers.
func newGun(ctx context.Context, t *testing.T, r *lab.Rack, server *lab.Node, what gun.What) *gun.Gun {
	t.Helper()
	node, err := r.AddClient("gun")
	if err != nil {
		t.Fatal(err)
	}
	var p port.Port
	if err := node.Do(func() (err error) {
		p, err = port.Open(port.Options{Interface: lab.Iface, Kind: port.XDP})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	load := gun.Load{What: what, Server: server.Addr, Clients: netip.MustParsePrefix("192.0.2.128/25"), Machines: 1000, Late: firstRetry}
	g, err := gun.New(ctx, load, []port.Port{p})
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := g.Warm(ctx); !ok || err != nil {
		t.Fatalf("nobody answers: %v", err)
	}
	return g
}

// shoot lets the daemon end twice by end while the gun fires, and returns what
// became of the requests.
func (l *loaded) shoot(ctx context.Context, t *testing.T, end func(pid int) error) *gun.Outcome {
	t.Helper()
	return l.shootWhen(ctx, t, func(st *lab.Status) bool { return st.Count("answered") > 50 }, end)
}

// shootWhen is shoot, each life being ended once it is as wanted.
func (l *loaded) shootWhen(ctx context.Context, t *testing.T, wanted func(*lab.Status) bool, end func(pid int) error) *gun.Outcome {
	t.Helper()
	firing, cease := context.WithCancel(ctx)
	defer cease()
	outcome := make(chan *gun.Outcome, 1)
	go func() {
		// cease ends it, which is an error to Run.
		o, _ := l.gun.Run(firing, gun.Schedule{From: handOverRate(t), To: handOverRate(t), For: patience})
		outcome <- o
	}()
	st := await(ctx, t, l.Daemon, "requests are answered", wanted)
	for range 2 {
		was := st.PID
		if err := end(was); err != nil {
			t.Fatal(err)
		}
		st = await(ctx, t, l.Daemon, "the next life answers", func(st *lab.Status) bool { return st.PID != was && wanted(st) })
	}
	cease()
	return <-outcome
}

// Whatever a client asks while one daemon hands over to the next is answered
// once, before the client would ask again: by XDP's ring buffer or the sockets
// that outlive the daemon.
func TestHandOverUnderLoad(t *testing.T) {
	labtest.Need(t, false)
	for _, datapath := range []string{"native", "ringbuf", "socket"} {
		t.Run(datapath, func(t *testing.T) {
			t.Parallel()
			ctx := labtest.Context(t, patience)
			l := newLoaded(ctx, t, gun.Both, datapath)
			o := l.shoot(ctx, t, func(int) error { return l.Signal(syscall.SIGUSR2) })
			t.Log(o)
			if o.Sent == 0 || o.Answered != o.Sent || o.Duplicates != 0 {
				t.Error("requests without an answer, or with two")
			}
		})
	}
}

// Clients that the kernel answers notice nothing of a hand-over: the templates
// answer on, until the successor does, who publishes its own.
func TestHandOverWithTemplates(t *testing.T) {
	labtest.Need(t, false)
	t.Parallel()
	ctx := labtest.Context(t, patience)
	l := newLoaded(ctx, t, gun.Both, "native")
	inKernel := func(st *lab.Status) bool {
		for _, r := range st.Requests {
			if r.Tier == "kernel" && r.Reason == "answered" && r.Count > 50 {
				return true
			}
		}
		return false
	}
	o := l.shootWhen(ctx, t, inKernel, func(int) error { return l.Signal(syscall.SIGUSR2) })
	t.Log(o)
	if o.Sent == 0 || o.Answered != o.Sent || o.Duplicates != 0 {
		t.Error("requests without an answer, or with two")
	}
}

// After a crash the next daemon takes over at once: nobody is answered twice, and
// who was not answered is when it asks again. What was given to the daemon while
// it died is lost with it.
func TestCrashUnderLoad(t *testing.T) {
	labtest.Need(t, false)
	t.Parallel()
	ctx := labtest.Context(t, patience)
	l := newLoaded(ctx, t, gun.Both, "native")
	o := l.shoot(ctx, t, func(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) })
	t.Log(o)
	if o.Sent == 0 || o.Duplicates != 0 {
		t.Error("requests with two answers")
	}
	again, err := l.gun.Run(ctx, gun.Fixed(handOverRate(t), time.Second/2))
	if err != nil || again.Answered != again.Sent {
		t.Errorf("asked again: %v, %v", again, err)
	}
	st, err := l.Status(ctx)
	if err != nil || len(st.Interfaces) != 1 || st.Interfaces[0].Tier != "native" {
		t.Errorf("%+v, %v", st, err)
	}
}
