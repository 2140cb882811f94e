package report

import (
	"cmp"

	"math"
	"slices"

	"github.com/xdpxe/xdpxe/bench/result"
)

// seriesFigures draws what changed over the time of a run.
func seriesFigures(run *result.Run) []figure {
	var plots []*plot
	for i := range run.Rows {
		for _, s := range run.Rows[i].Series {
			if l := timeLine(s); len(l.x) > 0 {
				add(&plots, run, i, l, s.Name, s.Unit)
			}
		}
	}
	var figures []figure
	for _, p := range plots {
		p.kind, p.title = "series", p.title+" over time"
		p.limit()
		low, _, high, _ := bounds(p.lines, yOf)
		p.y = linear(low, high).rounded(5, p.unit)
		from, _, to, _ := bounds(p.lines, xOf)
		p.x = linear(from, to)
		p.xName, p.xText = "time since the start", result.Seconds.Text
		p.xTicks = func(n int) []tick { return p.x.ticks(n, result.Seconds) }
		figures = append(figures, p.figure())
	}
	return figures
}

// mostPoints of a line: more than that is below the width of a pen.
const mostPoints = 1000

// timeLine orders a series by time, thins it out and sums it up.
func timeLine(s result.Series) line {
	l := line{name: short(s.Name)}
	points := slices.DeleteFunc(slices.Clone(s.Points), func(p result.Point) bool { return !finite(p.T) })
	slices.SortStableFunc(points, func(a, b result.Point) int { return cmp.Compare(a.T, b.T) })
	sum, n, peak := 0.0, 0, math.Inf(-1)
	for _, p := range points {
		if finite(p.V) {
			sum, n, peak = sum+p.V, n+1, math.Max(peak, p.V)
		}
	}
	if n == 0 {
		return l
	}
	l.value = "mean " + s.Unit.Text(sum/float64(n)) + ", peak " + s.Unit.Text(peak)
	for _, p := range thinned(points) {
		l.x, l.y = append(l.x, p.T), append(l.y, p.V)
	}
	return l
}

// thinned keeps the lowest and highest of each stretch of a long series: what
// stands out is what one looks for.
func thinned(points []result.Point) []result.Point {
	if len(points) <= mostPoints {
		return points
	}
	var kept []result.Point
	stretches := mostPoints / 2
	for i := range stretches {
		part := points[i*len(points)/stretches : (i+1)*len(points)/stretches]
		low, high := 0, 0
		for k, p := range part {
			// A value that is none loses against any.
			if p.V < part[low].V || !finite(part[low].V) {
				low = k
			}
			if p.V > part[high].V || !finite(part[high].V) {
				high = k
			}
		}
		kept = append(kept, part[min(low, high)])
		if low != high {
			kept = append(kept, part[max(low, high)])
		}
	}
	return kept
}
