package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/xdpxe/xdpxe/bench/result"
)

// line is one curve of a plot.
type line struct {
	name  string
	value string // for the legend
	look  int    // colour and marker: a row has the same in all plots
	// x is finite and goes up; y may have values that are no numbers: gaps.
	x, y []float64
}

// plot is what the plots of lines have in common.
type plot struct {
	kind, title, caption string
	xName                string
	xText                func(x float64) string // of what the pointer is on
	unit                 result.Unit
	lines                []line
	x, y                 scale
	xTicks               func(n int) []tick
	table                *table
}

// add puts a line of the i-th row where it belongs: those of a lone row together
// if their unit is the same; of several rows, each quantity by itself, one line
// for each row.
func add(plots *[]*plot, run *result.Run, i int, l line, quantity string, unit result.Unit) {
	title := short(quantity)
	if len(run.Rows) == 1 {
		title = measured(unit)
	}
	var p *plot
	for _, q := range *plots {
		if q.title == title && q.unit == unit {
			p = q
		}
	}
	if p == nil {
		p = &plot{title: title, unit: unit}
		*plots = append(*plots, p)
	}
	if len(run.Rows) == 1 {
		l.look = len(p.lines)
	} else {
		l.look, l.name = i, short(run.Rows[i].Name)
	}
	p.lines = append(p.lines, l)
}

// measured names what a unit measures.
func measured(u result.Unit) string {
	switch u {
	case result.PerSecond:
		return "Rate"
	case result.ByteRate:
		return "Throughput"
	case result.Share:
		return "Share"
	case result.Seconds:
		return "Latency"
	case result.Bytes:
		return "Size"
	}
	return "Count"
}

// limit keeps as many lines as can be told apart and says so.
func (p *plot) limit() {
	if n := len(p.lines); n > mostLines {
		p.lines = chosen(p.lines, mostLines)
		p.caption += fmt.Sprintf(" %d of %d are drawn, evenly chosen.", mostLines, n)
	}
}

// mostLines is how many lines one can tell apart in one plot.
const mostLines = 8

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

// figure draws the plot in both widths.
func (p *plot) figure() figure {
	f := figure{Kind: p.kind, Title: p.title, Caption: p.caption, Table: p.table}
	for _, l := range p.lines {
		var glyph pen
		marker(&glyph, l.look, 12, 6)
		f.Legend = append(f.Legend, legend{Class: look(l.look), Glyph: glyph.String(), Line: true, Name: l.name, Value: l.value})
	}
	f.Images = []drawing{p.draw("wide", 860, 300, 9, 5), p.draw("narrow", 360, 260, 4, 4)}
	return f
}

func (p *plot) draw(class string, w, h px, nx, ny int) drawing {
	d := drawing{Class: class, Title: p.title, Desc: p.describe(), W: w, H: h}
	yTicks := p.y.ticks(ny, p.unit)
	f := frame{drawing: &d, x: p.x, y: p.y, left: margin(yTicks), top: 10}
	f.w, f.h = w-f.left-14, h-f.top-2*lineHeight-14
	f.axes(p.xTicks(nx), yTicks, p.xName)
	for i, l := range p.lines {
		f.line(i, len(p.lines), l)
	}
	if class == "wide" { // a finger has no hover
		f.hits(p)
	}
	return d
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

// mostHits bounds the places that answer to the pointer.
const mostHits = 120

// hits lays columns over the plot that say all lines' values there.
func (f frame) hits(p *plot) {
	var xs []float64
	for _, l := range p.lines {
		for k, x := range l.x {
			if finite(l.y[k]) {
				xs = append(xs, x)
			}
		}
	}
	slices.Sort(xs)
	xs = slices.CompactFunc(xs, func(a, b float64) bool { return f.px(b)-f.px(a) < 0.5 })
	xs = chosen(xs, mostHits)
	for i, x := range xs {
		from, to := f.left, f.left+f.w
		if i > 0 {
			from = (f.px(xs[i-1]) + f.px(x)) / 2
		}
		if i < len(xs)-1 {
			to = (f.px(x) + f.px(xs[i+1])) / 2
		}
		var b strings.Builder
		b.WriteString(p.xText(x))
		for _, l := range p.lines {
			if y, ok := l.near(x); ok {
				b.WriteString("\n" + l.name + ": " + p.unit.Text(y))
			}
		}
		f.rect("hit", from, f.top, max(to-from, 0.5), f.h, b.String())
	}
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

// describe says in words what the lines show.
func (p *plot) describe() string {
	var b strings.Builder
	b.WriteString(p.caption)
	for _, l := range p.lines {
		b.WriteString(" " + l.name)
		if l.value != "" {
			b.WriteString(": " + l.value)
		}
		b.WriteString(".")
	}
	return strings.TrimSpace(b.String())
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
