package compare

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/xdpxe/xdpxe/bench/peers"
	"github.com/xdpxe/xdpxe/bench/result"
)

// Subject is the recipe whose peers are held against the others'.
const Subject = "xdpxe"

// Comparison is a set of works and of peers to do them.
type Comparison struct {
	Works  []Work
	Peers  []*peers.Peer // each does the works of its kind
	Rounds int
	// Measure does a work on a peer that it starts for that. What it found is the
	// run's first row; Command is the load's and the setting ServerSetting the server's.
	Measure func(ctx context.Context, w Work, p *peers.Peer) (*result.Run, error)
	// Progress gets a line for each measurement.
	Progress func(format string, args ...any)
	// Notes go into the results of each kind of work: who is missing.
	Notes map[peers.Kind][]string
}

// Names of settings.
const (
	WorkSetting   = "work"   // in results: the work's name; it is the first
	ServerSetting = "server" // in what Measure returns: how the server was started
)

// failedReason is what a peer's row says of measurements that failed.
const failedReason = "measurement failed"

// entry is what one peer did in one work, round by round; nil: it failed.
type entry struct {
	peer   *peers.Peer
	rounds []*result.Row
	server string   // its command line
	load   string   // that of the load
	notes  []string // of the load
	errs   []error
}

// Run measures everything and returns a run for each work, with a row for each
// peer and one for each ratio "xdpxe/PEER". The error joins what went wrong; the
// results of the rest are there nevertheless, unless ctx has ended.
func (c *Comparison) Run(ctx context.Context) ([]*result.Run, error) {
	tables := make([][]*entry, len(c.Works))
	for i, w := range c.Works {
		for _, p := range c.Peers {
			if w.does(p) {
				tables[i] = append(tables[i], &entry{peer: p, rounds: make([]*result.Row, c.Rounds)})
			}
		}
	}
	var errs []error
	for round := range c.Rounds {
		for i, w := range c.Works {
			for k := range tables[i] {
				e := tables[i][(k+round)%len(tables[i])]
				err := c.measure(ctx, w, e, round)
				if ctx.Err() != nil {
					return nil, context.Cause(ctx)
				}
				errs = append(errs, err)
			}
		}
	}
	var runs []*result.Run
	for i, w := range c.Works {
		run := summarize(w, tables[i], c.Rounds)
		run.Notes = append(run.Notes, c.Notes[w.Kind]...)
		runs = append(runs, run)
	}
	return runs, errors.Join(errs...)
}

// measure does one measurement and notes it in e.
func (c *Comparison) measure(ctx context.Context, w Work, e *entry, round int) error {
	head := fmt.Sprintf("round %d of %d: %s: %s", round+1, c.Rounds, w.Name, e.peer.Name)
	run, err := c.Measure(ctx, w, e.peer)
	if err == nil && len(run.Rows) == 0 {
		err = errors.New("the load found nothing")
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", head, err)
		c.Progress("%v", err)
		e.errs = append(e.errs, err)
		return err
	}
	row := run.Rows[0]
	row.Name = e.peer.Name
	e.rounds[round] = &row
	for _, s := range run.Settings {
		if s.Name == ServerSetting {
			e.server = s.Value
		}
	}
	if e.load == "" {
		e.load = strings.Join(run.Command, " ")
	}
	for _, note := range run.Notes {
		if note = e.peer.Name + ": " + note; !slices.Contains(e.notes, note) {
			e.notes = append(e.notes, note)
		}
	}
	c.Progress("%s: %s", head, brief(row, w.Show))
	return nil
}

// brief is a row in one line.
func brief(row result.Row, show []string) string {
	var parts []string
	for _, name := range show {
		if f, ok := row.Figure(name); ok {
			parts = append(parts, name+" "+f.Text())
		}
	}
	if row.Limit != nil && row.Limit.By == result.ByGenerator {
		parts = append(parts, "the generator was the limit")
	}
	return strings.Join(parts, ", ")
}

// summarize makes the run of a work: rows with medians, then with ratios.
func summarize(w Work, table []*entry, rounds int) *result.Run {
	run := &result.Run{Settings: []result.Setting{{Name: WorkSetting, Value: w.Name}, {Name: "rounds", Value: strconv.Itoa(rounds)}}}
	if w.Note != "" {
		run.Notes = append(run.Notes, w.Note)
	}
	run.Machine.Programs = make(map[string]string)
	for _, e := range table {
		if e.load != "" {
			run.Settings = append(run.Settings, result.Setting{Name: "load", Value: e.load})
			break
		}
	}
	for _, e := range table {
		run.Machine.Programs[e.peer.Recipe.Name] = e.peer.Version
		if e.server != "" {
			run.Settings = append(run.Settings, result.Setting{Name: e.peer.Name, Value: e.server})
		}
		row := median(present(e.rounds))
		row.Name = e.peer.Name
		for _, r := range e.rounds {
			// A figure of which one round was too low is too low.
			if r != nil && r.Limit != nil && r.Limit.By == result.ByGenerator {
				row.Limit = r.Limit
			}
		}
		for _, err := range e.errs {
			row.Fail(failedReason, 1)
			run.Notes = append(run.Notes, err.Error())
		}
		run.Notes = append(run.Notes, e.notes...)
		run.Rows = append(run.Rows, row)
	}
	for _, ours := range table {
		for _, theirs := range table {
			if ours.peer.Recipe.Name != Subject || theirs.peer.Recipe.Name == Subject {
				continue
			}
			if row := ratio(ours, theirs, w.Ratios); len(row.Figures) > 0 {
				run.Rows = append(run.Rows, row)
			}
		}
	}
	return run
}

// median is that of result; what was measured once has no spread.
func median(rounds []result.Row) result.Row {
	if len(rounds) == 1 {
		return rounds[0]
	}
	return result.Median(rounds)
}

func present(rounds []*result.Row) (rows []result.Row) {
	for _, r := range rounds {
		if r != nil {
			rows = append(rows, *r)
		}
	}
	return rows
}

// ratio divides figures round by round and takes the medians of that. A round
// in which one of the two has no such figure, or the divisor is 0, does not count.
func ratio(ours, theirs *entry, figures []string) result.Row {
	row := result.Row{Name: ours.peer.Name + "/" + theirs.peer.Name}
	for _, name := range figures {
		var rounds []result.Row
		for i := range ours.rounds {
			a, b := ours.rounds[i], theirs.rounds[i]
			if a == nil || b == nil {
				continue
			}
			x, okA := a.Figure(name)
			y, okB := b.Figure(name)
			if okA && okB && y.Value != 0 {
				var r result.Row
				r.Add(name, result.Ratio, x.Value/y.Value)
				rounds = append(rounds, r)
			}
		}
		row.Figures = append(row.Figures, median(rounds).Figures...)
	}
	return row
}
