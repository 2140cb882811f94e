package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
)

var buildBench = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "xdpxe-bench")
	cmd := exec.Command("go", "build", "-o", path, "github.com/xdpxe/xdpxe/cmd/xdpxe-bench")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return path, cmd.Run()
})

// crowd is clients that download one file, slowly enough to be met on their way.
type crowd struct {
	t       *testing.T
	rack    *lab.Rack
	daemon  *lab.Daemon
	program string // that runs as the daemon, and may be replaced
	node    *lab.Node
	load    *lab.Process
	clients int
}

const crowdFile = "crowd.img"

func newCrowd(ctx context.Context, t *testing.T, clients int) *crowd {
	t.Helper()
	bench, err := buildBench()
	if err != nil {
		t.Fatalf("build xdpxe-bench: %v", err)
	}
	r, root := labtest.Rack(ctx, t, lab.Flat)
	server, err := r.AddBootServer()
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{t: t, rack: r, clients: clients, program: r.Path("daemon")}
	copyFile(t, binary(t), c.program)
	c.daemon = startBinary(ctx, t, server, c.program, lab.DaemonConfig{Root: root, Keep: true})
	if c.node, err = r.AddClient("crowd"); err != nil {
		t.Fatal(err)
	}
	if err := c.node.IP("addr", "add", netip.PrefixFrom(server.Addr.Prev(), 24).String(), "dev", lab.Iface); err != nil {
		t.Fatal(err)
	}
	c.load, err = c.node.Start(lab.Command{Name: "xdpxe-bench", Args: []string{
		bench, "tftp", "--server", server.Addr.String(), "--file", crowdFile, "--pattern", "4MiB", "--put", filepath.Join(root, crowdFile),
		"--clients", strconv.Itoa(clients), "--windowsize", "16", "--slow", "100%", "--slow-rate", "1MB/s", "--retry", "20s,3,1", "--json", "--quiet",
	}})
	if err != nil {
		t.Fatal(err)
	}
	labtest.ShowOnFailure(t, c.load)
	return c
}

// await waits for a status as it should be.
func await(ctx context.Context, t *testing.T, d *lab.Daemon, what string, ok func(*lab.Status) bool) *lab.Status {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		// Between two lives of the daemon nobody answers.
		if st, err := d.Status(ctx); err == nil && ok(st) {
			return st
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, ctx.Err())
		}
	}
}

// allRun waits until every client has had something of the file.
func (c *crowd) allRun(ctx context.Context) *lab.Status {
	c.t.Helper()
	return await(ctx, c.t, c.daemon, "all clients download", func(st *lab.Status) bool {
		n := 0
		for _, tr := range st.TFTP.Transfers {
			if tr.Acked > 0 {
				n++
			}
		}
		return n == c.clients
	})
}

// again waits for the next life of the daemon.
func (c *crowd) again(ctx context.Context, was *lab.Status) *lab.Status {
	c.t.Helper()
	return await(ctx, c.t, c.daemon, "the daemon runs again", func(st *lab.Status) bool { return st.PID != was.PID })
}

// figures waits for the end and returns what the clients measured.
func (c *crowd) figures(ctx context.Context) map[string]float64 {
	c.t.Helper()
	if err := c.load.Wait(ctx); err != nil {
		c.t.Errorf("the clients: %v", err)
	}
	var run struct {
		Rows []struct {
			Figures []struct {
				Name  string
				Value float64
			}
		}
	}
	text := c.load.Log.String()
	if err := json.Unmarshal([]byte(text), &run); err != nil || len(run.Rows) != 1 {
		c.t.Fatalf("%v: %s", err, text)
	}
	figures := map[string]float64{}
	for _, f := range run.Rows[0].Figures {
		figures[f.Name] = f.Value
	}
	return figures
}

// unreachables returns how many ICMP destination unreachables the clients' host got.
func (c *crowd) unreachables() (n string) {
	c.t.Helper()
	if err := c.node.Do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/snmp")
		if err != nil {
			return err
		}
		lines := map[string][]string{}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if f[0] != "Icmp:" {
				continue
			}
			if names, ok := lines["names"]; ok {
				for i, name := range names {
					if name == "InDestUnreachs" {
						n = f[i]
					}
				}
			}
			lines["names"] = f
		}
		return nil
	}); err != nil {
		c.t.Fatal(err)
	}
	return n
}

// ask lets the clients' host ask on UDP 4011 all the time, until stop. What it
// sends is no request, so that it gets to the host's socket whatever the datapath.
func (c *crowd) ask() (stop func()) {
	c.t.Helper()
	var conn net.Conn
	if err := c.node.Do(func() (err error) {
		conn, err = net.Dial("udp", netip.AddrPortFrom(c.daemon.Node.Addr, 4011).String())
		return err
	}); err != nil {
		c.t.Fatal(err)
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			// An ICMP error is counted, see unreachables.
			_, _ = conn.Write([]byte("no request"))
			select {
			case <-quit:
				return
			case <-tick.C:
			}
		}
	}()
	return func() {
		close(quit)
		<-done
		conn.Close()
	}
}

