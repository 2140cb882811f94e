package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/bench/result"
)

// What each client passes once divides its bar, in order of time; the rest are events.
func TestStages(t *testing.T) {
	var spans []result.Span
	for i := range 10 {
		at := float64(10 * i)
		s := result.Span{Client: fmt.Sprint(i), From: at, To: at + 9, Outcome: okay,
			Marks: []result.Mark{{T: at + 4, What: "NBP"}, {T: at + 1, What: "offer"}, {T: at + 5, What: "retry"}, {T: at + 6, What: "retry"}}}
		if i == 3 {
			s.Marks = append(s.Marks, result.Mark{T: at + 7, What: "ICMP error"})
		}
		if i == 4 {
			s.Outcome, s.Marks, s.To = "timeout", s.Marks[1:2], at+3
		}
		spans = append(spans, s)
	}
	w := newWaterfall(spans)
	if !slices.Equal(w.stages, []string{"offer", "NBP"}) || len(w.events) != 2 || w.events["retry"] != 18 || w.events["ICMP error"] != 1 {
		t.Errorf("stages %q, events %v", w.stages, w.events)
	}
	if got := w.caption(); got != "10 recorded clients in 99 s: 9 ok, 1 failed. One bar for each, from its start to its end, ordered by start." {
		t.Error(got)
	}
	var names []string
	for _, l := range w.legend() {
		names = append(names, strings.TrimSpace(l.Name+" "+l.Value))
	}
	want := []string{"until offer", "until NBP", "until the end", "failed timeout 1", "event retry 18, ICMP error 1"}
	if !slices.Equal(names, want) {
		t.Errorf("legend %q, want %q", names, want)
	}
	d := w.draw("wide", "t", 860, 420, 300, 10)
	boxes := func(class string) int {
		n := 0
		for _, s := range d.Shapes {
			if s.Class == "bar "+class {
				n += strings.Count(s.D, "z")
			}
		}
		return n
	}
	// The failed client got its offer and no NBP.
	if a, b, c, bad, e := boxes("c0"), boxes("c1"), boxes("c2"), boxes("failed"), boxes("event"); a != 10 || b != 9 || c != 9 || bad != 1 || e != 19 {
		t.Errorf("boxes: %d, %d, %d, %d failed, %d events", a, b, c, bad, e)
	}
	if got := story(w.spans[4]); got != "4: timeout\n40 s start\n41 s offer\n43 s end" {
		t.Errorf("%q", got)
	}
}

// Many clients that start together are ordered by their ends, and the first and
// the last to end are among those that are drawn.
func TestManyClients(t *testing.T) {
	var spans []result.Span
	for i := range 2000 {
		spans = append(spans, result.Span{Client: fmt.Sprint(i), From: float64(i%7) / 1000, To: 1 + float64((i*7919)%2000)/100, Outcome: okay})
	}
	w := newWaterfall(spans)
	if got := w.caption(); !strings.Contains(got, "ordered by end. 300 of them are drawn (120 on a narrow screen), evenly chosen.") {
		t.Error(got)
	}
	for class, most := range map[string]int{"wide": mostSpansWide, "narrow": mostSpansNarrow} {
		if picks := w.sample(most); len(picks) != most || picks[0] != 0 || picks[most-1] != 1999 {
			t.Errorf("%s: %d drawn, from %d to %d", class, len(picks), picks[0], picks[len(picks)-1])
		}
		d := w.draw(class, "t", 860, 420, most, 10)
		var labels []string
		for _, s := range d.Shapes {
			if s.Kind == "text" && s.Class == "tick end" {
				labels = append(labels, s.Text)
			}
		}
		if !slices.Equal(labels, []string{"1", "500", "1000", "1500", "2000"}) {
			t.Errorf("%s: labels %q", class, labels)
		}
	}
}

// However few failed, they are drawn; however many, the others are too.
func TestFailedAreDrawn(t *testing.T) {
	for _, c := range []struct{ failed, drawn int }{{0, 0}, {3, 3}, {1000, 100}, {1900, 200}, {2000, 300}} {
		w := &waterfall{}
		for i := range 2000 {
			s := result.Span{Outcome: okay}
			if i >= 2000-c.failed {
				s.Outcome = "timeout"
			}
			w.spans = append(w.spans, s)
		}
		picks := w.sample(300)
		failed := 0
		for _, i := range picks {
			if w.spans[i].Outcome != okay {
				failed++
			}
		}
		if failed != c.drawn || len(picks) != 300 || !slices.IsSorted(picks) || len(slices.Compact(picks)) != 300 {
			t.Errorf("of %d failed %d are drawn, %d in all", c.failed, failed, len(picks))
		}
	}
}
