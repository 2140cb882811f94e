// Package procstat says what a server takes of the machine: CPU time and memory
// of a process and all its descendants, from /proc.
//
// A server that forks for each request (tftpd-hpa) does its work in children
// that are gone by the time anybody looks. The kernel adds their CPU time to
// their parent's when it waits for them (cutime and cstime, proc(5)), and so does
// Read.
//
// Processes come and go while it reads. A parent is read before its children, so
// that a child which ends meanwhile is missing from this reading and in the next,
// and never in one reading twice. A descendant whose parent ended before it
// belongs to init by then, and is not found.
package procstat

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Usage is what processes took.
type Usage struct {
	CPU  time.Duration // user and system since they started, in steps of 10 ms each
	RSS  int64         // bytes resident, summed: what processes share counts for each
	Anon int64         // bytes of it not backed by a file; what forked processes share counts once
	// Untold: CPU does not hold what descendants took that have ended, since their
	// parent ignores SIGCHLD.
	Untold bool
}

// Sub returns the CPU time since an earlier reading, with the memory of u.
func (u Usage) Sub(earlier Usage) Usage {
	u.CPU -= earlier.CPU
	return u
}

// Read reads a process and all its descendants. That the process itself is not
// there is an error, fs.ErrNotExist.
func Read(pid int) (Usage, error) {
	total, err := readOne(pid)
	if err != nil {
		return Usage{}, fmt.Errorf("procstat: process %d: %w", pid, err)
	}
	children, err := readParents()
	if err != nil {
		return Usage{}, fmt.Errorf("procstat: %w", err)
	}
	// A process id that is used again while the list is read could close a circle.
	seen := map[int]bool{pid: true}
	queue := children[pid]
	for len(queue) > 0 {
		next := queue[0]
		queue = queue[1:]
		if seen[next] {
			continue
		}
		seen[next] = true
		u, err := readOne(next)
		switch {
		case errors.Is(err, fs.ErrNotExist): // ended
		case err != nil:
			return Usage{}, fmt.Errorf("procstat: process %d, below %d: %w", next, pid, err)
		}
		total.CPU += u.CPU
		total.Untold = total.Untold || u.Untold
		total.RSS += u.RSS
		total.Anon += u.Anon
		queue = append(queue, children[next]...)
	}
	return total, nil
}

// readParents lists the children of each process.
func readParents() (map[int][]int, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		s, err := readStat(pid)
		if err != nil {
			continue // ended
		}
		children[s.parent] = append(children[s.parent], pid)
	}
	return children, nil
}

// readOne reads a process without its descendants, but with those that it waited for.
func readOne(pid int) (u Usage, err error) {
	s, err := readStat(pid)
	if err != nil {
		return u, err
	}
	u.CPU = s.cpu
	if err = readStatus(pid, &u); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return u, err
	}
	return u, nil
}

// stat is what Read needs of /proc/PID/stat.
type stat struct {
	parent int
	cpu    time.Duration
}

// tick is the unit of times in /proc: USER_HZ is 100 on every architecture that
// Go knows Linux on.
const tick = time.Second / 100

// Fields of proc_pid_stat(5), counted from the one after the name.
const (
	statParent = 1
	statUTime  = 11 // then stime, cutime, cstime
	statNeeded = 15
)

func readStat(pid int) (s stat, err error) {
	text, err := readFile(pid, "stat")
	if err != nil {
		return s, err
	}
	// The name is in parentheses and may hold any byte, parentheses too.
	f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(f) < statNeeded {
		return s, fmt.Errorf("stat has %d fields", len(f))
	}
	if s.parent, err = strconv.Atoi(f[statParent]); err != nil {
		return s, fmt.Errorf("stat: %w", err)
	}
	for _, field := range f[statUTime : statUTime+4] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return s, fmt.Errorf("stat: %w", err)
		}
		s.cpu += time.Duration(n) * tick
	}
	return s, nil
}

// readStatus reads what is resident, and whether children are waited for. One that
// has ended and was not waited for (a zombie) has nothing resident.
func readStatus(pid int, u *Usage) error {
	status, err := readFile(pid, "status")
	if err != nil {
		return err
	}
	ignored, err := strconv.ParseUint(field(status, "SigIgn"), 16, 64)
	u.Untold = err == nil && ignored&(1<<(syscall.SIGCHLD-1)) != 0
	u.RSS, u.Anon = kib(status, "VmRSS"), kib(status, "RssAnon")
	// The share of a page is its size divided by the processes that map it. It
	// takes the right to trace the process, and a kernel that tells.
	if rollup, err := readFile(pid, "smaps_rollup"); err == nil && bytes.Contains(rollup, []byte("Pss_Anon:")) {
		u.Anon = kib(rollup, "Pss_Anon")
	}
	return nil
}

// kib returns the value of a line "name:   123 kB" in bytes; 0 without it.
func kib(text []byte, name string) int64 {
	n, err := strconv.ParseInt(strings.TrimSuffix(field(text, name), " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// field returns the value of a line "name:   value"; "" without it.
func field(text []byte, name string) string {
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && key == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// readFile reads a file of a process; fs.ErrNotExist says that it has ended.
func readFile(pid int, name string) ([]byte, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/" + name)
	if errors.Is(err, syscall.ESRCH) {
		err = fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return text, err
}
