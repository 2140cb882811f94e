package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xdpxe/xdpxe/bench/result"
)

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
