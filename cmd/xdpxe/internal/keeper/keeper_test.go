package keeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/cmd/xdpxe/internal/fdstore"
)

// The test binary is also the keeper's executable and the program that is kept.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == ExecCommand {
		fmt.Fprintln(os.Stderr, Exec(os.Args[2:]))
		os.Exit(2)
	}
	if len(os.Args) > 1 && os.Args[1] == "program" {
		os.Exit(program(os.Args[2]))
	}
	os.Exit(m.Run())
}

// program tells its story on a socket, a line for each event, and does what it is told there.
func program(where string) int {
	conn, err := net.Dial("unix", where)
	if err != nil {
		return 9
	}
	say := func(format string, args ...any) { fmt.Fprintf(conn, format+"\n", args...) }
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR2)
	store := fdstore.Open()
	names := []string{}
	for name, fd := range store.Take("") {
		sa, err := unix.Getsockname(fd)
		in, ok := sa.(*unix.SockaddrInet4)
		if err != nil || !ok {
			return 8
		}
		names = append(names, fmt.Sprintf("%s@%d", name, in.Port))
	}
	say("start %d %s", os.Getpid(), strings.Join(names, " "))
	orders := make(chan string)
	go func() {
		for {
			var order string
			if _, err := fmt.Fscanln(conn, &order); err != nil {
				os.Exit(7)
			}
			orders <- order
		}
	}()
	for {
		select {
		case sig := <-signals:
			say("%v", sig)
			if sig != syscall.SIGHUP {
				return 0
			}
		case order := <-orders:
			verb, arg, _ := strings.Cut(order, ":")
			switch verb {
			case "exit":
				return 3
			case "ready":
				err = daemonReady()
			case "store":
				var c *net.UDPConn
				if c, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err == nil {
					f, _ := c.File()
					err = store.Store(arg, int(f.Fd()))
					say("port %d", c.LocalAddr().(*net.UDPAddr).Port)
				}
			case "remove":
				err = store.Remove(arg)
			}
			if err != nil {
				return 6
			}
			say("done")
		}
	}
}

func daemonReady() error {
	_, err := daemon.SdNotify(false, "READY=1\nSTATUS=fine")
	return err
}

// rig is a keeper at work.
type rig struct {
	t       *testing.T
	stories *net.UnixListener
	conn    net.Conn
	pid     int
	signals chan os.Signal
	stop    context.CancelFunc
	code    chan int
}

func keep(t *testing.T, max int) *rig {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &rig{t: t, stories: l, signals: make(chan os.Signal), stop: cancel, code: make(chan int, 1)}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		code, err := Run(ctx, Options{
			Args: []string{exe, "program", path}, MaxSockets: max, Signals: r.signals, Stdout: io.Discard, Stderr: os.Stderr, Log: func(string, ...any) {},
		})
		if err != nil {
			t.Errorf("Run: %v", err)
		}
		r.code <- code
	}()
	t.Cleanup(func() {
		cancel()
		<-r.code
		l.Close()
	})
	return r
}

// started waits for the next life and returns what it inherited.
func (r *rig) started() string {
	r.t.Helper()
	r.stories.SetDeadline(time.Now().Add(20 * time.Second))
	var err error
	if r.conn, err = r.stories.Accept(); err != nil {
		r.t.Fatal(err)
	}
	line := r.hear()
	if _, err := fmt.Sscanf(line, "start %d", &r.pid); err != nil {
		r.t.Fatalf("%q: %v", line, err)
	}
	_, inherited, _ := strings.Cut(strings.TrimPrefix(line, "start "), " ")
	return inherited
}

func (r *rig) hear() string {
	r.t.Helper()
	r.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	var line []byte
	for b := make([]byte, 1); ; {
		if _, err := r.conn.Read(b); err != nil {
			r.t.Fatalf("after %q: %v", line, err)
		}
		if b[0] == '\n' {
			return string(line)
		}
		line = append(line, b[0])
	}
}

