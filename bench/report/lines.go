package report

import (
	"math"
	"slices"
	"strconv"
)

// line is one curve of a plot.
type line struct {
	name  string
	value string // for the legend
	look  int    // colour and marker: a row has the same in all plots
	// x is finite and goes up; y may have values that are no numbers: gaps.
	x, y []float64
}

// looks is how many colours and markers there are.
const looks = 6

// chosen spreads at most n picks evenly over all of them, the first and the last included.
func chosen[T any](all []T, n int) []T {
	if len(all) <= n {
		return all
	}
	picks := make([]T, n)
	for i := range picks {
		picks[i] = all[i*(len(all)-1)/(n-1)]
	}
	return picks
}

// look is the class of the i-th line or bar: its colour and, past the last
// colour, its dashes.
func look(i int) string {
	c := "c" + strconv.Itoa(i%looks)
	if i >= looks {
		c += " dashed"
	}
	return c
}

// marker draws the i-th kind of marker: lines differ by shape as well as by colour.
func marker(p *pen, i int, x, y px) {
	const r = 3.6
	switch i % looks {
	case 0: // disc
		p.moveTo(x-r, y)
		p.WriteString("a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0 -7.2 0z")
	case 1: // square
		p.box(x-r, y-r, 2*r, 2*r)
	case 2: // triangle
		p.moveTo(x, y-r-1)
		p.lineTo(x+r+1, y+r)
		p.lineTo(x-r-1, y+r)
		p.WriteByte('z')
	case 3: // diamond
		p.moveTo(x, y-r-1.5)
		p.lineTo(x+r+1.5, y)
		p.lineTo(x, y+r+1.5)
		p.lineTo(x-r-1.5, y)
		p.WriteByte('z')
	case 4: // upside-down triangle
		p.moveTo(x, y+r+1)
		p.lineTo(x+r+1, y-r)
		p.lineTo(x-r-1, y-r)
		p.WriteByte('z')
	case 5: // plus
		p.box(x-1.4, y-r-1, 2.8, 2*r+2)
		p.box(x-r-1, y-1.4, 2*r+2, 2.8)
	}
}

// line draws one line with about seven markers and one at its end; their places
// differ from line to line, so that one does not hide another's.
func (f frame) line(i, of int, l line) {
	var stroke, markers pen
	every := f.w / 7
	next := f.left + every*px(i)/px(of)
	down := false // the pen: a gap in the values is one in the line
	end, marked := -1, -1
	for k := range l.x {
		if !finite(l.y[k]) {
			down = false
			continue
		}
		x, y := f.px(l.x[k]), f.py(l.y[k])
		if down {
			stroke.lineTo(x, y)
		} else {
			stroke.moveTo(x, y)
		}
		down, end = true, k
		if x >= next {
			marker(&markers, l.look, x, y)
			next, marked = max(next, x)+every, k
		}
	}
	if end > marked {
		marker(&markers, l.look, f.px(l.x[end]), f.py(l.y[end]))
	}
	f.path("line "+look(l.look), stroke.String())
	f.path("marker "+look(l.look), markers.String())
}

// near is the value of the point next to x.
func (l line) near(x float64) (y float64, ok bool) {
	i, _ := slices.BinarySearch(l.x, x)
	best := math.Inf(1)
	for k := max(i-1, 0); k <= i && k < len(l.x); k++ {
		if d := math.Abs(l.x[k] - x); d < best && finite(l.y[k]) {
			y, ok, best = l.y[k], true, d
		}
	}
	return y, ok
}

// bounds are the lowest and highest value of all lines, and the least above zero.
func bounds(lines []line, of func(line) []float64) (low, least, high float64, ok bool) {
	low, least, high = math.Inf(1), math.Inf(1), math.Inf(-1)
	for _, l := range lines {
		for _, v := range of(l) {
			if !finite(v) {
				continue
			}
			low, high, ok = math.Min(low, v), math.Max(high, v), true
			if v > 0 {
				least = math.Min(least, v)
			}
		}
	}
	return low, least, high, ok
}

func xOf(l line) []float64 { return l.x }
func yOf(l line) []float64 { return l.y }
