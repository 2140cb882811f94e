package procstat

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test's own binary is the process that is read: by these words it does
// something else than testing.
func TestMain(m *testing.M) {
	switch role := os.Getenv("PROCSTAT_ROLE"); role {
	case "":
		os.Exit(m.Run())
	case "burn":
		burn(burnt)
	case "hold":
		hold()
	case "ignore":
		signal.Ignore(syscall.SIGCHLD)
		fmt.Println("ready")
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
}

const (
	burnt = 200 * time.Millisecond
	held  = 48 << 20
)

// burn uses so much CPU time, by the kernel's own account.
func burn(d time.Duration) {
	for {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil || time.Duration(u.Utime.Nano()+u.Stime.Nano()) >= d {
			return
		}
	}
}

// hold touches memory, says so, and waits for its input to end.
func hold() {
	memory := make([]byte, held)
	for i := 0; i < len(memory); i += 4096 {
		memory[i] = 1
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	runtime.KeepAlive(memory)
}

// child is a running process with its input and output.
type child struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// shell starts a shell script, in which $0 is the test's own binary.
func shell(t *testing.T, script string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{Cmd: exec.Command("/bin/sh", "-c", script, self)}
	if c.in, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewReader(out)
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.in.Close() // all of them wait for that
		_ = c.Wait()
	})
	return c
}

// says waits for lines of output.
func (c *child) says(t *testing.T, lines ...string) {
	t.Helper()
	for _, want := range lines {
		if got, err := c.out.ReadString('\n'); err != nil || strings.TrimSpace(got) != want {
			t.Fatalf("the process said %q, %v; want %q", got, err, want)
		}
	}
}

func read(t *testing.T, pid int) Usage {
	t.Helper()
	u, err := Read(pid)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestReapedChildrenCount(t *testing.T) {
	c := shell(t, `read go; PROCSTAT_ROLE=burn "$0"; PROCSTAT_ROLE=burn "$0"; echo done; read end`)
	before := read(t, c.Process.Pid)
	if before.CPU >= burnt {
		t.Errorf("%v of CPU before anything", before.CPU)
	}
	fmt.Fprintln(c.in)
	c.says(t, "done")
	// The account of /proc is in ticks, of each process and each of its two kinds.
	if got := read(t, c.Process.Pid).Sub(before).CPU; got < 2*burnt-4*tick {
		t.Errorf("%v of CPU by two children that are gone, want %v", got, 2*burnt)
	}
}

// Nobody is told of what children took whose parent ignores their end.
func TestUntold(t *testing.T) {
	for script, want := range map[string]bool{
		`echo ready; read end`:                            false,
		`PROCSTAT_ROLE=ignore exec "$0"`:                  true,
		`exec 3<&0; PROCSTAT_ROLE=ignore "$0" <&3 & wait`: true,
	} {
		c := shell(t, script)
		c.says(t, "ready")
		if u := read(t, c.Process.Pid); u.Untold != want {
			t.Errorf("%s: untold %v, want %v", script, u.Untold, want)
		}
	}
}

func TestDescendantsCount(t *testing.T) {
	// A child and a grandchild hold memory; both read until the input ends.
	c := shell(t, `exec 3<&0; PROCSTAT_ROLE=hold "$0" <&3 & /bin/sh -c 'PROCSTAT_ROLE=hold "$0" <&3 & wait' "$0" & wait`)
	c.says(t, "ready", "ready")
	u := read(t, c.Process.Pid)
	if u.Anon < 2*held || u.Anon > 16*held { // the race detector has its shadows
		t.Errorf("%d bytes anonymous, want 2 × %d and not much more", u.Anon, held)
	}
	if u.RSS < u.Anon {
		t.Errorf("%d bytes resident, %d of them anonymous", u.RSS, u.Anon)
	}
	self := read(t, os.Getpid())
	if self.Anon < u.Anon {
		t.Errorf("%d bytes anonymous of this process with all below it, %d below it", self.Anon, u.Anon)
	}
}

// While children come and go, no reading fails.
func TestReadWhileChildrenVanish(t *testing.T) {
	c := shell(t, `while [ ${#i} -lt 200 ]; do (:); (:) & i=x$i; done; wait; echo done; read end`)
	said := make(chan string, 1)
	go func() {
		line, _ := c.out.ReadString('\n')
		said <- line
	}()
	for {
		if _, err := Read(c.Process.Pid); err != nil {
			t.Fatal(err)
		}
		select {
		case line := <-said:
			if line != "done\n" {
				t.Errorf("the shell said %q", line)
			}
			return
		default:
		}
	}
}

func TestReadNobody(t *testing.T) {
	c := exec.Command("/bin/true")
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(c.Process.Pid); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a process that is gone: %v", err)
	}
}

// A zombie has CPU time and no memory.
func TestReadZombie(t *testing.T) {
	c := shell(t, `PROCSTAT_ROLE=burn "$0"`)
	// Waits for the end and leaves the zombie.
	if err := unix.Waitid(unix.P_PID, c.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	u := read(t, c.Process.Pid)
	if u.CPU < burnt-2*tick || u.RSS != 0 || u.Anon != 0 {
		t.Errorf("%+v", u)
	}
}