// However the daemon ends, under a keeper its clients notice nothing: each gets
// every byte of what it asked for once.
func TestRestartKeepsTransfers(t *testing.T) {
	labtest.Need(t, false)
	for name, end := range map[string]func(c *crowd, st *lab.Status) error{
		"killed":  func(_ *crowd, st *lab.Status) error { return syscall.Kill(st.PID, syscall.SIGKILL) },
		"stopped": func(_ *crowd, st *lab.Status) error { return syscall.Kill(st.PID, syscall.SIGTERM) },
		"new program": func(c *crowd, _ *lab.Status) error {
			copyFile(c.t, c.program, c.program+".new")
			if err := os.Rename(c.program+".new", c.program); err != nil {
				return err
			}
			return c.daemon.Signal(syscall.SIGUSR2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := labtest.Context(t, patience)
			const clients = 100
			c := newCrowd(ctx, t, clients)
			st := c.allRun(ctx)
			if st.TFTP.Requests != clients {
				t.Errorf("%d requests of %d clients before the restart", st.TFTP.Requests, clients)
			}
			stop := c.ask()
			if err := end(c, st); err != nil {
				t.Fatal(err)
			}
			st = c.again(ctx, st)
			if st.TFTP.Lost != 0 || st.TFTP.Restored != clients {
				t.Errorf("%d transfers go on, %d are lost; want all %d to go on", st.TFTP.Restored, st.TFTP.Lost, clients)
			}
			f := c.figures(ctx)
			stop()
			if f["completed"] != clients || f["failed"] != 0 {
				t.Errorf("%v clients completed, %v failed", f["completed"], f["failed"])
			}
			after, err := c.daemon.Status(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if after.PID != st.PID || after.TFTP.Requests != 0 {
				t.Errorf("%d requests after the restart (pid %d, then %d): a client started over", after.TFTP.Requests, st.PID, after.PID)
			}
			if n := c.unreachables(); n != "0" {
				t.Errorf("the clients got %s ICMP unreachables", n)
			}
		})
	}
}

// A file that was replaced while the daemon was down is not mixed with what
// clients have of the old one: they are told.
func TestRestartWithAnotherFile(t *testing.T) {
	labtest.Need(t, false)
	t.Parallel()
	ctx := labtest.Context(t, patience)
	c := newCrowd(ctx, t, 3)
	st := c.allRun(ctx)
	path := c.rack.Path("root", crowdFile)
	copyFile(t, path, path+".new") // the same bytes: it is the inode that tells
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(st.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.again(ctx, st)
	if f := c.figures(ctx); f["failed"] != 3 || !strings.Contains(c.load.Log.String(), "ERROR") {
		t.Errorf("%v clients failed, want all 3, by an ERROR", f["failed"])
	}
}

// Real firmware downloads its boot program, the daemon is killed in the middle,
// and the program runs.
func TestFirmwareSurvivesRestart(t *testing.T) {
	labtest.Need(t, true)
	t.Parallel()
	ctx := labtest.Context(t, patience)
	r, root := labtest.Rack(ctx, t, lab.Flat)
	// Firmware takes 16 MiB slowly enough to be met on its way; it does not mind
	// what is behind the end of a program.
	f, err := os.OpenFile(filepath.Join(root, lab.UEFIProgram), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(16 << 20); err != nil {
		t.Fatal(err)
	}
	f.Close()
	server, err := r.AddBootServer()
	if err != nil {
		t.Fatal(err)
	}
	d := start(ctx, t, server, lab.DaemonConfig{Root: root, Keep: true})
	m, err := r.Boot(lab.MachineOptions{Name: "survivor", Firmware: lab.UEFI})
	if err != nil {
		t.Fatal(err)
	}
	labtest.ShowOnFailure(t, m.Process)
	st := await(ctx, t, d, "the firmware downloads", func(st *lab.Status) bool {
		for _, tr := range st.TFTP.Transfers {
			if tr.File == lab.UEFIProgram && tr.Acked > 64<<10 {
				return true
			}
		}
		return false
	})
	if err := syscall.Kill(st.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	was := st.PID
	st = await(ctx, t, d, "the daemon runs again", func(st *lab.Status) bool { return st.PID != was })
	if st.TFTP.Restored != 1 {
		t.Errorf("%d transfers go on, want 1", st.TFTP.Restored)
	}
	if _, err := m.WaitScript(ctx); err != nil {
		t.Fatalf("the boot program's script does not run: %v", err)
	}
	after, err := d.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, tr := range after.TFTP.Transfers {
		t.Errorf("still downloads %+v", tr)
	}
	if err := m.Off(); err != nil {
		t.Error(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	if err := func() error {
		in, err := os.Open(from)
		if err != nil {
			return err
		}
		defer in.Close()
		out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
		if err != nil {
			return err
		}
		if _, err := io.Copy(out, in); err != nil {
			return fmt.Errorf("copy %s: %w", from, err)
		}
		return out.Close()
	}(); err != nil {
		t.Fatal(err)
	}
}
