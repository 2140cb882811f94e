package report

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/bench/result"
)

func render(t *testing.T, runs ...*result.Run) string {
	t.Helper()
	var b strings.Builder
	if err := Write(&b, runs...); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A browser that does not forbid it, or a mail program, may show the page too:
// nothing from the wire becomes an element.
func TestHostileText(t *testing.T) {
	page := render(t, hostileRun())
	lower := strings.ToLower(page)
	for _, bad := range []string{"<script", "<img", "onerror=\"", "</style><", "\x1b", "\u202e", "\x00"} {
		if i := strings.Index(lower, bad); i >= 0 {
			t.Errorf("%q in …%s…", bad, page[max(i-100, 0):min(i+100, len(page))])
		}
	}
	// The file is whole: what was opened is closed.
	for _, name := range []string{"style", "title", "svg", "desc", "text", "table", "figure", "section", "details", "main"} {
		opened, closed := len(regexp.MustCompile("<"+name+`[\s>]`).FindAllString(page, -1)), strings.Count(page, "</"+name+">")
		if opened != closed || opened == 0 {
			t.Errorf("%s: %d opened, %d closed", name, opened, closed)
		}
	}
}

// The only addresses are those of namespaces and places in the page itself.
func TestNothingFromOutside(t *testing.T) {
	page := render(t, stormRun(), compareRun())
	for _, a := range regexp.MustCompile(`(?i)(?:href|src|srcset|url|action|data)\s*[=(]\s*["']?([^"'\s>)]*)`).FindAllStringSubmatch(page, -1) {
		if a[1] != "data:," && !strings.HasPrefix(a[1], "#") {
			t.Errorf("the page points to %q", a[1])
		}
	}
	for _, want := range []string{"default-src &#39;none&#39;", `name="viewport" content="width=device-width`} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s", want)
		}
	}
}