func (r *rig) expect(want string) {
	r.t.Helper()
	if got := r.hear(); got != want {
		r.t.Fatalf("the program says %q, want %q", got, want)
	}
}

func (r *rig) order(o string) {
	r.t.Helper()
	fmt.Fprintln(r.conn, o)
}

func (r *rig) ready() {
	r.t.Helper()
	r.order("ready")
	r.expect("done")
}

func (r *rig) store(name string) (as string) {
	r.t.Helper()
	r.order("store:" + name)
	var port int
	if _, err := fmt.Sscanf(r.hear(), "port %d", &port); err != nil {
		r.t.Fatal(err)
	}
	r.expect("done")
	return fmt.Sprintf("%s@%d", name, port)
}

// What is stored goes from life to life, however each ends.
func TestKeeps(t *testing.T) {
	r := keep(t, 2)
	if got := r.started(); got != "" {
		t.Errorf("the first life inherits %q", got)
	}
	r.ready()
	a := r.store("a")
	for _, end := range []func(){
		func() { syscall.Kill(r.pid, syscall.SIGKILL) },
		func() { r.order("exit") },
		func() { r.signals <- syscall.SIGUSR2; r.expect("user defined signal 2") },
		func() { syscall.Kill(r.pid, syscall.SIGTERM); r.expect("terminated") },
	} {
		was := r.pid
		end()
		if got := r.started(); got != a || r.pid == was {
			t.Errorf("process %d after %d inherits %q, want %q", r.pid, was, got, a)
		}
	}

	b := r.store("b")
	r.store("c") // one too many
	r.order("remove:a")
	r.expect("done")
	syscall.Kill(r.pid, syscall.SIGKILL)
	if got := r.started(); got != b {
		t.Errorf("inherits %q, want %q", got, b)
	}

	r.signals <- syscall.SIGHUP
	r.expect("hangup")
	r.stop()
	r.expect("terminated")
	if code := <-r.code; code != 0 {
		t.Errorf("exit code %d", code)
	}
	r.code <- 0
}

// A program that fails before it was ever ready ends the keeper.
func TestNeverReady(t *testing.T) {
	r := keep(t, 1)
	r.started()
	r.order("exit")
	if code := <-r.code; code != 3 {
		t.Errorf("exit code %d, want the program's, 3", code)
	}
	r.code <- 0
}

// Others may write to the socket as they like.
func TestStrangersDoNotCount(t *testing.T) {
	s, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	defer s.conn.Close()
	t.Setenv("NOTIFY_SOCKET", s.address)
	if err := daemonReady(); err != nil {
		t.Fatal(err)
	}
	d, err := s.receive()
	if err != nil || d.pid != os.Getpid() || !strings.Contains(d.text, "READY=1") {
		t.Fatalf("%+v, %v", d, err)
	}
	k := &keeper{socket: s, child: &child{}}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	k.Args, k.Stdout, k.Stderr = []string{exe, "program", "/nonexistent"}, io.Discard, io.Discard
	if k.child, err = k.start(); err != nil {
		t.Fatal(err)
	}
	<-k.child.exited
	k.take(d)
	if k.ready {
		t.Error("took a stranger's word for it")
	}
	d.pid = k.child.pid()
	k.take(d)
	if !k.ready {
		t.Error("did not take the program's word for it")
	}
}

func TestPause(t *testing.T) {
	k := &keeper{}
	var got []time.Duration
	for k.failures = 0; k.failures < 9; k.failures++ {
		got = append(got, k.pause()/time.Millisecond)
	}
	if fmt.Sprint(got) != "[0s 0s 100ns 200ns 400ns 800ns 1.6µs 3.2µs 5µs]" {
		t.Error(got)
	}
	k.failures = 1 << 30
	if k.pause() != maxWait {
		t.Error(k.pause())
	}
}

func TestNoProgram(t *testing.T) {
	_, err := Run(t.Context(), Options{Args: []string{"/nonexistent/program"}, MaxSockets: 1, Log: t.Logf})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if err := Exec(nil); err == nil {
		t.Error("started nothing")
	}
}
