package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/xdpxe/xdpxe/bench/result"
)

// table is one HTML table with a head line and a head column.
type table struct {
	Caption string
	Corner  string
	Columns []string
	Lines   []tableLine
	Note    string
}

type tableLine struct {
	Name  string
	Cells []cell
}

type cell struct {
	Text   string
	Spread string // below the text
}

// turned swaps lines and columns.
func (t *table) turned() *table {
	u := &table{Caption: t.Caption, Note: t.Note}
	for i, c := range t.Columns {
		line := tableLine{Name: c}
		for _, l := range t.Lines {
			line.Cells = append(line.Cells, l.Cells[i])
		}
		u.Lines = append(u.Lines, line)
	}
	for _, l := range t.Lines {
		u.Columns = append(u.Columns, l.Name)
	}
	return u
}

// figureTable has all figures of all rows, what there is more of going down.
func figureTable(run *result.Run) *table {
	names := run.FigureNames()
	if len(names) == 0 {
		return nil
	}
	t := &table{Caption: "All figures"}
	for i := range run.Rows {
		t.Columns = append(t.Columns, short(run.Rows[i].Name))
	}
	spread := false
	for _, name := range names {
		line := tableLine{Name: short(name)}
		for i := range run.Rows {
			c := cell{Text: "–"}
			if f, ok := run.Rows[i].Figure(name); ok {
				c = cell{f.Unit.Text(f.Value), f.Spread()}
				spread = spread || c.Spread != ""
			}
			line.Cells = append(line.Cells, c)
		}
		t.Lines = append(t.Lines, line)
	}
	if spread {
		t.Note = "Medians of several rounds; below them the lowest and the highest."
	}
	if len(run.Rows) > 1 && len(run.Rows) >= len(names) {
		return t.turned()
	}
	return t
}

// mostReasons bounds the table of failures: the reasons may be a server's words.
const mostReasons = 40

// failureTable counts what went wrong, the most frequent reason first.
func failureTable(run *result.Run) *table {
	total := map[string]uint64{}
	for i := range run.Rows {
		for reason, n := range run.Rows[i].Failures {
			total[reason] += n
		}
	}
	if len(total) == 0 {
		return nil
	}
	reasons := slices.Sorted(maps.Keys(total))
	slices.SortStableFunc(reasons, func(a, b string) int {
		return cmp.Compare(total[b], total[a])
	})
	t := &table{Caption: "Failures by reason", Corner: "reason"}
	if n := len(reasons); n > mostReasons {
		reasons = reasons[:mostReasons]
		t.Note = fmt.Sprintf("%d rarer reasons are left out.", n-mostReasons)
	}
	for i := range run.Rows {
		if len(run.Rows) == 1 || len(run.Rows[i].Failures) > 0 {
			t.Columns = append(t.Columns, short(run.Rows[i].Name))
		}
	}
	for _, reason := range reasons {
		line := tableLine{Name: short(reason)}
		for i := range run.Rows {
			if len(run.Rows) == 1 || len(run.Rows[i].Failures) > 0 {
				line.Cells = append(line.Cells, cell{Text: strconv.FormatUint(run.Rows[i].Failures[reason], 10)})
			}
		}
		t.Lines = append(t.Lines, line)
	}
	return t
}
