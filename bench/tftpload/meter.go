package tftpload

import (
	"bytes"
	"os"
	"runtime"
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

// machineTime is what the processors did for processes.
type machineTime struct {
	at   time.Time
	all  time.Duration // for all of them, without interrupts, which belong to nobody
	self time.Duration // for this one
}

// hertz is the unit of /proc/stat's times (USER_HZ), the same on all machines that Go runs on.
const hertz = 100

func readMachine() (m machineTime) {
	m.at = time.Now()
	text, err := os.ReadFile("/proc/stat")
	line, _, _ := bytes.Cut(text, []byte{'\n'})
	// cpu user nice system idle iowait irq softirq steal …
	if fields := bytes.Fields(line); err == nil && len(fields) > 4 {
		for _, f := range fields[1:4] {
			n, _ := strconv.ParseInt(string(f), 10, 64) // the kernel writes numbers
			m.all += time.Duration(n) * (time.Second / hertz)
		}
	}
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) == nil {
		m.self = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return m
}

// meter watches the server's process and the machine.
type meter struct {
	pid     int
	before  procstat.Usage
	peak    procstat.Usage
	err     error
	machine machineTime
}

func startMeter(pid int) *meter {
	m := &meter{pid: pid}
	if pid != 0 {
		m.before, m.err = procstat.Read(pid)
		m.peak = m.before
	}
	m.machine = readMachine()
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

// stop puts into the report what the server and others took since the start.
func (m *meter) stop(r *Report) {
	m.look()
	if m.pid == 0 {
		return
	}
	r.Server, r.ServerErr = &ServerUsage{CPU: m.peak.CPU - m.before.CPU, Untold: m.peak.Untold, RSS: m.peak.RSS, Anon: m.peak.Anon}, m.err
	now := readMachine()
	room := now.at.Sub(m.machine.at) * time.Duration(runtime.NumCPU())
	others := (now.all - m.machine.all) - (now.self - m.machine.self) - r.Server.CPU
	if room > 0 {
		r.Others = min(max(others.Seconds()/room.Seconds(), 0), 1)
	}
}
