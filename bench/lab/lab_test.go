package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The tests below run the test binary as another process that lays a lab and
// is killed; this variable tells it to.
const layAndWait = "XDPXE_LAB_LAY_AND_WAIT"

func TestMain(m *testing.M) {
	if os.Getenv(layAndWait) != "" {
		layThenWait()
	}
	os.Exit(m.Run())
}

// layThenWait lays a lab with a running process and a mount, says its name, and waits to be killed.
func layThenWait() {
	l, err := New()
	if err == nil {
		var ns *Namespace
		if ns, err = l.Namespace("left"); err == nil {
			_, err = ns.Start(Command{Args: []string{"sleep", "1000"}})
		}
	}
	if err == nil {
		_, err = l.MountBPF("left")
	}
	if err != nil {
		os.Stdout.WriteString("error " + err.Error() + "\n")
		os.Exit(1)
	}
	os.Stdout.WriteString(filepath.Base(l.Dir()) + "\n")
	select {}
}

func need(t *testing.T) {
	t.Helper()
	if err := Missing(false); err != nil {
		t.Skipf("lab: %v", err)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	need(t)
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.NewRack(t.Context(), Relayed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.MountBPF("x"); err != nil {
		t.Fatal(err)
	}
	p, err := r.DHCP.Start(Command{Args: []string{"sleep", "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	select {
	case <-p.Exited():
	default:
		t.Error("a process runs on")
	}
	checkGone(t, filepath.Base(l.Dir()))
}

func TestLeftoversOfKilledOwner(t *testing.T) {
	need(t)
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), layAndWait+"=1")
	out, err := owner.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 200)
	n, err := out.Read(line)
	name := strings.TrimSpace(string(line[:n]))
	if err != nil || strings.HasPrefix(name, "error") {
		t.Fatalf("the other owner said %q: %v", name, err)
	}

	if removed, err := RemoveLeftovers(); err != nil || slices.Contains(removed, name) {
		t.Errorf("with its owner alive: removed %v, %v", removed, err)
	}
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	owner.Wait()
	removed, err := RemoveLeftovers()
	if err != nil {
		t.Error(err)
	}
	// Another process may have been faster, in New.
	t.Logf("removed %v", removed)
	checkGone(t, name)
}

func TestRemoveOwn(t *testing.T) {
	need(t)
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	ns, err := l.Namespace("own")
	if err != nil {
		t.Fatal(err)
	}
	p, err := ns.Start(Command{Args: []string{"sleep", "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := RemoveOwn(); err != nil {
		t.Error(err)
	}
	<-p.Exited()
	checkGone(t, filepath.Base(l.Dir()))
}

func checkGone(t *testing.T, lab string) {
	t.Helper()
	if left, _ := filepath.Glob(filepath.Join(netnsDir, namePrefix+lab+"*")); len(left) > 0 {
		t.Errorf("namespaces left: %v", left)
	}
	if _, err := os.Stat(filepath.Join(stateDir, lab)); !os.IsNotExist(err) {
		t.Errorf("directory left: %v", err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), lab) {
		t.Error("a mount is left")
	}
}

func TestStartTimeNamesAProcess(t *testing.T) {
	own, err := startTime(os.Getpid())
	if err != nil || own == 0 {
		t.Errorf("own start time %d, %v", own, err)
	}
	if !ownerAlive("not-a-lab-name") || ownerAlive("1-1-1") {
		t.Error("a foreign directory must count as alive, an owner with another start time as dead")
	}
}

func TestStopInsists(t *testing.T) {
	need(t)
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ns, err := l.Namespace("x")
	if err != nil {
		t.Fatal(err)
	}
	p, err := ns.Start(Command{Name: "polite", Args: []string{"sh", "-c", "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.1; done"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Log.Wait(t.Context(), "ready"); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := p.Stop(); err != nil {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
	if p.ExitCode() != 3 || !strings.Contains(p.Log.String(), "bye") {
		t.Errorf("exit code %d, said %q", p.ExitCode(), p.Log)
	}
}
