// Package etcdtest runs an etcd of a test's own: Debian's etcd-server. It is for tests.
package etcdtest

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	patience = 60 * time.Second // for an etcd on a loaded machine
	mostLog  = 200              // lines kept of what it says
)

// servers counts those of this process: each has an address of its own.
var servers atomic.Uint32

// Server is an etcd of one member. It keeps its address over restarts.
type Server struct {
	URL string // for clients

	t     testing.TB
	dir   string
	argv  []string // what runs the program
	args  []string
	cmd   *exec.Cmd
	ended chan struct{}

	mu  sync.Mutex
	log []string
}

// Host is the loopback address of this process's servers. No two processes have
// the same: no port is in the way, and none is lost over a restart.
func Host() net.IP {
	pid := os.Getpid()
	return net.IPv4(127, 64|byte(pid>>16&63), byte(pid>>8), byte(pid))
}

// Start starts an etcd until the test ends. The arguments are added to its own;
// with --cert-file among them it speaks TLS.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return start(t, []string{"etcd"}, args)
}

// StartIn starts one in a network namespace, by its name (ip-netns(8)).
func StartIn(t testing.TB, namespace string, args ...string) *Server {
	t.Helper()
	return start(t, []string{"ip", "netns", "exec", namespace, "etcd"}, args)
}

func start(t testing.TB, argv, args []string) *Server {
	t.Helper()
	if _, err := exec.LookPath("etcd"); err != nil {
		t.Skip("needs etcd (Debian's package etcd-server; .ci/setup test installs it)")
	}
	scheme := "http"
	for _, a := range args {
		if strings.HasPrefix(a, "--cert-file") {
			scheme = "https"
		}
	}
	host, n := Host(), servers.Add(1)
	s := &Server{t: t, argv: argv, URL: fmt.Sprintf("%s://%s:%d", scheme, host, 2378+2*n), dir: filepath.Join(t.TempDir(), "etcd")}
	peer := fmt.Sprintf("http://%s:%d", host, 2379+2*n)
	s.args = append([]string{
		"--name=test", "--data-dir=" + s.dir, "--listen-client-urls=" + s.URL, "--advertise-client-urls=" + s.URL,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=test=" + peer,
		"--heartbeat-interval=20", "--election-timeout=200",
	}, args...)
	t.Cleanup(s.Kill)
	s.Restart()
	return s
}

// Kill ends the etcd with SIGKILL.
func (s *Server) Kill() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		<-s.ended
		s.cmd = nil
	}
}

// Pause stops the etcd as a machine does that no longer answers.
func (s *Server) Pause() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
	for deadline := time.Now().Add(patience); !s.stopped(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("etcd goes on after SIGSTOP for %v", patience)
		}
	}
}

// stopped says whether all threads are: the signal's sender does not wait for that.
func (s *Server) stopped() bool {
	states, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", s.cmd.Process.Pid))
	for _, path := range states {
		if stat, err := os.ReadFile(path); err != nil || !strings.Contains(string(stat), ") T ") {
			return false
		}
	}
	return len(states) > 0
}

// Resume lets it go on.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// Restart starts an etcd that was killed, and returns when it serves.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	cmd := exec.Command(s.argv[0], slices.Concat(s.argv[1:], s.args)...)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "ETCD_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, "ETCD_UNSUPPORTED_ARCH="+runtime.GOARCH)
	out, err := cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd.Stdout = cmd.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, serves, ended := make(chan error, 1), make(chan struct{}), make(chan struct{})
	go func() {
		runtime.LockOSThread() // Pdeathsig is about the thread that started it
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		var once sync.Once
		lines := bufio.NewScanner(out)
		for lines.Buffer(nil, 1<<20); lines.Scan(); {
			s.keep(lines.Text())
			if strings.Contains(lines.Text(), "ready to serve client requests") {
				once.Do(func() { close(serves) })
			}
		}
		cmd.Wait()
	}()
	if err := <-started; err != nil {
		s.t.Fatal(err)
	}
	s.cmd, s.ended = cmd, ended
	select {
	case <-serves:
	case <-ended:
		s.t.Fatalf("etcd ended:\n%s", s.Log())
	case <-time.After(patience):
		s.t.Fatalf("etcd does not serve after %v:\n%s", patience, s.Log())
	}
}

// Wipe starts an etcd that was killed without its data: another cluster.
func (s *Server) Wipe() {
	s.t.Helper()
	s.Kill()
	if err := os.RemoveAll(s.dir); err != nil {
		s.t.Fatal(err)
	}
	s.args = append(s.args, "--initial-cluster-token=another")
	s.Restart()
}

func (s *Server) keep(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.log = append(s.log, line); len(s.log) > mostLog {
		s.log = s.log[1:]
	}
}

// Log is the last that it said.
func (s *Server) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.log, "\n")
}
