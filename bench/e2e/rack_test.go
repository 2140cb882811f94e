package e2e

import (
	"context"
	"crypto/sha256"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/client"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
)

const archX64 = 7

// patience bounds every test: booting firmware takes 15 s on two idle cores.
const patience = 2 * time.Minute

// buildDir holds the program under test; TestMain makes and removes it.
var buildDir string

var build = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("XDPXE_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	path := filepath.Join(buildDir, "xdpxe")
	args, cgo := []string{"build", "-o", path}, "CGO_ENABLED=0" // as the Makefile builds it
	if os.Getenv("XDPXE_E2E_RACE") != "" {
		args, cgo = append(args, "-race"), "CGO_ENABLED=1"
	}
	cmd := exec.Command("go", append(args, "github.com/xdpxe/xdpxe/cmd/xdpxe")...)
	cmd.Env = append(os.Environ(), cgo)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return path, cmd.Run()
})

// binary builds the program under test once.
func binary(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatalf("build xdpxe: %v", err)
	}
	return path
}

func TestMain(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "xdpxe-e2e-"); err != nil {
		panic(err)
	}
	labtest.RemoveOnSignal(func() { os.RemoveAll(buildDir) })
	code := m.Run()
	os.RemoveAll(buildDir)
	os.Exit(code)
}

// rack lays a rack with a DHCP server and boot servers running xdpxe, and in
// front of them the relay if the topology has one.
func rack(ctx context.Context, t *testing.T, topology lab.Topology, configs ...lab.DaemonConfig) (*lab.Rack, []*lab.Daemon) {
	t.Helper()
	r, root := labtest.Rack(ctx, t, topology)
	var daemons []*lab.Daemon
	helpers := []netip.Addr{r.DHCP.Addr}
	for _, c := range configs {
		node, err := r.AddBootServer()
		if err != nil {
			t.Fatal(err)
		}
		c.Root = root
		daemons = append(daemons, start(ctx, t, node, c))
		helpers = append(helpers, node.Addr)
	}
	if topology == lab.Relayed {
		relay, err := r.StartRelay(ctx, helpers, nil)
		if err != nil {
			t.Fatal(err)
		}
		labtest.ShowOnFailure(t, relay)
	}
	return r, daemons
}

// start starts xdpxe on a node and sees to it that it ends well: by itself,
// with exit code 0, leaving nothing behind.
func start(ctx context.Context, t *testing.T, node *lab.Node, c lab.DaemonConfig) *lab.Daemon {
	t.Helper()
	return startBinary(ctx, t, node, binary(t), c)
}

func startBinary(ctx context.Context, t *testing.T, node *lab.Node, binary string, c lab.DaemonConfig) *lab.Daemon {
	t.Helper()
	d, err := node.StartDaemon(ctx, binary, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
		if strings.Contains(d.Log.String(), "DATA RACE") {
			t.Errorf("%s: the race detector found something", d.Name)
		}
		if code := d.ExitCode(); code > 0 {
			t.Errorf("%s: exit code %d after SIGTERM", d.Name, code)
		} else if code == 0 {
			checkNothingLeft(t, d)
		}
		if t.Failed() {
			t.Logf("%s:\n%s", d.Name, d.Log)
		}
	})
	return d
}

func checkNothingLeft(t *testing.T, d *lab.Daemon) {
	t.Helper()
	left, err := d.Leftovers(context.Background())
	if err != nil {
		t.Error(err)
	}
	if len(left) > 0 {
		t.Errorf("%s left behind: %q", d.Name, left)
	}
}

// boot switches a machine on and waits for the program and the script that
// xdpxe named to it.
func boot(ctx context.Context, t *testing.T, r *lab.Rack, firmware lab.Firmware) *lab.Machine {
	t.Helper()
	m, err := r.Boot(lab.MachineOptions{Name: firmware.Short(), Firmware: firmware})
	if err != nil {
		t.Fatal(err)
	}
	labtest.ShowOnFailure(t, m.Process)
	program, err := m.WaitProgram(ctx)
	if err != nil {
		t.Fatalf("%v reaches no boot program: %v", firmware, err)
	}
	script, err := m.WaitScript(ctx)
	if err != nil {
		t.Fatalf("%v runs no script: %v", firmware, err)
	}
	t.Logf("%v: boot program after %.1f s, its script after %.1f s",
		firmware, program.Sub(m.PowerOn).Seconds(), script.Sub(m.PowerOn).Seconds())
	if err := m.Off(); err != nil {
		t.Error(err)
	}
	return m
}

// simulate boots a simulated client and checks that it got the right file.
func simulate(ctx context.Context, t *testing.T, r *lab.Rack, role string, style client.Style) *client.Outcome {
	t.Helper()
	node, err := r.AddClient(role)
	if err != nil {
		t.Fatal(err)
	}
	out, err := (&client.Client{Node: node, Style: style, Arch: archX64, UUID: [16]byte{4: 1}}).Boot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	file := lab.UEFIProgram
	if style == client.IPXE {
		file = lab.Script
	}
	want, err := os.ReadFile(r.Path("root", file))
	if err != nil {
		t.Fatal(err)
	}
	if out.File != file || out.SHA256 != sha256.Sum256(want) {
		t.Fatalf("%v client got %q with %d bytes, want %q with %d and the same content", style, out.File, out.Size, file, len(want))
	}
	return out
}

// checkTier compares the datapath in use with the one that the test is about.
func checkTier(ctx context.Context, t *testing.T, d *lab.Daemon, tier, deliver string) {
	t.Helper()
	s, err := d.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Interfaces) != 1 {
		t.Fatalf("status has %d interfaces, want 1", len(s.Interfaces))
	}
	i := s.Interfaces[0]
	if i.Tier != tier || deliver != "" && i.Deliver != deliver {
		t.Errorf("tier %q, deliver %q; want %q, %q (why: %q)", i.Tier, i.Deliver, tier, deliver, i.Why)
	}
}
