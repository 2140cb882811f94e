// Package labtest lays labs for tests: they skip with a reason where they
// cannot run, and what they lay is gone when they end.
package labtest

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/lab"
)

// Need skips the test where a lab cannot be laid, and says what is missing;
// with -short also a test of real firmware.
func Need(t *testing.T, firmware bool) {
	t.Helper()
	if firmware && testing.Short() {
		t.Skip("real firmware takes its time: not with -short")
	}
	if err := lab.Missing(firmware); err != nil {
		t.Skipf("lab: %v", err)
	}
}

// RemoveOnSignal is for a TestMain: what the tests laid goes with them on
// Ctrl-C too, and what cleanup removes.
func RemoveOnSignal(cleanup func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		if err := lab.RemoveOwn(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		cleanup()
		os.Exit(130) // as shells say of SIGINT
	}()
}

// New makes a lab that goes with the test.
func New(t *testing.T) *lab.Lab {
	t.Helper()
	l, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close the lab: %v", err)
		}
	})
	return l
}

// Rack lays a rack with its plain DHCP server running, and a directory of boot files.
func Rack(ctx context.Context, t *testing.T, topology lab.Topology) (r *lab.Rack, root string) {
	t.Helper()
	l := New(t)
	r, err := l.NewRack(ctx, topology)
	if err != nil {
		t.Fatal(err)
	}
	if root, err = l.MakeRoot(); err != nil {
		t.Fatal(err)
	}
	dhcp, err := r.StartDHCP(ctx, r.DHCP, nil)
	if err != nil {
		t.Fatal(err)
	}
	ShowOnFailure(t, dhcp)
	return r, root
}

// BootServer lays a flat rack with boot files and a place for a boot server, but
// without a DHCP server.
func BootServer(ctx context.Context, t *testing.T) (r *lab.Rack, node *lab.Node, root string) {
	t.Helper()
	l := New(t)
	r, err := l.NewRack(ctx, lab.Flat)
	if err == nil {
		root, err = l.MakeRoot()
	}
	if err == nil {
		node, err = r.AddBootServer()
	}
	if err != nil {
		t.Fatal(err)
	}
	return r, node, root
}

// Polls makes the switch's end of a node's cable take what XDP sends: a veth
// throws it away at an end that does not poll.
func Polls(t *testing.T, n *lab.Node) {
	t.Helper()
	if err := n.Switch.Run("ethtool", "-K", n.Port, "gro", "on"); err != nil {
		t.Fatal(err)
	}
}

// ShowOnFailure logs what a process wrote if the test fails.
func ShowOnFailure(t *testing.T, p *lab.Process) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s:\n%s", p.Name, p.Log)
		}
	})
}

// Context ends with the test or after the given time.
func Context(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}
