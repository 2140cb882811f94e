package tftpload

import (
	"cmp"
	"slices"
	"time"

	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/bench/tftpc"
)

// Report is what a load found.
type Report struct {
	// Transfers that were to be made: Completed + Failed, always.
	Transfers, Completed, Failed uint64
	Failures                     map[string]uint64 // by reason

	Wall     time.Duration // from the first request to the last end
	Bytes    int64         // of the files that came whole
	Times    *result.Histogram
	First    *result.Histogram // time to the first byte
	Packets  tftpc.Stats       // sums over all transfers
	Fairness float64           // Jain's index over the clients' goodputs: 1 is fair, 1/n one for all

	Strangers             uint64 // datagrams from other hosts
	DroppedIn, DroppedOut uint64 // by impairment
	Overflows             uint64 // messages that the clients' own buffers lost
	SlowOverflows         uint64 // the same of the slow clients, who are meant to
	SendErrors            uint64
	SendError             error // the last of them

	ClientCPU time.Duration // of all threads
	Busy      float64       // the busiest thread's share of its time that it ran or waited for a processor
	Ran       float64       // the share that it ran
	Server    *ServerUsage  // nil: it was not asked for
	ServerErr error         // why it is incomplete
	Others    float64       // share of the machine's processor time that neither took, where the server's is known
	Limit     result.Limit

	lastArrival time.Duration // as planned

	Throughput []result.Point // bytes a second, each over a tenth of one
	Spans      []result.Span
}

// newReport adds up what the workers saw.
func newReport(cfg *Config, workers []*worker) *Report {
	r := &Report{
		Transfers: uint64(cfg.Clients) * uint64(cfg.Loops), Failures: map[string]uint64{}, Times: result.NewHistogram(), First: result.NewHistogram(),
	}
	first, last := tftpc.Never, time.Duration(0)
	if len(workers) > 0 {
		r.lastArrival = slices.Max(workers[0].arrival)
	}
	var perSlice []int64
	for _, w := range workers {
		t := &w.tally
		r.Completed += t.completed
		r.Failed += t.failed
		for reason, n := range t.failures {
			r.Failures[reason] += n
		}
		r.Bytes += t.completedBytes
		r.Times.Merge(t.times)
		r.First.Merge(t.firstBytes)
		addStats(&r.Packets, &t.sum)
		r.Strangers += t.strangers
		r.DroppedIn += t.droppedIn
		r.DroppedOut += t.droppedOut
		r.Overflows += t.overflows
		r.SlowOverflows += t.slowOverflows
		if r.SendErrors += t.sendErrors; t.sendErrors > 0 {
			r.SendError = t.lastSendError
		}
		first, last = min(first, t.first), max(last, t.last)
		for i, n := range t.perSlice {
			if i == len(perSlice) {
				perSlice = append(perSlice, 0)
			}
			perSlice[i] += n
		}
		r.Spans = append(r.Spans, t.spans...)
		r.ClientCPU += t.cpu.ran
		if alive := t.alive.Seconds(); alive > 0 {
			if busy := (t.cpu.ran + t.cpu.waited).Seconds() / alive; busy > r.Busy {
				r.Busy, r.Ran = min(busy, 1), min(t.cpu.ran.Seconds()/alive, 1)
			}
		}
	}
	r.Wall = max(0, last-first)
	for i, n := range perSlice {
		r.Throughput = append(r.Throughput, result.Point{T: (time.Duration(i) * slice).Seconds(), V: float64(n) / slice.Seconds()})
	}
	r.Fairness = fairness(workers)
	slices.SortStableFunc(r.Spans, func(a, b result.Span) int { return cmp.Compare(a.From, b.From) })
	return r
}

func addStats(sum, s *tftpc.Stats) {
	sum.Blocks += s.Blocks
	sum.Bytes += s.Bytes
	sum.Duplicates += s.Duplicates
	sum.DuplicateBytes += s.DuplicateBytes
	sum.Beyond += s.Beyond
	sum.Ignored += s.Ignored
	sum.Requests += s.Requests
	sum.Acks += s.Acks
	sum.Resent += s.Resent
}

// fairness is Jain's index over what each client got in the time that it spent.
func fairness(workers []*worker) float64 {
	var n, sum, squares float64
	for _, w := range workers {
		for i := range w.clients {
			c := &w.clients[i]
			x := 0.0
			if c.busy > 0 {
				x = float64(c.bytes) / c.busy.Seconds()
			}
			n++
			sum += x
			squares += x * x
		}
	}
	if squares == 0 {
		return 0
	}
	return sum * sum / (n * squares)
}

// Goodput is bytes of whole files a second.
func (r *Report) Goodput() float64 {
	if r.Wall <= 0 {
		return 0
	}
	return float64(r.Bytes) / r.Wall.Seconds()
}

// Repeated is the share of all file bytes received that were not needed.
func (r *Report) Repeated() float64 {
	all := float64(r.Packets.Bytes) + float64(r.Packets.DuplicateBytes)
	if all == 0 {
		return 0
	}
	return float64(r.Packets.DuplicateBytes) / all
}