// What no drawing can have does not get into one.
func TestNoBadNumbers(t *testing.T) {
	for name, run := range map[string]*result.Run{"hostile": hostileRun(), "storm": stormRun(), "ramp": rampRun()} {
		page := render(t, run)
		for _, a := range regexp.MustCompile(` (?:d|x|y|width|height|viewBox)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
			if strings.ContainsAny(a[1], "NIe") || strings.Contains(a[1], "--") { // NaN, Inf, 1e9
				t.Errorf("%s: %s", name, a[0])
			}
		}
	}
}

func TestEmpty(t *testing.T) {
	if page := render(t); !strings.Contains(page, "There is no run") {
		t.Error("no runs, and the page does not say so")
	}
	for name, run := range map[string]*result.Run{
		"nothing":   {},
		"a row":     {Rows: []result.Row{{Name: "x"}}},
		"rows":      {Rows: []result.Row{{Name: "x"}, {Name: "y"}}},
		"no points": {Rows: []result.Row{{Name: "x", Series: []result.Series{{Name: "s"}}, Curves: []result.Curve{{Name: "c"}}, Spans: []result.Span{}}}},
	} {
		page := render(t, run)
		if !strings.Contains(page, "No figures.") || strings.Contains(page, "<figure") {
			t.Errorf("%s: %s", name, page[strings.Index(page, "<main"):])
		}
	}
}

// One point is no line, but it is seen.
func TestOnePoint(t *testing.T) {
	run := &result.Run{Rows: []result.Row{{
		Series: []result.Series{{Name: "rate", Unit: result.PerSecond, Points: []result.Point{{T: 2, V: 7}}}},
		Curves: []result.Curve{{Name: "offer", Unit: result.Seconds, Points: []result.Percentile{{P: 0.5, V: 0.25}}}},
		Spans:  []result.Span{{Client: "a", Outcome: okay}},
	}}}
	figures := sectionOf(run).Plots
	if len(figures) != 3 {
		t.Fatalf("%d figures", len(figures))
	}
	for _, f := range figures {
		want := "marker c0"
		if f.Kind == "waterfall" {
			want = "bar c0"
		}
		for _, d := range f.Images {
			if !slices.ContainsFunc(d.Shapes, func(s shape) bool { return s.Class == want && s.D != "" }) {
				t.Errorf("%s, %s: no %s", f.Title, d.Class, want)
			}
		}
	}
	if page := render(t, run); !strings.Contains(page, "mean 7/s, peak 7/s") || !strings.Contains(page, "p50 250 ms") {
		t.Error("the legends do not say the values")
	}
}

// A long series keeps what stands out; a gap stays a gap.
func TestTimeLine(t *testing.T) {
	s := result.Series{Unit: result.Count}
	for i := range 100000 {
		s.Points = append(s.Points, result.Point{T: float64(i), V: 10})
	}
	s.Points[77777].V = 99
	s.Points[33333].V = 1
	slices.Reverse(s.Points)
	l := timeLine(s)
	if len(l.x) > mostPoints || !slices.IsSorted(l.x) || slices.Max(l.y) != 99 || slices.Min(l.y) != 1 {
		t.Errorf("%d points from %g to %g", len(l.x), slices.Min(l.y), slices.Max(l.y))
	}
	gap := timeLine(result.Series{Points: []result.Point{{T: 0, V: 1}, {T: 1, V: math.NaN()}, {T: math.Inf(1), V: 3}, {T: 2, V: 3}}})
	p := &plot{lines: []line{gap}, x: linear(0, 2), y: linear(0, 3), xText: result.Seconds.Text, xTicks: func(int) []tick { return nil }}
	d := p.draw("wide", 100, 100, 2, 2)
	i := slices.IndexFunc(d.Shapes, func(s shape) bool { return s.Class == "line c0" })
	if i < 0 || strings.Count(d.Shapes[i].D, "M") != 2 || strings.Contains(d.Shapes[i].D, "L") {
		t.Errorf("the line over a gap: %+v", d.Shapes)
	}
	if !strings.Contains(gap.value, "mean 2, peak 3") {
		t.Errorf("%q", gap.value)
	}
}

// Lines of several rows are compared, those of one row are drawn together.
func TestGrouping(t *testing.T) {
	titles := func(figures []figure) (all []string) {
		for _, f := range figures {
			all = append(all, fmt.Sprintf("%s: %d", f.Title, len(f.Legend)))
		}
		return all
	}
	point := []result.Point{{T: 0, V: 1}, {T: 1, V: 2}}
	row := result.Row{Name: "a", Series: []result.Series{{Name: "sent", Unit: result.PerSecond, Points: point},
		{Name: "answered", Unit: result.PerSecond, Points: point}, {Name: "memory", Unit: result.Bytes, Points: point}}}
	one := &result.Run{Rows: []result.Row{row}}
	if got := titles(seriesFigures(one)); !slices.Equal(got, []string{"Rate over time: 2", "Size over time: 1"}) {
		t.Errorf("one row: %q", got)
	}
	two := &result.Run{Rows: []result.Row{row, {Name: "none"}, row}}
	two.Rows[2].Name = "c"
	figures := seriesFigures(two)
	if got := titles(figures); !slices.Equal(got, []string{"sent over time: 2", "answered over time: 2", "memory over time: 2"}) {
		t.Errorf("three rows: %q", got)
	}
	if l := figures[0].Legend[1]; l.Name != "c" || l.Class != "c2" { // as its bars
		t.Errorf("the third row is %+v", l)
	}
	many := curveFigures(rampRun())
	if len(many) != 1 || len(many[0].Legend) != mostLines || !strings.Contains(many[0].Caption, "8 of 20 are drawn") ||
		many[0].Legend[0].Name != "step 1" || many[0].Legend[7].Name != "step 20" {
		t.Errorf("20 curves: %+v", many[0].Legend)
	}
}

// A ratio is not drawn on the scale of what it compares.
func TestRatiosApart(t *testing.T) {
	run := &result.Run{}
	for _, r := range []struct {
		name string
		unit result.Unit
		v    float64
	}{{"a", result.ByteRate, 8e8}, {"b", result.ByteRate, 4e8}, {"c", result.ByteRate, 2e8}, {"a/b", result.Ratio, 2}, {"a/c", result.Ratio, 4}} {
		row := result.Row{Name: r.name}
		row.Add("goodput", r.unit, r.v)
		row.Add("failed", result.Count, 0)
		if r.name == "a" {
			row.Add("only one has it", result.Count, 1)
		}
		run.Rows = append(run.Rows, row)
	}
	var got []string
	figures, note := barFigures(run)
	if note != "The same for all: failed 0." {
		t.Errorf("note %q", note)
	}
	for _, f := range figures {
		for _, s := range f.Images[0].Shapes {
			if strings.HasPrefix(s.Class, "bar") {
				got = append(got, fmt.Sprintf("%s %s %v", f.Title, strings.Fields(s.Title)[0], s.W))
			}
		}
	}
	want := []string{"goodput a: 318", "goodput b: 159", "goodput c: 79.5", "goodput, ratio a/b: 159", "goodput, ratio a/c: 318"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTables(t *testing.T) {
	run := compareRun()
	f := figureTable(run)
	if len(f.Columns) != 5 || len(f.Lines) != 6 || f.Lines[0].Name != "goodput" || f.Lines[0].Cells[0] != (cell{"2.2 GB/s", "2.046 to 2.376"}) || f.Note == "" {
		t.Errorf("%+v", f)
	}
	if f := figureTable(rampRun()); len(f.Columns) != 2 || len(f.Lines) != 20 || f.Lines[19].Name != "step 20" || f.Lines[19].Cells[0].Text != "200000/s" {
		t.Errorf("%+v", f)
	}
	row := result.Row{Name: "x"}
	for i := range mostReasons + 5 {
		row.Fail(fmt.Sprintf("reason %02d", i), uint64(i+1))
	}
	fail := failureTable(&result.Run{Rows: []result.Row{{Name: "fine"}, row}})
	if len(fail.Columns) != 1 || len(fail.Lines) != mostReasons || fail.Lines[0].Name != "reason 44" || fail.Lines[0].Cells[0].Text != "45" ||
		fail.Note != "5 rarer reasons are left out." {
		t.Errorf("%+v", fail)
	}
}

func TestCommandLine(t *testing.T) {
	got := commandLine([]string{"./xdpxe-bench", "dhcp", "--require", "answered >= 97.5%", "it's", "", "a\nb"})
	if want := `./xdpxe-bench dhcp --require 'answered >= 97.5%' 'it'\''s' '' 'a` + "\ufffd" + `b'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The machine is said once for runs that share it, else with each.
func TestMachineOnce(t *testing.T) {
	count := func(runs ...*result.Run) int { return strings.Count(render(t, runs...), "<dt>Kernel</dt>") }
	other := dhcpRun()
	other.Machine.Kernel = "5.18"
	if one, same, apart := count(dhcpRun()), count(dhcpRun(), stormRun()), count(dhcpRun(), other); one != 1 || same != 1 || apart != 2 {
		t.Errorf("the kernel is said %d, %d and %d times", one, same, apart)
	}
}

// Runs of one tool are told apart by what was asked of it.
func TestHeadings(t *testing.T) {
	other := compareRun()
	other.Settings = []result.Setting{{Name: "work", Value: "dhcp-max"}}
	page := render(t, compareRun(), other, dhcpRun())
	for _, want := range []string{"<h1>xdpxe-bench</h1>", `<a href="#run2">xdpxe-bench compare: dhcp-max</a>`, "<h2>xdpxe-bench compare: 1468</h2>", "<h2>xdpxe-bench dhcp</h2>"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s", want)
		}
	}
	if page := render(t, dhcpRun()); strings.Contains(page, "<h2>") || strings.Contains(page, "<nav") || !strings.Contains(page, "<h1>xdpxe-bench dhcp</h1>") {
		t.Error("a lone run has a heading of its own")
	}
}

type full struct{}

var errFull = errors.New("no space")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteFails(t *testing.T) {
	if err := Write(full{}, dhcpRun()); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
}
