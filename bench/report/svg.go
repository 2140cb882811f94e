package report

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// drawing is one SVG image. It is data: the template writes it, and so escapes
// what is in it.
type drawing struct {
	ID     string
	Class  string // wide: for screens and paper; narrow: for telephones
	Title  string
	Desc   string
	W, H   px
	Shapes []shape
}

// shape is one element. Its look comes from the style sheet by class.
type shape struct {
	Kind       string // path, rect, text
	Class      string
	D          string // of a path
	X, Y, W, H px     // of a rectangle, or the place of a text
	Text       string
	Title      string // what is said when the pointer rests on it
}

// px is a length in the image's own units, written with one digit.
type px float64

func (v px) String() string {
	s := strconv.FormatFloat(float64(v), 'f', 1, 64)
	return strings.TrimSuffix(s, ".0")
}

func (d *drawing) path(class, data string) {
	if data != "" {
		d.Shapes = append(d.Shapes, shape{Kind: "path", Class: class, D: data})
	}
}

func (d *drawing) rect(class string, x, y, w, h px, title string) {
	d.Shapes = append(d.Shapes, shape{Kind: "rect", Class: class, X: x, Y: y, W: w, H: h, Title: title})
}

// text writes at a base line. class has start, middle or end.
func (d *drawing) text(class string, x, y px, text string) {
	d.Shapes = append(d.Shapes, shape{Kind: "text", Class: class, X: x, Y: y, Text: text})
}

// pen collects a path.
type pen struct{ strings.Builder }

func (p *pen) moveTo(x, y px) { p.WriteString("M" + x.String() + " " + y.String()) }
func (p *pen) lineTo(x, y px) { p.WriteString("L" + x.String() + " " + y.String()) }

func (p *pen) box(x, y, w, h px) {
	p.moveTo(x, y)
	p.WriteString("h" + w.String() + "v" + h.String() + "h" + (-w).String() + "z")
}

// charWidth is that of the widest common sans serif at the size of an image's
// text: labels are set apart without knowing the reader's font.
const charWidth = 7.6

func textWidth(s string) px { return px(charWidth * float64(utf8.RuneCountInString(s))) }

// cut shortens text to a width.
func cut(s string, width px) string {
	if textWidth(s) <= width {
		return s
	}
	n := max(int(math.Floor(float64(width)/charWidth))-1, 1)
	return string([]rune(s)[:n]) + "…"
}

// frame is the inner part of a plot with its axes.
type frame struct {
	*drawing
	left, top, w, h px
	x, y            scale
}

func (f frame) px(v float64) px { return f.left + f.w*px(f.x.at(v)) }
func (f frame) py(v float64) px { return f.top + f.h*px(1-f.y.at(v)) }

// lineHeight is that of an image's text.
const lineHeight = 15

// axes draws grid, marks and the name of the horizontal axis. Of marks whose
// labels would touch, the earlier in the list keeps its label.
func (f frame) axes(xs, ys []tick, name string) {
	var grid pen
	for _, t := range ys {
		y := f.top + f.h*px(1-t.at)
		grid.moveTo(f.left, y)
		grid.lineTo(f.left+f.w, y)
		f.text("tick end", f.left-8, y+4, t.text)
	}
	for _, t := range xs {
		x := f.left + f.w*px(t.at)
		grid.moveTo(x, f.top)
		grid.lineTo(x, f.top+f.h)
	}
	f.path("grid", grid.String())
	for _, l := range f.apart(xs) {
		f.text("tick middle", l.x, f.top+f.h+lineHeight+3, l.text)
	}
	f.text("axis middle", f.left+f.w/2, f.top+f.h+2*lineHeight+6, name)
}

// label is a text and where its middle is.
type label struct {
	x    px
	text string
}

// apart places labels below their marks, within the image, and leaves out those
// that would touch one before them in the list.
func (f frame) apart(ticks []tick) (kept []label) {
	for _, t := range ticks {
		half := textWidth(t.text) / 2
		l := label{min(f.left+f.w*px(t.at), f.W-half), t.text}
		clear := true
		for _, k := range kept {
			clear = clear && max(l.x-k.x, k.x-l.x) >= half+textWidth(k.text)/2+4
		}
		if clear {
			kept = append(kept, l)
		}
	}
	return kept
}

// margin is the room that the labels of a vertical axis need.
func margin(ticks []tick) px {
	var widest px
	for _, t := range ticks {
		widest = max(widest, textWidth(t.text))
	}
	return widest + 10
}

// figure is one plot on the page: an image for each width, and its words.
type figure struct {
	Kind    string // series, curve, bars, waterfall
	Title   string
	Caption string
	Images  []drawing
	Legend  []legend
	Table   *table // the plot's values, for who cannot see it
}

// legend says what a mark of a plot means.
type legend struct {
	Class string
	Glyph string // path of the marker in a box of 24 by 12
	Line  bool   // it is a line
	Name  string
	Value string
}
