// Package tftpload loads a TFTP server with clients, as many and as unlike as a
// rack has, and measures what they get.
//
// A thread plays its share of the clients: one epoll, one socket and one tftpc
// state machine for each client, one queue of what happens at a time of its own
// (deadlines, arrivals, delayed packets). One recvmmsg brings what there is for a
// client, with UDP_GRO a whole window in one message. An acknowledgement is one
// sendto: each leaves by another socket, so there is nothing to batch.
//
// Impairments are played in the client, by a seeded generator of its own for
// each client and direction: the network between may be loopback.
//
// Self-checks: every transfer that was to be made is counted as completed or
// under the reason of its failure; what the clients' own socket buffers lost and
// how busy the threads were decides whether the figures are the server's or the
// generator's (Limit).
package tftpload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

var (
	// ErrConfig says that a Config makes no sense.
	ErrConfig = errors.New("load")
	// ErrFetch says that Fetch did not get the file.
	ErrFetch = errors.New("fetch")
)

// Run makes a load, in the calling thread's network namespace. When ctx ends, so
// does it, with what was done until then.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if err := enoughFiles(cfg.Clients); err != nil {
		return nil, err
	}
	ns, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("own network namespace: %w", err)
	}
	defer ns.Close()
	zone, err := zoneID(cfg.Server.Addr().Zone())
	if err != nil {
		return nil, err
	}

	var stop atomic.Bool
	defer context.AfterFunc(ctx, func() { stop.Store(true) })()
	arrivals := cfg.Arrival.Times(cfg.Clients, cfg.Seed)
	workers := make([]*worker, cfg.Threads)
	for i := range workers {
		workers[i] = newWorker(&cfg, i, newAddress(cfg.Server, zone), arrivals, &stop)
	}
	var ready, done sync.WaitGroup
	ready.Add(len(workers))
	start := make(chan time.Time)
	for _, w := range workers {
		done.Go(func() { w.thread(ns, &ready, start) })
	}
	ready.Wait()
	var faults []error
	for _, w := range workers {
		faults = append(faults, w.fault)
	}
	if err := errors.Join(faults...); err != nil {
		close(start)
		done.Wait()
		return nil, err
	}
	meter := startMeter(cfg.ServerPID)
	began := time.Now()
	for range workers {
		start <- began
	}
	stopWatching := watch(&cfg, workers, began, meter)
	done.Wait()
	stopWatching()
	r := newReport(&cfg, workers)
	meter.stop(r)
	r.Limit = r.limit(&cfg)
	return r, nil
}

func newWorker(cfg *Config, i int, server address, arrivals []time.Duration, stop *atomic.Bool) *worker {
	w := &worker{
		cfg: cfg, transfer: cfg.Transfer, probe: cfg.Transfer, impaired: [2]Impairment{cfg.Out, cfg.Out},
		v6: server.raw.Family == unix.AF_INET6, epfd: -1, arrival: arrivals, stop: stop,
	}
	w.probe.Probe, w.probe.Rules.NeedOACK, w.probe.Rules.NeedTsize, w.probe.Request.Tsize = true, true, true, true
	w.impaired[1].Delay += cfg.Slow.AckDelay
	blksize := max(cfg.Transfer.Request.Blksize, 1024) // an OACK or ERROR fits, too
	// Small datagrams take more than twice their size, and both directions of a
	// slow client's window may wait.
	w.buffer = min(max(leastBuffer, 4*blksize*cfg.Transfer.Request.Window), mostBuffer)
	each, messages := blksize+5, batch // one more than it may have
	if cfg.GRO {
		// A message is a burst, and seldom is there another before its answer.
		each, messages = groBuffer, 1
	}
	w.rx.init(each, messages)
	w.tally.init()
	for k := i; k < cfg.Clients; k += cfg.Threads {
		c := client{index: k, slow: cfg.slow(k), loops: cfg.Loops, server: server}
		c.in, c.out = *rand.NewPCG(cfg.Seed, uint64(2*k)), *rand.NewPCG(cfg.Seed, uint64(2*k+1))
		c.spanned = cfg.Spans > 0 && k%((cfg.Clients+cfg.Spans-1)/cfg.Spans) == 0
		w.clients = append(w.clients, c)
	}
	w.running = len(w.clients)
	return w
}

// thread is the life of a worker. It begins when start gives the time.
func (w *worker) thread(ns *os.File, ready *sync.WaitGroup, start <-chan time.Time) {
	runtime.LockOSThread() // for good: the thread is changed, and ends with the goroutine
	defer w.close()
	err := enter(ns)
	if err == nil {
		err = w.prepare()
	}
	w.fault = err
	ready.Done()
	began, ok := <-start
	if !ok {
		return
	}
	w.start = began
	ahead()
	before, from := threadTime(), time.Now()
	w.run()
	w.tally.cpu, w.tally.alive = threadTime().sub(before), time.Since(from)
}

// urgent is the nice value of the clients' threads. The machines that they play
// have processors of their own: on one machine with the server, what waits must
// be the server's turn and not the clients'.
const urgent = -10

// ahead puts the calling thread in front. Who may not goes on as before.
func ahead() { _ = unix.Setpriority(unix.PRIO_PROCESS, 0, urgent) }

// enter takes the thread to the network namespace.
func enter(ns *os.File) error {
	var here, there unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &here); err != nil {
		return fmt.Errorf("own network namespace: %w", err)
	}
	if err := unix.Fstat(int(ns.Fd()), &there); err != nil {
		return fmt.Errorf("network namespace: %w", err)
	}
	if here.Ino == there.Ino {
		return nil
	}
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace: %w", err)
	}
	return nil
}

// spareFiles are those that are no client's socket.
const spareFiles = 64

func enoughFiles(clients int) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	// Go raised the soft limit to the hard one.
	if need := uint64(clients + spareFiles); limit.Cur < need {
		return fmt.Errorf("%w: %d clients need %d open files, the limit is %d: raise it with ulimit -n", ErrConfig, clients, need, limit.Cur)
	}
	return nil
}

func zoneID(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	ifi, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, fmt.Errorf("zone %q: %w", zone, err)
	}
	return uint32(ifi.Index), nil
}

// watch calls Progress every second and looks at the server's memory more often,
// until the returned function is called.
func watch(cfg *Config, workers []*worker, began time.Time, m *meter) (stop func()) {
	end := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		const looks = 5 // a second
		tick := time.NewTicker(time.Second / looks)
		defer tick.Stop()
		for i := 1; ; i++ {
			select {
			case <-end:
				return
			case <-tick.C:
			}
			m.look()
			if i%looks == 0 && cfg.Progress != nil {
				p := Progress{At: time.Since(began), Total: cfg.Clients * cfg.Loops}
				for _, w := range workers {
					p.Bytes += w.moved.Load()
					p.Finished += int(w.ended.Load())
				}
				cfg.Progress(p)
			}
		}
	})
	return func() { close(end); done.Wait() }
}
