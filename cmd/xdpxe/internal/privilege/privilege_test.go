package privilege

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestNames(t *testing.T) {
	if got := Needed.String(); got != "CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF" {
		t.Error(got)
	}
	if got := Needed.Without(SetOf(NetRaw, NetAdmin, NetBindService)).String(); got != "CAP_BPF" {
		t.Error(got)
	}
	if got := Set(0).String() + " " + Cap(50).String(); got != "none capability 50" {
		t.Error(got)
	}
}

// The kernel's own list, as far as this machine's setpriv knows it, agrees with ours.
func TestNamesMatchSetpriv(t *testing.T) {
	out, err := exec.Command("setpriv", "--list-caps").Output()
	if err != nil {
		t.Skipf("needs setpriv (util-linux): %v", err)
	}
	for i, name := range strings.Fields(string(out)) {
		if want := "CAP_" + strings.ToUpper(name); i < len(names) && Cap(i).String() != want {
			t.Errorf("capability %d is %v, setpriv says %s", i, Cap(i), want)
		}
	}
}

func TestHaveMatchesProc(t *testing.T) {
	have, err := Have()
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("CapEff:\t%016x\n", uint64(have)); !strings.Contains(string(status), want) {
		t.Errorf("Have() = %x, /proc says otherwise", uint64(have))
	}
}

// buildDropper builds the helper without cgo, also when this test is built with it (-race).
func buildDropper(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dropper")
	build := exec.Command("go", "build", "-o", path, "./testdata/dropper")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// check wants every thread to hold exactly permitted and effective sets eff,
// bounding set bnd (empty: any), nothing inheritable or ambient, and a child no more.
func check(t *testing.T, out []byte, eff, bnd string) {
	t.Helper()
	threads := 0
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		want := ""
		switch who, key := f[0], f[1]; key {
		case "CapEff", "CapPrm":
			if want = eff; who == "child" {
				// A root user's child may hold what is left, never more.
				var have, most uint64
				fmt.Sscanf(f[2], "%x", &have)
				fmt.Sscanf(eff, "%x", &most)
				if have&^most != 0 {
					t.Errorf("a child regained capabilities: %s", line)
				}
				continue
			}
			if key == "CapEff" {
				threads++
			}
		case "CapInh", "CapAmb":
			want = "0000000000000000"
		case "CapBnd":
			if want = bnd; bnd == "" {
				continue
			}
		case "NoNewPrivs":
			want = "1"
		}
		if f[2] != want {
			t.Errorf("%s, want %s", strings.TrimSpace(line), want)
		}
	}
	if threads < 5 {
		t.Errorf("only %d threads looked at:\n%s", threads, out)
	}
}

const rawAndBPF = "0000008000002000"

func TestDropAsRoot(t *testing.T) {
	if have, _ := Have(); !have.Has(8 /* SETPCAP */) || os.Getuid() != 0 {
		t.Skip("needs root with CAP_SETPCAP: there is nothing to drop")
	}
	out, err := exec.Command(buildDropper(t)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "have: CAP_NET_RAW, CAP_BPF <nil>") {
		t.Errorf("%s", out)
	}
	check(t, out, rawAndBPF, rawAndBPF)
}

// As systemd starts the daemon: an ordinary user with ambient capabilities, one of them too many.
func TestDropAsUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: to start a process as another user with capabilities")
	}
	cmd := exec.Command(copyFor(t, buildDropper(t)))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: 65534, Gid: 65534},
		AmbientCaps: []uintptr{uintptr(NetRaw), uintptr(BPF), uintptr(NetAdmin)},
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	check(t, out, rawAndBPF, "")
}

// copyFor puts a program where any user may execute it: t.TempDir is root's alone.
func copyFor(t *testing.T, path string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "xdpxe-privilege-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "dropper")
	if err := os.WriteFile(name, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}
