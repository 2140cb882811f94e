package tftpload

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bench/procstat"
)

// cpuTime is what a thread got of the processors.
type cpuTime struct {
	ran    time.Duration
	waited time.Duration // ready to run, but others ran
}

func (c cpuTime) sub(o cpuTime) cpuTime { return cpuTime{c.ran - o.ran, c.waited - o.waited} }

// threadTime reads the calling thread's.
func threadTime() (c cpuTime) {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &u) == nil {
		c.ran = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	// The scheduler's own count is finer, where the kernel has it: ns on a
	// processor, ns waiting for one, turns.
	text, err := os.ReadFile("/proc/thread-self/schedstat")
	if fields := bytes.Fields(text); err == nil && len(fields) == 3 {
		ran, err1 := strconv.ParseInt(string(fields[0]), 10, 64)
		waited, err2 := strconv.ParseInt(string(fields[1]), 10, 64)
		if err1 == nil && err2 == nil {
			c = cpuTime{time.Duration(ran), time.Duration(waited)}
		}
	}
	return c
}

// ServerUsage is what the server took during a load.
type ServerUsage struct {
	CPU       time.Duration
	Untold    bool  // CPU is not all of it (procstat.Usage)
	RSS, Anon int64 // the highest that was seen
}

// meter watches a server's process.
type meter struct {
	pid    int
	before procstat.Usage
	peak   procstat.Usage
	err    error
}

func startMeter(pid int) *meter {
	m := &meter{pid: pid}
	if pid != 0 {
		m.before, m.err = procstat.Read(pid)
		m.peak = m.before
	}
	return m
}

// look notes the memory of now.
func (m *meter) look() {
	if m.pid == 0 || m.err != nil {
		return
	}
	var u procstat.Usage
	if u, m.err = procstat.Read(m.pid); m.err == nil {
		m.peak.CPU, m.peak.RSS, m.peak.Anon, m.peak.Untold = u.CPU, max(m.peak.RSS, u.RSS), max(m.peak.Anon, u.Anon), u.Untold
	}
}

// stop returns what the server took since the start, and why it cannot be told.
func (m *meter) stop() serverTook {
	m.look()
	if m.pid == 0 {
		return serverTook{}
	}
	return serverTook{usage: &ServerUsage{CPU: m.peak.CPU - m.before.CPU, Untold: m.peak.Untold, RSS: m.peak.RSS, Anon: m.peak.Anon}, err: m.err}
}

type serverTook struct {
	usage *ServerUsage // nil: nobody asked
	err   error
}
