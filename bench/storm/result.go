package storm

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/xdpxe/xdpxe/bench/result"
)

// Result is what a storm came to.
type Result struct {
	Machines   []*Machine // in the order that they were switched on
	Took       time.Duration
	Throughput []uint64  // bytes of files by bucket, from the start on
	Busy       []float64 // share of each second that the generator's thread did not wait

	Lost        uint64                // frames that came, but found no room
	SendErrors  uint64                // frames that did not go
	Oversize    uint64                // frames longer than Ethernet has
	Overflows   uint64                // times that the kernel's ARP table was full, as far as can be seen
	SameAddress uint64                // leases of an address that another machine had
	Silent      map[netip.Addr]uint64 // datagrams that were not sent, by who did not answer ARP
}

// everyone is the row of all machines.
const everyone = "all"

// Rows are the figures of all machines, and then of each profile.
func (r *Result) Rows() []result.Row {
	all := r.row(everyone, r.Machines)
	peak := uint64(0)
	for _, b := range r.Throughput {
		peak = max(peak, b)
	}
	all.Add("peak", result.ByteRate, float64(peak)/bucket.Seconds())
	all.Limit = r.limit(all.Failures)
	all.Series = []result.Series{r.throughput(), r.booted()}
	all.Spans = spans(r.Machines)
	rows := []result.Row{all}
	profiles := map[string][]*Machine{}
	var names []string
	for _, m := range r.Machines {
		if profiles[m.Profile.Name] == nil {
			names = append(names, m.Profile.Name)
		}
		profiles[m.Profile.Name] = append(profiles[m.Profile.Name], m)
	}
	slices.Sort(names)
	for _, name := range names {
		rows = append(rows, r.row(name, profiles[name]))
	}
	return rows
}

// row are the figures of some machines. Times are from a machine's first DISCOVER on.
func (r *Result) row(name string, machines []*Machine) result.Row {
	row := result.Row{Name: name}
	offer, nbp, image := result.NewHistogram(), result.NewHistogram(), result.NewHistogram()
	var booted int
	var retries, bytes, missing uint64
	for _, m := range machines {
		retries, bytes, missing = retries+m.Retries, bytes+m.Bytes, missing+m.Missing
		for _, t := range []struct {
			reached time.Duration
			in      *result.Histogram
		}{{m.Offered, offer}, {m.NBP, nbp}, {m.Image, image}} {
			if t.reached > 0 {
				t.in.Record(t.reached - m.On)
			}
		}
		if m.Failure != "" {
			row.Fail(m.Failure, 1)
		} else {
			booted++
		}
	}
	row.Add("machines", result.Count, float64(len(machines)))
	row.Add("booted", result.Share, float64(booted)/float64(max(1, len(machines))))
	percentiles(&row, "offer", offer, 0.5, 0.99)
	percentiles(&row, "NBP", nbp, 0.5, 0.9, 0.99, 1)
	percentiles(&row, "image", image, 0.5, 0.9, 0.99, 1)
	row.Add("retries", result.Count, float64(retries))
	row.Add("missing", result.Count, float64(missing))
	row.Add("bytes", result.Bytes, float64(bytes))
	row.Curves = []result.Curve{nbp.Curve("time to NBP"), image.Curve("time to image")}
	return row
}

func percentiles(row *result.Row, name string, h *result.Histogram, ps ...float64) {
	for _, p := range ps {
		what := fmt.Sprintf("%s p%g", name, 100*p)
		if p == 1 {
			what = name + " max"
		}
		if h.Count() > 0 {
			row.Add(what, result.Seconds, h.Quantile(p))
		}
	}
}

// busyShare is above which a second's thread was the generator's limit.
const busyShare = 0.9

