package gun

import (
	"fmt"
	"time"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/bench/result"
)

// Enough is the share of requests that must be answered in time for a rate to
// count: Kea's perfdhcp criterion, 2.5 % unanswered.
const Enough = 0.975

// Outcome is what a run found.
type Outcome struct {
	Schedule Schedule
	Sending  time.Duration // from the first to the last request
	// Of requests: Sent = Answered + Late + Wrong + Lost.
	Sent, Answered, Late, Wrong, Lost uint64
	// Of replies.
	Duplicates uint64
	Stale      uint64 // to requests that are long over
	Others     uint64 // from other servers than the one that is loaded
	Reasons    [dhcpc.Reasons]uint64

	Refused uint64  // requests that the device did not take; they are Sent, and lost
	Dropped uint64  // frames that the gun was too slow to receive
	Busy    float64 // share of the sending time in which the busiest worker had something to do

	Latency *result.Histogram

	// Of a live sender's replies: how many whole messages were judged, and found wrong.
	Looked      uint64
	LookedWrong [dhcpc.Reasons]uint64

	blind bool // sent live, and not one reply came: a veth may have thrown everything away

	table            [states]uint64 // as the table counts
	sentIn, answered []uint64       // by slice
}

// outcome adds up what the workers counted.
func (g *Gun) outcome(r *run, before port.Stats) *Outcome {
	o := &Outcome{Schedule: r.schedule, Latency: result.NewHistogram(), table: g.table.clear()}
	slices := len(g.workers[0].tally.sentIn)
	o.sentIn, o.answered = make([]uint64, slices), make([]uint64, slices)
	most := int64(0)
	for _, w := range g.workers {
		t := &w.tally
		o.Sent += t.sent
		o.Answered += t.answered
		o.Late += t.late
		o.Wrong += t.wrong
		o.Duplicates += t.duplicates
		o.Stale += t.stale
		o.Others += t.others
		for i, n := range t.reasons {
			o.Reasons[i] += n
		}
		for i, n := range t.evicted {
			o.table[i] += n
		}
		for i := range slices {
			o.sentIn[i] += uint64(t.sentIn[i])
			o.answered[i] += uint64(t.doneIn[i])
		}
		if t.wall > 0 {
			o.Busy = max(o.Busy, 1-t.idle.Seconds()/t.wall.Seconds())
		}
		o.Sending = max(o.Sending, t.last)
		o.Latency.Merge(w.latency)
		most = max(most, w.next)
	}
	o.Lost = o.Sent - o.Answered - o.Late - o.Wrong
	g.serial = r.base + uint32(most)*uint32(len(g.workers))
	after := g.stats()
	o.Refused, o.Dropped = after.SendErrors-before.SendErrors, after.Dropped-before.Dropped
	return o
}

// check compares the two accounts: by events, and by what the table holds.
func (o *Outcome) check() error {
	events := [states]uint64{pending: o.Lost, wrong: o.Wrong, answered: o.Answered, late: o.Late}
	table := o.table
	table[unused] = 0
	if events != table {
		return fmt.Errorf("the gun's own accounts differ: %v by events, %v by its table (lost, wrong, answered, late)", events[1:], table[1:])
	}
	return nil
}

// String is for messages.
func (o *Outcome) String() string {
	return fmt.Sprintf("sent %d: answered %d, late %d, wrong %d, lost %d; duplicates %d, stale %d, of others %d, wrong replies %v",
		o.Sent, o.Answered, o.Late, o.Wrong, o.Lost, o.Duplicates, o.Stale, o.Others, o.Reasons)
}

// length is how long requests were sent, in seconds, for rates: a run that was
// ended early counts as long as it was.
func (o *Outcome) length() float64 {
	if o.Sending > o.Schedule.For*9/10 {
		return max(o.Schedule.For, o.Sending).Seconds()
	}
	return max(o.Sending, slice).Seconds()
}

// Share is the share of requests that were answered in time.
func (o *Outcome) Share() float64 {
	if o.Sent == 0 {
		return 0
	}
	return float64(o.Answered) / float64(o.Sent)
}

// Rate is how many requests a second were answered in time.
func (o *Outcome) Rate() float64 { return float64(o.Answered) / o.length() }

