package report

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/xdpxe/xdpxe/bench/result"
)

// curveFigures draws distributions by percentiles as HdrHistogram does: each
// decade of the axis is ten times fewer values, so that the tail, which the
// slowest machines of a rack are, has as much room as the rest.
func curveFigures(run *result.Run) []figure {
	var plots []*plot
	for i := range run.Rows {
		for _, c := range run.Rows[i].Curves {
			if l := distribution(c); len(l.x) > 0 {
				add(&plots, run, i, l, c.Name, c.Unit)
			}
		}
	}
	var figures []figure
	for _, p := range plots {
		p.kind, p.title = "curve", p.title+" by percentile"
		p.caption = "What the given share of all had at most."
		if p.unit == result.Seconds {
			p.caption = "How long the given share of all took at most."
		}
		p.limit()
		p.table = percentileTable(p.unit, p.lines)
		top := topOf(p.lines)
		for _, l := range p.lines {
			for k := range l.x {
				l.x[k] = nines(l.x[k], top)
			}
		}
		low, least, high, _ := bounds(p.lines, yOf)
		p.y = fitting(low, least, high).rounded(5, p.unit)
		p.x = scale{low: 0, high: top}
		p.xName, p.xText = "percentile", func(x float64) string { return percentileText(x, top) }
		p.xTicks = func(int) []tick { return percentileTicks(top) }
		figures = append(figures, p.figure())
	}
	return figures
}

// distribution is a curve's points in order, by shares, without those that are none.
func distribution(c result.Curve) line {
	points := slices.DeleteFunc(slices.Clone(c.Points), func(p result.Percentile) bool {
		return !(p.P >= 0 && p.P <= 1) || !finite(p.V)
	})
	slices.SortStableFunc(points, func(a, b result.Percentile) int { return cmp.Compare(a.P, b.P) })
	l := line{name: short(c.Name)}
	for _, p := range points {
		l.x, l.y = append(l.x, p.P), append(l.y, p.V)
		if p.P == 0.5 || p.P == 0.99 {
			l.value += "p" + trimFloat(100*p.P) + " " + c.Unit.Text(p.V) + ", "
		}
	}
	if len(l.y) > 0 {
		l.value += "highest " + c.Unit.Text(l.y[len(l.y)-1])
	}
	return l
}

// nines is where a share lies on the axis: 0.9 at 1, 0.99 at 2, 0.999 at 3. The
// whole, which would be infinitely far, is at top.
func nines(p, top float64) float64 { return math.Min(-math.Log10(1-p), top) }

// topOf is the end of the axis: a decade past the last share at which any curve
// is still below its highest value. After it, there is nothing more to see.
func topOf(curves []line) float64 {
	top := 1.0
	for _, c := range curves {
		highest := c.y[len(c.y)-1]
		for k, p := range c.x {
			if c.y[k] < highest && p < 1 {
				top = math.Max(top, nines(p, 9))
			}
		}
	}
	return math.Ceil(top-1e-9) + 1
}

// percentileTicks are the round shares up to the end, the more important first:
// where there is little room, the later ones lose their label.
func percentileTicks(top float64) []tick {
	ticks := []tick{{1, "max"}}
	for x := 1.0; x < top; x++ {
		ticks = append(ticks, tick{x / top, percentileText(x, top)})
	}
	return append(ticks, tick{nines(0.5, top) / top, "50 %"}, tick{0, "0 %"})
}

func percentileText(x, top float64) string {
	if x >= top {
		return "max"
	}
	return trimFloat(100*(1-math.Pow(10, -x))) + " %"
}

// trimFloat prints a percentage without the error of its computation.
func trimFloat(v float64) string {
	return strconv.FormatFloat(math.Round(v*1e7)/1e7, 'f', -1, 64)
}

// percentileTable has the curves' values at the shares that people name.
func percentileTable(unit result.Unit, curves []line) *table {
	t := &table{Corner: "percentile"}
	for _, c := range curves {
		t.Columns = append(t.Columns, c.name)
	}
	for _, p := range []float64{0, 0.5, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999, 0.99999, 1} {
		line := tableLine{Name: percentileText(nines(p, 9), 9)}
		found := false
		for _, c := range curves {
			cell := cell{Text: "–"}
			if k, ok := slices.BinarySearch(c.x, p); ok {
				cell.Text, found = unit.Text(c.y[k]), true
			}
			line.Cells = append(line.Cells, cell)
		}
		if found {
			t.Lines = append(t.Lines, line)
		}
	}
	return t
}
