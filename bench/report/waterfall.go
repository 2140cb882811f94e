package report

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/xdpxe/xdpxe/bench/result"
)

// okay is the outcome of a client that got what it wanted.
const okay = "ok"

// How many clients are drawn: more are finer than a screen's dots.
const (
	mostSpansWide   = 300
	mostSpansNarrow = 120
)

// waterfallFigures draws the life of each client as a bar, one plot for a row.
func waterfallFigures(run *result.Run) []figure {
	var figures []figure
	for i := range run.Rows {
		w := newWaterfall(run.Rows[i].Spans)
		if len(w.spans) == 0 {
			continue
		}
		f := figure{Kind: "waterfall", Title: "Each client's progress", Caption: w.caption(), Legend: w.legend()}
		if len(run.Rows) > 1 {
			f.Title += ": " + short(run.Rows[i].Name)
		}
		f.Images = []drawing{w.draw("wide", f.Title, 860, 420, mostSpansWide, 10), w.draw("narrow", f.Title, 360, 380, mostSpansNarrow, 4)}
		figures = append(figures, f)
	}
	return figures
}

// waterfall is the clients of a row in the order in which they are drawn.
type waterfall struct {
	spans  []result.Span
	byEnd  bool // they all started together, so their ends order them
	failed map[string]int
	from   float64
	to     float64
	stages []string       // marks that clients pass once, in order: they divide a bar
	events map[string]int // all other marks, counted: they are drawn on a bar
}

func newWaterfall(spans []result.Span) *waterfall {
	w := &waterfall{failed: map[string]int{}, events: map[string]int{}, to: math.Inf(-1)}
	first, last := math.Inf(1), math.Inf(-1)
	for _, s := range spans {
		if !finite(s.From) || !finite(s.To) {
			continue
		}
		s.To = math.Max(s.From, s.To)
		w.spans = append(w.spans, s)
		first, last, w.to = math.Min(first, s.From), math.Max(last, s.From), math.Max(w.to, s.To)
		if s.Outcome != okay {
			w.failed[s.Outcome]++
		}
	}
	w.from = math.Min(first, 0)
	w.byEnd = last-first < (w.to-w.from)/20
	slices.SortStableFunc(w.spans, func(a, b result.Span) int {
		if w.byEnd {
			return cmp.Compare(a.To, b.To)
		}
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	w.sortMarks()
	return w
}

// mostStages is how many colours divide a bar; the last is for what follows the last mark.
const mostStages = looks - 2

// sortMarks tells stages from events. A stage is what most clients pass, and none
// twice; what happens now and then, or again and again, is an event.
func (w *waterfall) sortMarks() {
	type kind struct {
		clients, all int
		twice        bool
		at           []float64 // after the client's start
	}
	kinds := map[string]*kind{}
	for _, s := range w.spans {
		seen := map[string]bool{}
		for _, m := range s.Marks {
			k := kinds[m.What]
			if k == nil {
				k = &kind{}
				kinds[m.What] = k
			}
			k.all++
			k.at = append(k.at, m.T-s.From)
			k.twice = k.twice || seen[m.What]
			if !seen[m.What] {
				k.clients++
			}
			seen[m.What] = true
		}
	}
	names := slices.SortedFunc(maps.Keys(kinds), func(a, b string) int {
		return cmp.Or(cmp.Compare(median(kinds[a].at), median(kinds[b].at)), cmp.Compare(a, b))
	})
	for _, name := range names {
		k := kinds[name]
		if !k.twice && 2*k.clients > len(w.spans) && len(w.stages) < mostStages {
			w.stages = append(w.stages, name)
		} else {
			w.events[name] = k.all
		}
	}
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// caption counts outcomes and says what is drawn.
func (w *waterfall) caption() string {
	n := len(w.spans)
	bad := 0
	for _, k := range w.failed {
		bad += k
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d recorded clients in %s: %d ok, %d failed. One bar for each, from its start to its end, ordered by ",
		n, result.Seconds.Text(w.to-w.from), n-bad, bad)
	if w.byEnd {
		b.WriteString("end.")
	} else {
		b.WriteString("start.")
	}
	if n > mostSpansWide {
		fmt.Fprintf(&b, " %d of them are drawn (%d on a narrow screen)", mostSpansWide, mostSpansNarrow)
		if bad > 0 {
			b.WriteString(", evenly chosen, but failed ones before others.")
		} else {
			b.WriteString(", evenly chosen.")
		}
	}
	return b.String()
}

// sample picks at most so many clients, by place and in order. A third of them
// may be failed ones, however few failed: those are what one looks for.
func (w *waterfall) sample(most int) []int {
	var good, bad []int
	for i, s := range w.spans {
		if s.Outcome == okay {
			good = append(good, i)
		} else {
			bad = append(bad, i)
		}
	}
	bad = chosen(bad, max(most/3, most-len(good)))
	picks := append(chosen(good, most-len(bad)), bad...)
	slices.Sort(picks)
	return picks
}

// mostNamed is how many reasons or events the legend names one by one.
const mostNamed = 6

func (w *waterfall) legend() (all []legend) {
	const box = "M0 2h24v8h-24z"
	for i, s := range w.stages {
		all = append(all, legend{Class: "c" + strconv.Itoa(i), Glyph: box, Name: "until " + short(s)})
	}
	name := "until the end"
	if len(w.stages) == 0 {
		name = "start to end"
	}
	all = append(all, legend{Class: w.rest(), Glyph: box, Name: name})
	if len(w.failed) > 0 {
		all = append(all, legend{Class: "failed", Glyph: "M0 2h24v8h-24zM6 1l12 10M18 1l-12 10", Name: "failed", Value: counted(w.failed)})
	}
	if len(w.events) > 0 {
		all = append(all, legend{Class: "event", Glyph: "M11 0h2v12h-2z", Name: "event", Value: counted(w.events)})
	}
	return all
}

// rest is the colour of what follows the last stage.
func (w *waterfall) rest() string { return "c" + strconv.Itoa(len(w.stages)) }

// counted lists what was counted, the most frequent first.
func counted(m map[string]int) string {
	names := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b))
	})
	var parts []string
	for i, name := range names {
		if i == mostNamed {
			parts = append(parts, fmt.Sprintf("%d other kinds", len(names)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("%s %d", short(name), m[name]))
	}
	return strings.Join(parts, ", ")
}
