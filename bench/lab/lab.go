package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// Lab is a set of network namespaces and of processes in them.
//
// Methods may be called from several goroutines. Close is called once, when
// nothing else uses the lab any more.
type Lab struct {
	name  string // prefix of everything that the lab leaves outside its own directory
	dir   string
	spawn chan func()

	mu         sync.Mutex
	namespaces []*Namespace
	processes  []*Process
	mounts     []string
}

// New makes an empty lab, after it has removed what dead owners left behind.
func New() (*Lab, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("lab: needs root for network namespaces")
	}
	if _, err := RemoveLeftovers(); err != nil {
		return nil, err
	}
	dir, err := makeStateDir()
	if err != nil {
		return nil, err
	}
	l := &Lab{name: namePrefix + filepath.Base(dir), dir: dir, spawn: make(chan func())}
	go l.spawner()
	return l, nil
}

// spawner starts all processes of the lab. They get a signal when the thread
// that started them ends (prctl(2) PR_SET_PDEATHSIG counts in threads, not in
// processes), so that thread is kept for as long as the lab lives.
func (l *Lab) spawner() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for start := range l.spawn {
		start()
	}
}

// Dir is the lab's own directory, gone after Close.
func (l *Lab) Dir() string { return l.dir }

// Path returns a path in the lab's directory.
func (l *Lab) Path(elem ...string) string {
	return filepath.Join(append([]string{l.dir}, elem...)...)
}

// Namespace makes a network namespace with its loopback up.
func (l *Lab) Namespace(role string) (*Namespace, error) {
	ns := &Namespace{Role: role, lab: l, name: l.name + "-" + role}
	if err := run("ip", "netns", "add", ns.name); err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.namespaces = append(l.namespaces, ns)
	l.mu.Unlock()
	return ns, ns.IP("link", "set", "lo", "up")
}

// MountBPF mounts a bpffs of the lab's own, since pinned paths of two
// namespaces must not collide and `ip netns exec` hides the host's. Asked
// again for the same name, it returns the one that is there.
func (l *Lab) MountBPF(name string) (string, error) {
	dir := l.Path("bpf-" + name)
	l.mu.Lock()
	mounted := slices.Contains(l.mounts, dir)
	l.mu.Unlock()
	if mounted {
		return dir, nil
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("lab: %w", err)
	}
	if err := run("mount", "-t", "bpf", "bpf", dir); err != nil {
		return "", err
	}
	l.mu.Lock()
	l.mounts = append(l.mounts, dir)
	l.mu.Unlock()
	return dir, nil
}

// Close ends the lab's processes, youngest first, and removes its namespaces,
// mounts and files. It goes on after an error and returns all of them.
func (l *Lab) Close() error {
	l.mu.Lock()
	processes, namespaces, mounts := l.processes, l.namespaces, l.mounts
	l.processes, l.namespaces, l.mounts = nil, nil, nil
	l.mu.Unlock()

	var errs []error
	for i := len(processes) - 1; i >= 0; i-- {
		errs = append(errs, processes[i].Stop())
	}
	for _, ns := range namespaces {
		errs = append(errs, removeNamespace(ns.name))
	}
	for _, dir := range mounts {
		errs = append(errs, run("umount", dir))
	}
	close(l.spawn)
	errs = append(errs, os.RemoveAll(l.dir))
	return errors.Join(errs...)
}

// run executes a command to its end; the error carries what it said.
func run(name string, args ...string) error {
	_, err := output(context.Background(), name, args...)
	return err
}

func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("lab: %s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}
