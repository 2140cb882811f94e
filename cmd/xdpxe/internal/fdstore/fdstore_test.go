package fdstore

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A test binary as the next process of a daemon says what it inherited.
func TestMain(m *testing.M) {
	if os.Getenv("FDSTORE_TEST_INHERIT") != "" {
		os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
		s := Open()
		if s == nil {
			println("no store")
			os.Exit(0)
		}
		for name, fd := range s.Take("tftp-") {
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			println(name, err == nil && flags&unix.FD_CLOEXEC != 0, os.Getenv("LISTEN_FDS"))
		}
		if err := s.Discard(); err != nil {
			println(err.Error())
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

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

// next returns the next message and how many descriptors came with it.
func next(t *testing.T, c *net.UnixConn) (text string, fds int) {
	t.Helper()
	buf, oob := make([]byte, 4096), make([]byte, 256)
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, oobn, _, _, err := c.ReadMsgUnix(buf, oob)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		t.Fatal(err)
	}
	for i := range messages {
		rights, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range rights {
			unix.Close(fd)
		}
		fds += len(rights)
	}
	return string(buf[:n]), fds
}

func TestMessages(t *testing.T) {
	c := manager(t)
	s := Open()
	if s == nil {
		t.Fatal("no store beside a service manager")
	}
	if err := s.Store("tftp-data-3", int(os.Stderr.Fd())); err != nil {
		t.Fatal(err)
	}
	if text, fds := next(t, c); text != "FDSTORE=1\nFDPOLL=0\nFDNAME=tftp-data-3" || fds != 1 {
		t.Errorf("%q with %d descriptors", text, fds)
	}
	if err := s.Remove("tftp-data-3"); err != nil {
		t.Fatal(err)
	}
	if text, fds := next(t, c); text != "FDSTOREREMOVE=1\nFDNAME=tftp-data-3" || fds != 0 {
		t.Errorf("%q with %d descriptors", text, fds)
	}
	c.Close()
	if err := s.Store("x", int(os.Stderr.Fd())); err == nil {
		t.Error("stored with nobody")
	}
}

func TestNoStore(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if Open() != nil {
		t.Error("a store without a service manager")
	}
	manager(t)
	t.Setenv("FDSTORE", "0")
	if Open() != nil {
		t.Error("a store where the manager keeps nothing")
	}
}

func TestInherits(t *testing.T) {
	c := manager(t)
	var files []*os.File
	for range 4 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
		files = append(files, r)
	}
	cmd := exec.Command(os.Args[0])
	cmd.ExtraFiles = files
	cmd.Env = append(os.Environ(), "FDSTORE_TEST_INHERIT=1", "LISTEN_FDS=4", "LISTEN_FDNAMES=tftp-data-1:other:tftp-requests-0:tftp-data-1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got := string(out)
	if strings.Count(got, "\n") != 2 || !strings.Contains(got, "tftp-data-1 true \n") || !strings.Contains(got, "tftp-requests-0 true \n") {
		t.Errorf("inherited:\n%s", got)
	}
	// What nobody took is given back.
	if text, _ := next(t, c); text != "FDSTOREREMOVE=1\nFDNAME=other" {
		t.Errorf("%q", text)
	}
}
