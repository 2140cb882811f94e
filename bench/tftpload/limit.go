package tftpload

import (
	"fmt"

	"github.com/xdpxe/xdpxe/bench/result"
)

// Thresholds of the verdict.
const (
	busyThread  = 0.9 // a thread that was idle less than the rest had always something to do
	lateArrival = 0.9 // clients who came until then were the reason for the length of the load
	costlier    = 2   // a server that took so many times what the generator did filled the processors
	disturbed   = 0.1 // share of the machine that others may take before it is worth a word
)

// limit says who was it.
func (r *Report) limit(cfg *Config) result.Limit {
	l := r.judge(cfg)
	if r.Others >= disturbed {
		l.Why += fmt.Sprintf("; other processes took %.0f %% of the machine", 100*r.Others)
	}
	return l
}

func (r *Report) judge(cfg *Config) result.Limit {
	switch {
	case r.Overflows > 0:
		return result.Limit{By: result.ByGenerator, Why: fmt.Sprintf("the clients' own socket buffers lost %d messages", r.Overflows)}
	case r.Ran >= busyThread:
		return result.Limit{By: result.ByGenerator, Why: fmt.Sprintf("its busiest thread ran %.0f %% of the time", 100*r.Ran)}
	case r.Busy >= busyThread:
		// Both shared the processors, and there were too few.
		if s := r.Server; s != nil && r.Others < disturbed && s.CPU >= costlier*r.ClientCPU {
			return result.Limit{By: result.ByServer, Why: fmt.Sprintf("it filled the processors: it took %.2f s, the generator %.2f s", s.CPU.Seconds(), r.ClientCPU.Seconds())}
		}
		return result.Limit{By: result.ByGenerator, Why: fmt.Sprintf("its busiest thread ran %.0f %% of the time and waited for a processor %.0f %%", 100*r.Ran, 100*(r.Busy-r.Ran))}
	case r.lastArrival > 0 && r.lastArrival.Seconds() >= lateArrival*r.Wall.Seconds():
		return result.Limit{By: result.ByRequest, Why: "clients came as planned until the end"}
	case cfg.Slow.Share > 0 || cfg.In.active() || cfg.Out.active():
		return result.Limit{By: result.ByRequest, Why: fmt.Sprintf("the clients are slow or their network is bad; the generator's threads were busy %.0f %% at most", 100*r.Busy)}
	}
	return result.Limit{By: result.ByServer, Why: fmt.Sprintf("the generator lost nothing and its threads were busy %.0f %% at most", 100*r.Busy)}
}
