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
	dirMode     = 0o755
	defaultMode = 0o660
	maxPath     = len(syscall.RawSockaddrUnix{}.Path) - 1 // unix(7): with the final zero
)

// ErrNoGroup is wrapped by Listen when this host has no such group.
var ErrNoGroup = errors.New("no such group")

// groupOf returns the number of a group, -1 of the empty one.
func groupOf(name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	if gid, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(gid), nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, fmt.Errorf("%w: %s", ErrNoGroup, name)
	}
	return strconv.Atoi(g.Gid)
}

// Listen opens the control socket at path, which its owner and group may use, or
// whom opts.Mode and opts.Group say. A missing directory is made. A socket that
// nobody answers on is taken over; anything else at path is left alone and is an
// error. The caller runs Serve.
func Listen(path string, opts Options) (*Server, error) {
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
	if opts.Mode == 0 {
		opts.Mode = defaultMode
	}
	gid, err := groupOf(opts.Group)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	// Mode of the descriptor before bind is the mode of the file (net/unix/af_unix.c,
	// unix_bind_bsd): until it has its group, it is open to the owner alone.
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var chmodErr error
		if err := c.Control(func(fd uintptr) { chmodErr = syscall.Fchmod(int(fd), 0o600) }); err != nil {
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
			return nil, fmt.Errorf("control socket: %w: to give it to group %s, run as root or as a member (SupplementaryGroups= in the unit)", err, opts.Group)
		}
	}
	if err := os.Chmod(path, opts.Mode); err != nil {
		l.Close()
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return &Server{opts: opts, listener: l.(*net.UnixListener)}, nil
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

// peer names the process that listens on the other side (unix(7), SO_PEERCRED).
func peer(c *net.UnixConn) string {
	raw, err := c.SyscallConn()
	if err != nil {
		return "unknown process"
	}
	var cred *syscall.Ucred
	raw.Control(func(fd uintptr) {
		cred, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err != nil || cred == nil || cred.Pid == 0 {
		return "unknown process"
	}
	pid := strconv.Itoa(int(cred.Pid))
	name, err := os.ReadFile("/proc/" + pid + "/comm")
	if err != nil {
		return "process " + pid
	}
	return strings.TrimSpace(string(name)) + ", process " + pid
}
