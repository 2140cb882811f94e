package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lock takes the lock of an open file or directory, and waits for it as long as
// ctx does. It goes with the descriptor, so also with a process that is killed.
func lock(ctx context.Context, f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case !errors.Is(err, unix.EWOULDBLOCK):
			return fmt.Errorf("store %s: lock: %w", f.Name(), err)
		case !sleep(ctx, 20*time.Millisecond):
			return fmt.Errorf("store %s: %w by %s: stop it, or give this one another file", f.Name(), ErrLocked, holder(f))
		}
	}
}

// holder names the process that has the lock of a file, as /proc/locks says.
func holder(f *os.File) string {
	const unknown = "another process"
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil {
		return unknown
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return unknown
	}
	defer locks.Close()
	// 1: FLOCK  ADVISORY  WRITE 321 08:02:1234 0 EOF (proc_locks(5); the
	// device is that of the mount, which for some file systems stat does not say)
	inode := ":" + strconv.FormatUint(st.Ino, 10)
	for s := bufio.NewScanner(locks); s.Scan(); {
		words := strings.Fields(s.Text())
		if len(words) < 6 || words[1] != "FLOCK" || !strings.HasSuffix(words[5], inode) {
			continue
		}
		name, err := os.ReadFile("/proc/" + words[4] + "/comm")
		if err != nil {
			return "process " + words[4]
		}
		return fmt.Sprintf("process %s (%s)", words[4], strings.TrimSpace(string(name)))
	}
	return unknown
}
