package result

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Histogram counts durations from 1 ns to an hour with three digits. It has one
// owner at a time; Record does not allocate. Merge adds those of several workers.
type Histogram struct{ hdr *hdrhistogram.Histogram }

const longest = int64(time.Hour)

// NewHistogram makes an empty one.
func NewHistogram() *Histogram { return &Histogram{hdrhistogram.New(1, longest, 3)} }

// Record counts one duration; what is out of range counts as the nearest that is not.
func (h *Histogram) Record(d time.Duration) { h.RecordN(d, 1) }

// RecordN counts a duration n times, as kernel histograms come.
func (h *Histogram) RecordN(d time.Duration, n int64) {
	_ = h.hdr.RecordValues(min(max(int64(d), 1), longest), n) // in range, hence no error
}

// Merge adds the values of o.
func (h *Histogram) Merge(o *Histogram) { h.hdr.Merge(o.hdr) }

// Count is how many values there are.
func (h *Histogram) Count() int64 { return h.hdr.TotalCount() }

// Quantile returns the value that a share p (0 to 1) does not exceed, in seconds.
// That of 0 is the lowest.
func (h *Histogram) Quantile(p float64) float64 {
	if h.Count() == 0 {
		return 0
	}
	// The library says 0 for a share of less than one value.
	return time.Duration(max(h.hdr.ValueAtQuantile(100*p), h.hdr.Min())).Seconds()
}

// quantiles are those of a curve, closer together towards the end.
var quantiles = []float64{0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97,
	0.98, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999, 1}

// Curve returns the distribution.
func (h *Histogram) Curve(name string) Curve {
	c := Curve{Name: name, Unit: Seconds}
	for _, p := range quantiles {
		c.Points = append(c.Points, Percentile{P: p, V: h.Quantile(p)})
	}
	return c
}

// AddTo appends p50, p90, p99, p99.9 and the highest value as figures, each name
// with a prefix ("offer p99").
func (h *Histogram) AddTo(r *Row, prefix string) {
	if prefix != "" {
		prefix += " "
	}
	for _, q := range []struct {
		name string
		p    float64
	}{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1}} {
		r.Add(prefix+q.name, Seconds, h.Quantile(q.p))
	}
}
