package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/xdpxe/xdpxe/bench/result"
)

// tall is the height of a bar from which on there is room for its client's name.
const tall = 13

// draw draws at most so many clients. Bars are collected into one path for each
// colour: hundreds of clients would be thousands of elements.
func (w *waterfall) draw(class, title string, width, height px, most, ticks int) drawing {
	picks := w.sample(most)
	var spans []result.Span
	for _, i := range picks {
		spans = append(spans, w.spans[i])
	}
	row := min(height/px(len(spans)), 18)
	height = row * px(len(spans))
	d := drawing{Class: class, Title: title, Desc: w.caption(), W: width, H: height + 2*lineHeight + 24}
	f := frame{drawing: &d, top: 10, h: height, x: linear(w.from, w.to)}
	ys := w.labels(picks, row, class == "wide")
	f.left = margin(ys)
	f.w = width - f.left - 14
	f.axes(f.x.ticks(ticks, result.Seconds), nil, "time since the start")
	for _, t := range ys { // clients go down, where a scale goes up
		f.text("tick end", f.left-8, f.top+f.h*px(t.at)+4, t.text)
	}

	bars := map[string]*pen{}
	of := func(class string) *pen {
		if bars[class] == nil {
			bars[class] = &pen{}
		}
		return bars[class]
	}
	gap := px(-0.1) // thin bars overlap by what is rounded: no seams between them
	if row > 3 {
		gap = row / 6
	}
	for i, s := range spans {
		y, h := f.top+row*px(i)+gap/2, row-gap
		from := s.From
		stage := 0
		box := func(class string, to float64) {
			of(class).box(f.px(from), y, max(f.px(to)-f.px(from), 0.8), h)
			from = to
		}
		for _, m := range ordinary(s) {
			k := slices.Index(w.stages, m.What)
			if k >= stage {
				box("c"+strconv.Itoa(k), m.T)
				stage = k + 1
			} else if k < 0 {
				of("event").box(f.px(m.T)-0.6, y, 1.2, h)
			}
		}
		if s.Outcome == okay {
			box(w.rest(), s.To)
			continue
		}
		box("failed", s.To)
		x, r := f.px(s.To), min(max(h/2, 1.5), 5)
		cross := of("cross")
		for _, up := range []px{-r, r} {
			cross.moveTo(x-r, y+h/2-up)
			cross.lineTo(x+r, y+h/2+up)
		}
	}
	for i := range looks {
		c := "c" + strconv.Itoa(i)
		if p := bars[c]; p != nil {
			d.path("bar "+c, p.String())
		}
	}
	for _, c := range []string{"failed", "event", "cross"} { // on top
		if p := bars[c]; p != nil {
			d.path("bar "+c, p.String())
		}
	}
	if class == "wide" {
		for i, s := range spans {
			f.rect("hit", f.left, f.top+row*px(i), f.w, row, story(s))
		}
	}
	return d
}

// labels name the clients where bars are tall enough, else number them.
func (w *waterfall) labels(picks []int, row px, wide bool) (ticks []tick) {
	label := func(k int, text string) { // of the k-th that is drawn
		ticks = append(ticks, tick{(float64(k) + 0.5) / float64(len(picks)), text})
	}
	if row >= tall {
		width := px(170)
		if !wide {
			width = 96
		}
		for k, i := range picks {
			label(k, cut(short(w.spans[i].Client), width))
		}
		return ticks
	}
	label(0, "1")
	step := int(math.Max(niceUp(float64(len(w.spans))/6), 2))
	for rank := step; rank <= len(w.spans); rank += step {
		k, _ := slices.BinarySearch(picks, rank-1)
		label(min(k, len(picks)-1), strconv.Itoa(rank))
	}
	return ticks
}

// ordinary are the marks that can be drawn, in order of time and within the span.
func ordinary(s result.Span) []result.Mark {
	var marks []result.Mark
	for _, m := range s.Marks {
		if finite(m.T) {
			m.T = math.Min(math.Max(m.T, s.From), s.To)
			marks = append(marks, m)
		}
	}
	slices.SortStableFunc(marks, func(a, b result.Mark) int {
		return cmp.Compare(a.T, b.T)
	})
	return marks
}

// mostTold bounds what the pointer reads of one client.
const mostTold = 12

// story is a client's life in words.
func story(s result.Span) string {
	var b strings.Builder
	at := result.Seconds.Text
	fmt.Fprintf(&b, "%s: %s\n%s start", short(s.Client), short(s.Outcome), at(s.From))
	marks := ordinary(s)
	for i, m := range marks {
		if i == mostTold {
			fmt.Fprintf(&b, "\n… and %d more", len(marks)-i)
			break
		}
		fmt.Fprintf(&b, "\n%s %s", at(m.T), short(m.What))
	}
	fmt.Fprintf(&b, "\n%s end", at(s.To))
	return b.String()
}
