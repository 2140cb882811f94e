package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/vishvananda/netns"
)

// namespace is a network namespace with a veth pair, v0 (198.51.100.2/24) and v1, both up.
type namespace string

var namespaces atomic.Int32

func newNamespace(t *testing.T) namespace {
	t.Helper()
	ns := bareNamespace(t)
	ns.plug(t)
	return ns
}

// bareNamespace has the loopback interface only.
func bareNamespace(t *testing.T) namespace {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: to make a network namespace")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip (iproute2)")
	}
	ns := namespace(fmt.Sprintf("xdpxe-cmd-%d-%d", os.Getpid(), namespaces.Add(1)))
	if out, err := exec.Command("ip", "netns", "add", string(ns)).CombinedOutput(); err != nil {
		t.Skipf("needs network namespaces: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", string(ns)).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	ns.run(t, "ip", "link", "set", "lo", "up")
	return ns
}

// plug makes the veth pair.
func (ns namespace) plug(t *testing.T) {
	t.Helper()
	ns.run(t, "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
	ns.run(t, "ip", "address", "add", "198.51.100.2/24", "dev", "v0")
	ns.run(t, "ip", "link", "set", "v1", "up")
	ns.run(t, "ip", "link", "set", "v0", "up")
}

// run runs a command in the namespace.
func (ns namespace) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("ip", append([]string{"netns", "exec", string(ns)}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
	return string(out)
}

// command is xdpxe as a process in the namespace.
func (ns namespace) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := command(t, append([]string{"netns", "exec", string(ns), os.Args[0]}, args...)...)
	path, err := exec.LookPath("ip")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Path, cmd.Args[0] = path, path
	return cmd
}

func (ns namespace) xdpxe(t *testing.T, args ...string) result {
	t.Helper()
	cmd := ns.command(t, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// inside runs f in the namespace, on a thread of its own.
func (ns namespace) inside(t *testing.T, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its namespace
		done <- func() error {
			h, err := netns.GetFromName(string(ns))
			if err != nil {
				return err
			}
			defer h.Close()
			if err := netns.Set(h); err != nil {
				return err
			}
			return f()
		}()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
