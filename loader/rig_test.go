package loader

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bpf"
	"github.com/xdpxe/xdpxe/loader/netdev"
	"github.com/xdpxe/xdpxe/loader/xsk"
	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
)

// patience is longer than anything here takes; it is never waited out in a test that passes.
const patience = 10 * time.Second

// rig is a network of its own: xdpxe's interface (near) with an address, and a client's (far).
type rig struct {
	near, far xsktest.End
	client    *xsktest.Tap // sends to near
	stack     *xsktest.Tap // sees what XDP passes on near
}

func newRig(t *testing.T, queues int) *rig {
	t.Helper()
	xsktest.Namespace(t)
	r := &rig{}
	r.near, r.far = xsktest.Veth(t, queues)
	r.near.Address(t, ourNet)
	r.client, r.stack = xsktest.OpenTap(t, r.far), xsktest.OpenTap(t, r.near)
	return r
}

// testStale is long, so that a busy machine does not look like a dead daemon.
const testStale = 30 * time.Second

// open opens a datapath on near and makes it live. Its addresses are known to the program.
func (r *rig) open(t *testing.T, o Options) *Datapath {
	t.Helper()
	o.Iface = "near"
	if o.Stale == 0 {
		o.Stale = testStale
	}
	d, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if err := d.SetAddrs(Addrs(facts(t, "near"), netip.Addr{})); err != nil {
		t.Fatal(err)
	}
	d.Beat()
	return d
}

func facts(t *testing.T, name string) *netdev.Facts {
	t.Helper()
	f, err := netdev.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// passes sends a request and wants the stack to see it.
func (r *rig) passes(t *testing.T, q request) {
	t.Helper()
	r.client.Send(t, q.frame())
	r.stack.Next(t, func(f []byte) bool { xid, ok := xidOf(f); return ok && xid == q.xid })
}

// hidden wants the stack not to have seen requests with that xid so far.
func (r *rig) hidden(t *testing.T, xid uint32) {
	t.Helper()
	if n := r.stack.Pending(t, func(f []byte) bool { got, ok := xidOf(f); return ok && got == xid }); n != 0 {
		t.Errorf("the stack saw request %d %d times", xid, n)
	}
}

// redirected sends a request and returns the queue that it came out of.
func (r *rig) redirected(t *testing.T, d *Datapath, q request) int {
	t.Helper()
	r.client.Send(t, q.frame())
	queue := -1
	var frames [8]xsk.Frame
	for end := time.Now().Add(patience); queue < 0; {
		set := make([]unix.PollFd, len(d.sockets))
		for i, s := range d.sockets {
			set[i] = unix.PollFd{Fd: int32(s.FD()), Events: unix.POLLIN}
		}
		if _, err := unix.Poll(set, 1000); err != nil && !errors.Is(err, unix.EINTR) {
			t.Fatal(err)
		}
		for i, s := range d.sockets {
			n, err := s.Recv(frames[:], 0)
			if err != nil {
				t.Fatal(err)
			}
			for j := range n {
				if string(frames[j].Data()) == string(q.frame()) {
					queue = i
				}
			}
			s.Release(frames[:n])
		}
		if time.Now().After(end) {
			t.Fatalf("request %d came out of no socket; counters %v", q.xid, counts(t, d))
		}
	}
	r.hidden(t, q.xid)
	return queue
}

// recorded sends a request and wants its record in the ring buffer.
func (r *rig) recorded(t *testing.T, d *Datapath, q request) {
	t.Helper()
	before := monotonic()
	r.client.Send(t, q.frame())
	r.record(t, d, q, before)
}

// record wants the next record in the ring buffer to be of this request, and not older than since.
func (r *rig) record(t *testing.T, d *Datapath, q request, since uint64) {
	t.Helper()
	buf := make([]byte, bpf.MaxRecord)
	n, err := d.Ring().Read(buf, patience)
	if err != nil || n == 0 {
		t.Fatalf("read: %d, %v; counters %v", n, err, counts(t, d))
	}
	h, frame, err := bpf.ParseRequest(buf[:n])
	if err != nil {
		t.Fatal(err)
	}
	if int(h.IfIndex) != r.near.Index || h.KtimeNS < since || h.KtimeNS > monotonic() {
		t.Errorf("head %+v", h)
	}
	if string(frame) != string(q.frame()) {
		t.Errorf("frame %x, want %x", frame, q.frame())
	}
}

// counts returns the counters that are not 0.
func counts(t *testing.T, d *Datapath) map[string]uint64 {
	t.Helper()
	all, err := d.Counters()
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range all {
		if n == 0 {
			delete(all, name)
		}
	}
	return all
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	run(t, "ip", args...)
}

// run runs a program in the namespace of the test's thread.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// linkLine returns what ip link says of an interface.
func linkLine(t *testing.T, name string) string {
	t.Helper()
	return run(t, "ip", "-d", "link", "show", "dev", name)
}

// foreign is an XDP program that is not ours.
func foreign(t *testing.T, name string) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(passProgram(name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func id(t *testing.T, p *ebpf.Program) ebpf.ProgramID {
	t.Helper()
	info, err := p.Info()
	if err != nil {
		t.Fatal(err)
	}
	n, _ := info.ID()
	return n
}

func mustContain(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q does not say %q", text, p)
		}
	}
}

// helper runs as another process what helperMode says: opens a datapath,
// keeps its heartbeat and tells what it got, until its standard input ends.
const helperMode = "XDPXE_TEST_LOADER"

// helperMemlock makes the helper limit its locked memory to 8 MiB, as systemd does.
const helperMemlock = "XDPXE_TEST_MEMLOCK"

type helperReport struct {
	Info Info
	TX   TX
	Err  string
}

func runHelper(options string) int {
	var o Options
	if err := json.Unmarshal([]byte(options), &o); err != nil {
		fmt.Println(err)
		return 1
	}
	if os.Getenv(helperMemlock) != "" {
		if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 64 << 10, Max: 8 << 20}); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	var report helperReport
	d, err := Open(o)
	if err != nil {
		report.Err = err.Error()
	} else {
		report.Info = d.Info()
		if f, err := netdev.Read(o.Iface); err != nil {
			report.Err = err.Error()
		} else if err := d.SetAddrs(Addrs(f, netip.Addr{})); err != nil {
			report.Err = err.Error()
		} else if report.TX, err = d.ProbeTX(); err != nil {
			report.Err = err.Error()
		}
		d.Beat()
		go func() {
			for range time.Tick(o.Stale / 8) {
				d.Beat()
			}
		}()
	}
	b, _ := json.Marshal(report)
	fmt.Println(string(b))
	var one [1]byte
	_, _ = os.Stdin.Read(one[:])
	if d != nil {
		if err := d.Close(); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	return 0
}

func TestMain(m *testing.M) {
	if options := os.Getenv(helperMode); options != "" {
		os.Exit(runHelper(options))
	}
	os.Exit(m.Run())
}
