package compare

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/bench/peers"
	"github.com/xdpxe/xdpxe/bench/result"
)

func peer(recipe, variant string, k peers.Kind) *peers.Peer {
	return &peers.Peer{Name: strings.TrimSpace(recipe + " " + variant), Recipe: &peers.Recipe{Name: recipe}, Kind: k, Variant: variant, Version: "1"}
}

// script is a Measure that answers from a table, "WORK PEER" to a rate for each
// round, and notes who was asked.
type script struct {
	asked []string
	rates map[string][]float64 // a negative one fails
	seen  map[string]int
}

func (s *script) measure(_ context.Context, w Work, p *peers.Peer) (*result.Run, error) {
	key := w.Name + " " + p.Name
	s.asked = append(s.asked, key)
	if s.seen == nil {
		s.seen = make(map[string]int)
	}
	round := s.seen[key]
	s.seen[key]++
	rate := s.rates[key][round]
	if rate < 0 {
		return nil, errors.New("it fell over")
	}
	row := result.Row{Name: "run", Limit: &result.Limit{By: result.ByServer, Why: "it lost some"}}
	if rate > 1000 {
		row.Limit = &result.Limit{By: result.ByGenerator, Why: "it could not send more"}
	}
	row.Add("rate", result.PerSecond, rate)
	return &result.Run{Command: []string{"bench", w.Name}, Rows: []result.Row{row},
		Settings: []result.Setting{{Name: ServerSetting, Value: p.Name + " --serve"}}}, nil
}

func comparison(s *script, rounds int) *Comparison {
	return &Comparison{
		Works: []Work{{Name: "d", Kind: peers.DHCP, Show: []string{"rate"}, Ratios: []string{"rate"}}, {Name: "t", Kind: peers.TFTP, Ratios: []string{"rate", "absent"}}},
		Peers: []*peers.Peer{peer("xdpxe", "a", peers.DHCP), peer("xdpxe", "b", peers.DHCP), peer("other", "", peers.DHCP),
			peer("xdpxe", "", peers.TFTP), peer("other", "", peers.TFTP)},
		Rounds: rounds, Measure: s.measure, Progress: func(string, ...any) {},
		Notes: map[peers.Kind][]string{peers.TFTP: {"not compared: lost"}},
	}
}

func TestOrderTurns(t *testing.T) {
	s := &script{rates: map[string][]float64{"d xdpxe a": {1, 1}, "d xdpxe b": {1, 1}, "d other": {1, 1}, "t xdpxe": {1, 1}, "t other": {1, 1}}}
	if _, err := comparison(s, 2).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"d xdpxe a", "d xdpxe b", "d other", "t xdpxe", "t other",
		"d xdpxe b", "d other", "d xdpxe a", "t other", "t xdpxe"}
	if !slices.Equal(s.asked, want) {
		t.Errorf("order\n%q, want\n%q", s.asked, want)
	}
}

func TestMediansAndRatios(t *testing.T) {
	s := &script{rates: map[string][]float64{
		"d xdpxe a": {600, 700, 2000}, "d xdpxe b": {300, 300, 300}, "d other": {100, 70, 200},
		"t xdpxe": {50, 50, 50}, "t other": {0, 10, 25}}}
	runs, err := comparison(s, 3).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(runs) != 2 || runs[0].Settings[0].Value != "d" || runs[1].Settings[0].Value != "t" {
		t.Fatalf("runs %+v", runs)
	}
	var got []string
	for _, run := range runs {
		for _, row := range run.Rows {
			for _, f := range row.Figures {
				got = append(got, fmt.Sprintf("%s %s %g %g %g %s", row.Name, f.Name, f.Value, *f.Low, *f.High, f.Unit))
			}
		}
	}
	want := []string{
		"xdpxe a rate 700 600 2000 1/s", "xdpxe b rate 300 300 300 1/s", "other rate 100 70 200 1/s",
		// Round by round: 6, 10, 10 and 3, 4.29, 1.5; of the medians it would be 7 and 3.
		"xdpxe a/other rate 10 6 10 ratio", "xdpxe b/other rate 3 1.5 4.285714285714286 ratio",
		// A round without an answer of the other has no ratio.
		"xdpxe rate 50 50 50 1/s", "other rate 10 0 25 1/s", "xdpxe/other rate 2 2 5 ratio"}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// One round in which the generator was the limit makes the median a lower bound.
	if l := runs[0].Row("xdpxe a").Limit; l == nil || l.By != result.ByGenerator {
		t.Errorf("limit of xdpxe a: %+v", l)
	}
	if l := runs[0].Row("other").Limit; l == nil || l.By != result.ByServer {
		t.Errorf("limit of other: %+v", l)
	}
	if n := runs[1].Notes; len(runs[0].Notes) != 0 || !slices.Equal(n, []string{"not compared: lost"}) {
		t.Errorf("notes %q and %q", runs[0].Notes, n)
	}
}

func TestFailureDoesNotEndTheRest(t *testing.T) {
	s := &script{rates: map[string][]float64{
		"d xdpxe a": {600, -1, 800}, "d xdpxe b": {-1, -1, -1}, "d other": {100, 100, 100},
		"t xdpxe": {1, 1, 1}, "t other": {1, 1, 1}}}
	runs, err := comparison(s, 3).Run(t.Context())
	if err == nil || strings.Count(err.Error(), "it fell over") != 4 || !strings.Contains(err.Error(), "round 2 of 3: d: xdpxe a: it fell over") {
		t.Errorf("error %v", err)
	}
	a, b := runs[0].Row("xdpxe a"), runs[0].Row("xdpxe b")
	if f, _ := a.Figure("rate"); f.Value != 600 || a.Failures[failedReason] != 1 {
		t.Errorf("xdpxe a: %+v", a)
	}
	if len(b.Figures) != 0 || b.Failures[failedReason] != 3 {
		t.Errorf("xdpxe b: %+v", b)
	}
	if r := runs[0].Row("xdpxe a/other"); r == nil || r.Figures[0].Value != 6 {
		t.Errorf("ratio %+v", r)
	}
	if runs[0].Row("xdpxe b/other") != nil {
		t.Error("a ratio of what was never measured")
	}
	if len(runs[0].Notes) != 4 {
		t.Errorf("notes %q", runs[0].Notes)
	}
}

// A bounce is measured beside, and what xdpxe reaches of it is a ratio like others.
func TestBounceBeside(t *testing.T) {
	s := &script{rates: map[string][]float64{"d xdpxe a": {50}, "d bounce": {80}}}
	c := comparison(s, 1)
	c.Works = []Work{{Name: "d", Kind: peers.DHCP, Variant: "a", Alone: true, Bounced: true, Ratios: []string{"rate"}, Note: "read this"}}
	c.Peers = append(c.Peers, peer("bounce", "", peers.Bounce))
	runs, err := c.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r := runs[0].Row("xdpxe a/bounce"); r == nil || r.Figures[0].Value != 50.0/80 || len(runs[0].Rows) != 3 {
		t.Errorf("rows %+v", runs[0].Rows)
	}
	if n := runs[0].Notes; !slices.Equal(n, []string{"read this"}) {
		t.Errorf("notes %q", n)
	}
}

func TestStop(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := comparison(&script{}, 2)
	n := 0
	c.Measure = func(context.Context, Work, *peers.Peer) (*result.Run, error) {
		n++
		cancel()
		return nil, errors.New("killed")
	}
	if runs, err := c.Run(ctx); runs != nil || !errors.Is(err, context.Canceled) || n != 1 {
		t.Errorf("%v, %v after %d measurements", runs, err, n)
	}
}