// limit says what kept machines from booting, or from booting sooner.
func (r *Result) limit(failures map[string]uint64) *result.Limit {
	busy := 0
	for _, b := range r.Busy {
		if b > busyShare {
			busy++
		}
	}
	switch {
	case r.Lost > 0 || r.SendErrors > 0:
		return &result.Limit{By: result.ByGenerator, Why: fmt.Sprintf("it lost %d frames that came and %d that should have gone", r.Lost, r.SendErrors)}
	case busy > 0:
		return &result.Limit{By: result.ByGenerator, Why: fmt.Sprintf("its thread was busy in %d of %d seconds", busy, len(r.Busy))}
	case len(failures) > 0:
		most := slices.MaxFunc(slices.Sorted(maps.Keys(failures)), func(a, b string) int { return cmp.Compare(failures[a], failures[b]) })
		return &result.Limit{By: result.ByServer, Why: "machines failed while the generator had time to spare, most of them for: " + most}
	}
	return &result.Limit{By: result.ByRequest, Why: "every machine booted, and the generator had time to spare: what is left is the firmware's own waiting and the servers' time"}
}

// Notes are what a reader of the figures has to know.
func (r *Result) Notes() (notes []string) {
	for _, addr := range slices.SortedFunc(maps.Keys(r.Silent), netip.Addr.Compare) {
		notes = append(notes, fmt.Sprintf("%v did not answer ARP: %d datagrams to it or through it were not sent", addr, r.Silent[addr]))
	}
	if r.Oversize > 0 {
		notes = append(notes, fmt.Sprintf("%d frames were longer than %d bytes: on virtual links a sender leaves it to the receiver to cut them up; "+
			"--sender xdp makes it cut them, as does ethtool -K PEER tx-udp-segmentation off", r.Oversize, mtu))
	}
	if r.Overflows > 0 {
		notes = append(notes, fmt.Sprintf("the ARP table that all network namespaces of this machine share was full %d times, so that servers could not answer: "+
			"raise net.ipv4.neigh.default.gc_thresh3 above twice the number of machines", r.Overflows))
	}
	if r.SameAddress > 0 {
		notes = append(notes, fmt.Sprintf("the DHCP server leased %d addresses that another machine had", r.SameAddress))
	}
	return notes
}

// mostPoints is how many a series has at most.
const mostPoints = 300

// throughput is the rate at which files came, in as many points as a plot can show.
func (r *Result) throughput() result.Series {
	series := result.Series{Name: "throughput", Unit: result.ByteRate}
	width := max(1, (len(r.Throughput)+mostPoints-1)/mostPoints)
	for at := 0; at < len(r.Throughput); at += width {
		sum := uint64(0)
		for _, b := range r.Throughput[at:min(at+width, len(r.Throughput))] {
			sum += b
		}
		t := (time.Duration(at) * bucket).Seconds()
		series.Points = append(series.Points, result.Point{T: t, V: float64(sum) / (time.Duration(width) * bucket).Seconds()})
	}
	return series
}

// booted counts the machines that have their image, over time.
func (r *Result) booted() result.Series {
	var ends []time.Duration
	for _, m := range r.Machines {
		if m.Failure == "" && m.Done() {
			ends = append(ends, m.Ended)
		}
	}
	slices.Sort(ends)
	series := result.Series{Name: "machines booted", Unit: result.Count, Points: []result.Point{{}}}
	step := max(1, len(ends)/mostPoints)
	for i := step - 1; i < len(ends); i += step {
		series.Points = append(series.Points, result.Point{T: ends[i].Seconds(), V: float64(i + 1)})
	}
	return series
}

// mostSpans is how many machines' lives a result holds: evenly chosen among all.
const mostSpans = 400

func spans(machines []*Machine) (all []result.Span) {
	step := max(1, (len(machines)+mostSpans-1)/mostSpans)
	for i := 0; i < len(machines); i += step {
		m := machines[i]
		s := result.Span{Client: fmt.Sprintf("%s %d", m.Profile.Name, m.ID), From: m.On.Seconds(), To: m.Ended.Seconds(), Outcome: "ok"}
		if m.Failure != "" {
			s.Outcome = m.Failure
		}
		s.Marks = append(s.Marks, result.Mark{T: m.On.Seconds(), What: "discover"})
		for _, mark := range []struct {
			at   time.Duration
			what string
		}{{m.Offered, "offer"}, {m.Acked, "ack"}, {m.Asked, "4011"}, {m.NBP, "nbp"}, {m.Image, "image"}} {
			if mark.at > 0 {
				s.Marks = append(s.Marks, result.Mark{T: mark.at.Seconds(), What: mark.what})
			}
		}
		all = append(all, s)
	}
	return all
}
