package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/xdpxe/xdpxe/bench/result"
)

// Bounds of what is drawn side by side; all of it is in the table.
const (
	mostBars   = 16
	mostPanels = 30
)

// barFigures compares rows, one small plot for each figure that two or more of
// them have. Ratios of rows, which have the name of what they divide, have their own.
// What is the same for all is no plot but a word in the note.
func barFigures(run *result.Run) (figures []figure, note string) {
	type panel struct {
		name string
		unit result.Unit
		bars []bar
	}
	var panels []panel
	for _, name := range run.FigureNames() {
		first := len(panels) // of this name
		for i := range run.Rows {
			f, ok := run.Rows[i].Figure(name)
			if !ok || !finite(f.Value) {
				continue
			}
			k := first
			for k < len(panels) && panels[k].unit != f.Unit {
				k++
			}
			if k == len(panels) {
				panels = append(panels, panel{name: short(name), unit: f.Unit})
			}
			panels[k].bars = append(panels[k].bars, bar{short(run.Rows[i].Name), f, look(i)})
		}
	}
	var same []string
	left := 0
	for _, p := range panels {
		switch {
		case len(p.bars) < 2:
			continue
		case allSame(p.bars):
			same = append(same, p.name+" "+p.bars[0].figure.Text())
			continue
		case len(figures) == mostPanels:
			left++
			continue
		}
		f := figure{Kind: "bars", Title: p.name}
		if p.unit == result.Ratio {
			f.Title += ", ratio"
		}
		if n := len(p.bars); n > mostBars {
			p.bars = chosen(p.bars, mostBars)
			f.Caption = fmt.Sprintf("%d of %d, evenly chosen", mostBars, n)
		}
		f.Images = []drawing{drawBars(f.Title, p.bars)}
		figures = append(figures, f)
	}
	if len(same) > 0 {
		note = "The same for all: " + strings.Join(same, ", ") + "."
	}
	if left > 0 {
		note += fmt.Sprintf(" %d more figures are in the table.", left)
	}
	return figures, note
}

func allSame(bars []bar) bool {
	for _, b := range bars {
		if b.figure.Text() != bars[0].figure.Text() {
			return false
		}
	}
	return true
}

type bar struct {
	name   string
	figure result.Figure
	look   string
}

// ends are the spread, or the value itself where there is none.
func (b bar) ends() (low, high float64) {
	if b.figure.Low == nil || b.figure.High == nil || !finite(*b.figure.Low) || !finite(*b.figure.High) {
		return b.figure.Value, b.figure.Value
	}
	return *b.figure.Low, *b.figure.High
}

// drawBars draws one panel; it is small enough to be the same on all screens.
func drawBars(title string, bars []bar) drawing {
	const width, row, thick = 320, 37, 13
	d := drawing{Title: title, W: width, H: px(row*len(bars)) + 2}
	low, high := 0.0, 0.0
	for _, b := range bars {
		l, h := b.ends()
		low, high = min(low, l, b.figure.Value), max(high, h, b.figure.Value)
	}
	f := frame{drawing: &d, left: 1, w: width - 2, x: linear(low, high)}
	for i, b := range bars {
		top := px(row * i)
		text := b.figure.Unit.Text(b.figure.Value)
		d.text("label start", 1, top+14, cut(b.name, width-textWidth(text)-10))
		d.text("value end", width-1, top+14, text)
		d.rect("track", f.left, top+20, f.w, thick, "")
		from, to := f.px(math.Min(0, b.figure.Value)), f.px(math.Max(0, b.figure.Value))
		d.rect("bar "+b.look, from, top+20, max(to-from, 1), thick, b.name+": "+b.figure.Text())
		if l, h := b.ends(); l < h {
			var whisker pen
			y := top + 20 + thick/2.0
			whisker.moveTo(f.px(l), y)
			whisker.lineTo(f.px(h), y)
			for _, v := range []float64{l, h} {
				whisker.moveTo(f.px(v), y-4)
				whisker.lineTo(f.px(v), y+4)
			}
			d.path("whisker", whisker.String())
		}
		d.Desc += fmt.Sprintf("%s: %s. ", b.name, b.figure.Text())
	}
	return d
}
