package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrInUse is wrapped by Listen when another daemon answers on the socket.
var ErrInUse = errors.New("another daemon answers there")

const (
	dirMode = 0o755
	maxPath = len(syscall.RawSockaddrUnix{}.Path) - 1 // unix(7): with the final zero
)

// Listen opens the control socket at path, with the mode and group of the
// options. A missing directory is made. A socket that nobody answers on is taken over;
// anything else at path is left alone and is an error. The caller runs Serve.
func Listen(path string, opts Options) (*Server, error) {
	if opts.Mode == 0 {
		opts.Mode = DefaultMode
	}
	gid, err := groupID(opts.Group)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	if len(path) > maxPath {
		return nil, fmt.Errorf("control socket %s: the path has %d bytes, a unix socket's at most %d", path, len(path), maxPath)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	// Two daemons that start at once must not each take the other's fresh
	// socket for a stale one. The lock ends with the descriptor.
	lock, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return nil, fmt.Errorf("control socket %s: lock directory: %w", path, err)
	}
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	// Mode of the descriptor before bind is the mode of the file (net/unix/af_unix.c,
	// unix_bind_bsd): at no time is it open to more than the umask and this allow.
	// The group comes later, and what the mode gives a group with it.
	early := opts.Mode
	if gid >= 0 {
		early &^= 0o070
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var chmodErr error
		if err := c.Control(func(fd uintptr) { chmodErr = syscall.Fchmod(int(fd), uint32(early)) }); err != nil {
			return err
		}
		return chmodErr
	}}
	l, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if gid >= 0 {
		if err := os.Chown(path, -1, gid); err != nil {
			l.Close()
			return nil, fmt.Errorf("control socket: group %s: %w", opts.Group, err)
		}
	}
	if err := os.Chmod(path, opts.Mode); err != nil { // what umask took, and the group's
		l.Close()
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return &Server{opts: opts, listener: l.(*net.UnixListener)}, nil
}

// ErrNoGroup is wrapped by Listen when Options.Group is none.
var ErrNoGroup = errors.New("there is no group")

// groupID looks a group up, by name or number; -1: none is named.
func groupID(name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	if gid, err := strconv.Atoi(name); err == nil && gid >= 0 {
		return gid, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, fmt.Errorf("%w %s on this machine: groupadd --system %s makes it", ErrNoGroup, name, name)
	}
	return strconv.Atoi(g.Gid)
}

// removeStale clears path of a socket that no process answers on.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("the file there is not a socket; remove it or choose another path")
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		defer c.Close()
		return fmt.Errorf("%w: %s", ErrInUse, peer(c.(*net.UnixConn)))
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// peer names the process that listens on the other side.
func peer(c *net.UnixConn) string {
	cred := credentials(c)
	if cred == nil || cred.Pid == 0 {
		return "unknown process"
	}
	pid := strconv.Itoa(int(cred.Pid))
	name, err := os.ReadFile("/proc/" + pid + "/comm")
	if err != nil {
		return "process " + pid
	}
	return strings.TrimSpace(string(name)) + ", process " + pid
}
