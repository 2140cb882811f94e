package e2e

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/gun"
	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
	"github.com/xdpxe/xdpxe/bench/port"
)

// firstRetry is when a PXE client asks again (PXE 2.1, figure 2-1: 4 seconds). A request
// that is answered before is not repeated.
const firstRetry = 4 * time.Second

// handOverRate is how many requests a second clients make meanwhile. For the
// figure of the README:
//
//	XDPXE_HANDOVER_RATE=100000 go test ./bench/e2e -run TestHandOverWithTemplates -v -count 1 -parallel 1
//
// Clients that come so fast come after others of their kinds: see warmUp.
func handOverRate(t *testing.T) float64 {
	t.Helper()
	rate, err := strconv.ParseFloat(cmp.Or(os.Getenv("XDPXE_HANDOVER_RATE"), "500"), 64)
	if err != nil {
		t.Fatal(err)
	}
	return rate
}

// calm is a rate that needs no warming up, and that the guard admits.
const calm = 1000

// warmUp lets the first of their kinds ask before a storm, if the rate is one.
func (l *loaded) warmUp(ctx context.Context, t *testing.T) {
	t.Helper()
	if handOverRate(t) <= calm {
		return
	}
	if o, err := l.gun.Run(ctx, gun.Fixed(calm, 2*time.Second)); err != nil || o.Answered != o.Sent {
		t.Fatalf("warming up: %v, %v", o, err)
	}
}

// loaded is a daemon under a keeper with a gun aimed at it.
type loaded struct {
	*lab.Daemon
	gun *gun.Gun
}

func newLoaded(ctx context.Context, t *testing.T, what gun.What, datapath string) *loaded {
	t.Helper()
	r, server, root := labtest.BootServer(ctx, t)
	labtest.Polls(t, server)
	c := lab.DaemonConfig{Root: root, Keep: true, Datapath: datapath}
	if handOverRate(t) > calm { // the gun's machines ask more often than any does
		c.Guard = "{enabled: false}"
	}
	d := start(ctx, t, server, c)
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
// answer on, and the successor, if it has the same policy, keeps them: not one
// request gets to it. If it decides otherwise, it answers until its own are there.
func TestHandOverWithTemplates(t *testing.T) {
	labtest.Need(t, false)
	for _, changed := range []bool{false, true} {
		t.Run(fmt.Sprintf("changed=%v", changed), func(t *testing.T) {
			t.Parallel()
			ctx := labtest.Context(t, patience)
			l := newLoaded(ctx, t, gun.Both, "native")
			l.warmUp(ctx, t)
			enough := uint64(handOverRate(t) / 2) // half a second's, in each life
			first := map[int]uint64{}             // what was counted when a life was first seen to count
			o := l.shootWhen(ctx, t, func(st *lab.Status) bool {
				n := answeredBy(st, "kernel")
				if _, seen := first[st.PID]; !seen && n > 0 {
					first[st.PID] = n
				}
				return n > first[st.PID]+enough
			}, func(int) error {
				if changed {
					if err := l.swapPrograms(); err != nil {
						return err
					}
				}
				return l.Signal(syscall.SIGUSR2)
			})
			t.Log(o)
			if o.Sent == 0 || o.Answered != o.Sent || o.Duplicates != 0 {
				t.Error("requests without an answer, or with two")
			}
			st, err := l.Status(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if n := answeredBy(st, "native"); len(first) != 3 || !changed && n != 0 {
				t.Errorf("%d requests came to the last of %d daemons", n, len(first))
			} else {
				t.Logf("%d requests came to the last daemon", n)
			}
		})
	}
}

// answeredBy is how many requests a tier answered.
func answeredBy(st *lab.Status, tier string) (n uint64) {
	for _, r := range st.Requests {
		if r.Tier == tier && r.Reason == "answered" {
			n += r.Count
		}
	}
	return n
}

// swapPrograms gives UEFI what BIOS had, and the other way round.
func (l *loaded) swapPrograms() error {
	b, err := os.ReadFile(l.Config)
	if err != nil {
		return err
	}
	swap := strings.NewReplacer(lab.BIOSProgram, lab.UEFIProgram, lab.UEFIProgram, lab.BIOSProgram)
	return os.WriteFile(l.Config, []byte(swap.Replace(string(b))), 0o644)
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
