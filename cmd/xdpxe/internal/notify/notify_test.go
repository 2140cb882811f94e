package notify

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// manager is a service manager's end of the socket.
func manager(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return c
}

func next(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	buf := make([]byte, 4096)
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestStates(t *testing.T) {
	c := manager(t)
	for _, s := range []struct {
		send func() error
		want string
	}{
		{func() error { return Ready("serving eth0") }, `^READY=1\nSTATUS=serving eth0$`},
		{func() error { return Status("a\nMAINPID=1") }, `^STATUS=a MAINPID=1$`},
		{Reloading, `^RELOADING=1\nMONOTONIC_USEC=\d+\n?$`},
		{Stopping, `^STOPPING=1$`},
	} {
		if err := s.send(); err != nil {
			t.Fatal(err)
		}
		if got := next(t, c); !regexp.MustCompile(s.want).MatchString(got) {
			t.Errorf("got %q, want %s", got, s.want)
		}
	}
}

func TestWithoutManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	if err := Ready("x"); err != nil {
		t.Error(err)
	}
	if err := Watchdog(t.Context(), func() bool { return true }); err != nil {
		t.Error(err)
	}
}

func TestManagerGone(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	if Ready("x") == nil {
		t.Error("no error")
	}
}

func TestWatchdogFollowsInterval(t *testing.T) {
	c := manager(t)
	t.Setenv("WATCHDOG_USEC", "2000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Watchdog(ctx, func() bool { return true }) }()
	for range 3 {
		if got := next(t, c); got != "WATCHDOG=1" {
			t.Errorf("got %q", got)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A daemon whose workers hang keeps silent, and speaks again when they turn.
func TestWatchdogOnlyWhileAlive(t *testing.T) {
	c := manager(t)
	tick, asked := make(chan time.Time), 0
	alive := func() bool { asked++; return asked == 3 }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		watch(ctx, tick, alive)
		close(done)
	}()
	for range 4 {
		tick <- time.Time{}
	}
	cancel()
	<-done
	if err := Status("after"); err != nil {
		t.Fatal(err)
	}
	if got := next(t, c); got != "WATCHDOG=1" {
		t.Errorf("got %q", got)
	}
	if got := next(t, c); got != "STATUS=after" {
		t.Errorf("more than one sign of life: %q", got)
	}
}
