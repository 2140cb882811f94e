// Package report writes what runs of xdpxe-bench found as one HTML file that
// needs nothing else: no script, no font, no image from anywhere. Its plots are
// SVG, drawn here, once for wide screens and paper and once for narrow ones; the
// style sheet shows the one that fits. The file forbids its reader's browser, by
// a content security policy, to load or run anything.
//
// Drawings are data (drawing, shape) until html/template writes them. It escapes
// every text by its context: names of clients and messages of servers come from
// the wire and are hostile.
package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/xdpxe/xdpxe/bench/result"
)

//go:embed style.css
var style string

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page is what the template shows.
type page struct {
	Title   string
	Policy  string
	Style   template.CSS
	Machine []fact // where all runs have the same
	Runs    []section
}

// section is one run.
type section struct {
	ID       string
	Heading  string // "" if the page is of this run alone: its title says it
	Facts    []fact
	Command  string
	Settings []fact
	Tiles    []fact
	Bars     []figure
	BarNote  string
	Plots    []figure
	Figures  *table
	Limits   []limit
	Failures *table
	Notes    []string
}

// limit says who was the bottleneck of a row.
type limit struct{ Row, Class, Who, Why string }

// Write writes the report of one or several runs. An error is w's.
func Write(w io.Writer, runs ...*result.Run) error {
	p := page{Title: "xdpxe-bench", Style: template.CSS(style), Policy: policy()}
	shared := len(runs) > 1
	for _, r := range runs {
		shared = shared && sameMachine(r, runs[0])
	}
	if shared {
		p.Machine = machineFacts(runs[0])
	}
	if len(runs) > 0 && runs[0].Tool != "" && !slices.ContainsFunc(runs, func(r *result.Run) bool { return r.Tool != runs[0].Tool }) {
		p.Title = short(runs[0].Tool)
	}
	drawn := 0
	for i, r := range runs {
		s := sectionOf(r)
		s.ID = "run" + strconv.Itoa(i+1)
		s.Heading = heading(r, runs)
		s.Facts = runFacts(r, !shared)
		for _, figures := range [][]figure{s.Bars, s.Plots} {
			for k := range figures {
				for n := range figures[k].Images {
					drawn++
					figures[k].Images[n].ID = "image" + strconv.Itoa(drawn)
				}
			}
		}
		p.Runs = append(p.Runs, s)
	}
	if err := pageTemplate.Execute(w, p); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// heading tells a run from the others of the page. Those of one tool differ in
// what was asked of it, which its first setting names.
func heading(r *result.Run, runs []*result.Run) string {
	if len(runs) == 1 {
		return ""
	}
	same := 0
	for _, o := range runs {
		if o.Tool == r.Tool {
			same++
		}
	}
	if same > 1 && len(r.Settings) > 0 {
		return short(r.Tool) + ": " + short(r.Settings[0].Value)
	}
	return short(r.Tool)
}

// policy allows the style sheet, known by its hash, and an empty icon.
func policy() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; img-src data:; base-uri 'none'; form-action 'none'"
}

func sectionOf(r *result.Run) section {
	s := section{
		Command:  commandLine(r.Command),
		Plots:    append(append(seriesFigures(r), curveFigures(r)...), waterfallFigures(r)...),
		Figures:  figureTable(r),
		Failures: failureTable(r),
	}
	s.Bars, s.BarNote = barFigures(r)
	for _, x := range r.Settings {
		s.Settings = append(s.Settings, fact{short(x.Name), result.Printable(x.Value)})
	}
	if len(r.Rows) == 1 {
		s.Tiles = tiles(&r.Rows[0])
	}
	for i := range r.Rows {
		if l := r.Rows[i].Limit; l != nil {
			s.Limits = append(s.Limits, limitOf(short(r.Rows[i].Name), l))
		}
	}
	for _, n := range r.Notes {
		s.Notes = append(s.Notes, result.Printable(n))
	}
	return s
}

func limitOf(row string, l *result.Limit) limit {
	v := limit{Row: row, Class: "other", Who: "Limited by the " + short(l.By), Why: result.Printable(l.Why)}
	switch l.By {
	case result.ByServer:
		v.Class = "server"
	case result.ByGenerator:
		v.Class = "generator"
		v.Who += " (the server may be better than its figures)"
	case result.ByRequest:
		v.Class, v.Who = "request", "All that was asked for was served"
	}
	return v
}

// mostTiles is how many figures of a lone row are shown large.
const mostTiles = 4

func tiles(row *result.Row) (all []fact) {
	for i, f := range row.Figures {
		if i == mostTiles {
			break
		}
		all = append(all, fact{short(f.Name), f.Unit.Text(f.Value)})
	}
	return all
}

// short makes text from elsewhere fit for a label.
func short(text string) string {
	const most = 120
	text = result.Printable(text)
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return strings.TrimSpace(text)
}
