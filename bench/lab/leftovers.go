package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Where labs keep their files, and how their namespaces are called. A lab's
// directory is named PID-STARTTIME-RANDOM after its owner: the name is there
// as soon as the directory is, so there is no moment without an owner.
const (
	stateDir   = "/run/xdpxe-lab"
	netnsDir   = "/run/netns"
	namePrefix = "xdpxe-lab-"
)

func makeStateDir() (string, error) {
	if err := os.MkdirAll(stateDir, 0o755); err != nil {
		return "", fmt.Errorf("lab: %w", err)
	}
	start, err := startTime(os.Getpid())
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(stateDir, fmt.Sprintf("%d-%d-*", os.Getpid(), start))
	if err != nil {
		return "", fmt.Errorf("lab: %w", err)
	}
	// Daemons that dropped their privileges read their files here.
	return dir, os.Chmod(dir, 0o755)
}

// startTime returns when a process started, in clock ticks since boot: with
// the process id it names a process for good.
func startTime(pid int) (uint64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("lab: %w", err)
	}
	// The second field is the command's name in parentheses and may hold anything.
	_, rest, ok := strings.Cut(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return 0, fmt.Errorf("lab: /proc/%d/stat has %d fields", pid, len(fields))
	}
	return strconv.ParseUint(fields[19], 10, 64) // field 22 of proc(5), the third being the first here
}

// RemoveLeftovers removes the processes, namespaces, mounts and files of labs
// whose owner is gone, and returns the names of those labs.
func RemoveLeftovers() ([]string, error) {
	return removeLabs(func(lab string) bool { return !ownerAlive(lab) })
}

// RemoveOwn does the same with the labs of this process, for a program that is
// about to end on a signal and cannot close them in order.
func RemoveOwn() error {
	own := strconv.Itoa(os.Getpid()) + "-"
	_, err := removeLabs(func(lab string) bool { return strings.HasPrefix(lab, own) })
	return err
}

func removeLabs(which func(lab string) bool) ([]string, error) {
	if err := os.MkdirAll(stateDir, 0o755); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	unlock, err := lockStateDir()
	if err != nil {
		return nil, err
	}
	defer unlock()

	entries, err := os.ReadDir(stateDir)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	var removed []string
	var errs []error
	for _, e := range entries {
		if !e.IsDir() || !which(e.Name()) {
			continue
		}
		removed = append(removed, e.Name())
		errs = append(errs, removeLab(e.Name()))
	}
	return removed, errors.Join(errs...)
}

func lockStateDir() (unlock func(), err error) {
	dir, err := os.Open(stateDir)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		dir.Close()
		return nil, fmt.Errorf("lab: lock %s: %w", stateDir, err)
	}
	return func() { dir.Close() }, nil
}

func ownerAlive(lab string) bool {
	parts := strings.Split(lab, "-")
	if len(parts) != 3 {
		return true // not ours
	}
	pid, err := strconv.Atoi(parts[0])
	if err != nil {
		return true
	}
	start, err := startTime(pid)
	return err == nil && strconv.FormatUint(start, 10) == parts[1]
}

func removeLab(lab string) error {
	var errs []error
	spaces, _ := filepath.Glob(filepath.Join(netnsDir, namePrefix+lab+"-*"))
	for _, path := range spaces {
		errs = append(errs, killNamespace(filepath.Base(path)), removeNamespace(filepath.Base(path)))
	}
	dir := filepath.Join(stateDir, lab)
	mounts, _ := filepath.Glob(filepath.Join(dir, "bpf-*"))
	for _, mount := range mounts {
		if err := unix.Unmount(mount, 0); err != nil && !errors.Is(err, syscall.EINVAL) { // EINVAL: not mounted
			errs = append(errs, fmt.Errorf("lab: umount %s: %w", mount, err))
		}
	}
	return errors.Join(append(errs, os.RemoveAll(dir))...)
}

// killNamespace ends the processes in a dead lab's namespace: they are the
// lab's own, nobody else knows the namespace's name.
func killNamespace(name string) error {
	out, err := output(context.Background(), "ip", "netns", "pids", name)
	if err != nil {
		return err
	}
	for _, field := range strings.Fields(out) {
		pid, err := strconv.Atoi(field)
		if err != nil || pid <= 1 {
			continue
		}
		if err := killAndWait(pid); err != nil {
			return err
		}
	}
	return nil
}

// killAndWait ends a process that is not our child and waits for its end by a pidfd.
func killAndWait(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("lab: process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("lab: kill process %d: %w", pid, err)
	}
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(poll, int(killPatience.Milliseconds())); n == 0 || err != nil {
		return fmt.Errorf("lab: process %d did not end within %v after SIGKILL", pid, killPatience)
	}
	return nil
}

const killPatience = 5 * time.Second

func removeNamespace(name string) error {
	if err := run("ip", "netns", "del", name); err != nil {
		if _, statErr := os.Stat(filepath.Join(netnsDir, name)); errors.Is(statErr, os.ErrNotExist) {
			return nil
		}
		return err
	}
	return nil
}