// Offered is how many requests a second were sent.
func (o *Outcome) Offered() float64 { return float64(o.Sent) / o.length() }

// keptUp is the share of a schedule that must have been sent for it to count as kept.
const keptUp = 0.98

// Behind says that the gun did not keep its schedule.
func (o *Outcome) Behind() bool {
	return o.Schedule.Saturate || float64(o.Sent) < keptUp*float64(o.Schedule.Total())
}

// saturated is from what share of its time on a worker counts as busy all the time.
const saturated = 0.97

// Limit says who was the bottleneck.
func (o *Outcome) Limit() *result.Limit {
	unanswered := o.Sent - o.Answered
	switch {
	case o.Sent == 0:
		return &result.Limit{By: result.ByGenerator, Why: "it sent nothing"}
	case o.blind:
		return &result.Limit{By: result.ByGenerator, Why: "nothing came back, so nothing says that anything arrived: a veth throws live frames away unless its other end has an XDP program or `ethtool -K IFACE gro on`"}
	case o.Share() < Enough && 2*o.Dropped >= unanswered:
		return &result.Limit{By: result.ByGenerator, Why: fmt.Sprintf("its receiver lost %d replies, of %d that are missing", o.Dropped, unanswered)}
	case o.Share() < Enough && 2*o.Late >= unanswered && o.Busy >= saturated:
		return &result.Limit{By: result.ByGenerator, Why: fmt.Sprintf("most missing replies came late, and its thread was busy %.0f %% of the time", 100*o.Busy)}
	case o.Share() < Enough:
		return &result.Limit{By: result.ByServer, Why: fmt.Sprintf("it answered %.1f %% of %.0f/s in time, and the generator lost %d frames", 100*o.Share(), o.Offered(), o.Dropped)}
	case o.Schedule.Saturate:
		return &result.Limit{By: result.ByGenerator, Why: fmt.Sprintf("it sends no more than %.0f/s", o.Offered())}
	case o.Behind():
		return &result.Limit{By: result.ByGenerator, Why: fmt.Sprintf("it sent %d of the %d requests that were due", o.Sent, o.Schedule.Total())}
	}
	return &result.Limit{By: result.ByRequest, Why: fmt.Sprintf("%.2f %% of all requests were answered in time", 100*o.Share())}
}

// Row makes a result's row.
func (o *Outcome) Row(name string) result.Row {
	r := result.Row{Name: name, Limit: o.Limit()}
	r.Add("offered", result.PerSecond, o.Offered())
	r.Add("answered rate", result.PerSecond, o.Rate())
	r.Add("answered", result.Share, o.Share())
	for _, f := range []struct {
		name string
		n    uint64
	}{
		{"requests", o.Sent}, {"in time", o.Answered}, {"late", o.Late}, {"wrong", o.Wrong}, {"lost", o.Lost},
		{"duplicate replies", o.Duplicates},
	} {
		r.Add(f.name, result.Count, float64(f.n))
	}
	for _, f := range []struct {
		name string
		n    uint64
	}{
		{"replies to old requests", o.Stale}, {"replies of other servers", o.Others},
		{"refused by the device", o.Refused}, {"lost by the receiver", o.Dropped}, {"replies judged whole", o.Looked},
	} {
		if f.n > 0 {
			r.Add(f.name, result.Count, float64(f.n))
		}
	}
	o.Latency.AddTo(&r, "latency")
	r.Add("generator busy", result.Share, o.Busy)
	r.Curves = []result.Curve{o.Latency.Curve("latency")}
	if len(o.sentIn) > 0 {
		r.Series = []result.Series{o.series("offered", o.sentIn), o.series("answered", o.answered)}
	}
	for why, n := range o.Reasons {
		r.Fail("wrong reply: "+dhcpc.Reason(why).String(), n)
	}
	for why, n := range o.LookedWrong {
		r.Fail(fmt.Sprintf("of %d replies that were judged whole: %v", o.Looked, dhcpc.Reason(why)), n)
	}
	return r
}

func (o *Outcome) series(name string, counts []uint64) result.Series {
	s := result.Series{Name: name, Unit: result.PerSecond}
	for i, n := range counts {
		s.Points = append(s.Points, result.Point{T: (time.Duration(i) * slice).Seconds(), V: float64(n) / slice.Seconds()})
	}
	return s
}
