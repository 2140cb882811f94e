package result

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// WriteTable prints a run for the terminal: its figures, then who was the limit,
// what failed, and the notes.
func (r *Run) WriteTable(w io.Writer) error {
	var b strings.Builder
	writeAligned(&b, r.cells())
	for i := range r.Rows {
		row := &r.Rows[i]
		prefix := ""
		if len(r.Rows) > 1 {
			prefix = Printable(row.Name) + ": "
		}
		if row.Limit != nil {
			fmt.Fprintf(&b, "%sthe limit was the %s: %s\n", prefix, row.Limit.By, Printable(row.Limit.Why))
		}
		for _, reason := range slices.Sorted(maps.Keys(row.Failures)) {
			fmt.Fprintf(&b, "%sfailed: %s: %d\n", prefix, Printable(reason), row.Failures[reason])
		}
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", Printable(note))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cells lays out the figures: a lone row figure by figure; several side by side,
// with what there is more of going down, so that the table stays narrow.
func (r *Run) cells() [][]string {
	names := r.FigureNames()
	figure := func(row *Row, name string) string {
		if f, ok := row.Figure(name); ok {
			return f.Text()
		}
		return "-"
	}
	var table [][]string
	if len(r.Rows) > 1 && len(r.Rows) >= len(names) {
		table = append(table, append([]string{""}, names...))
		for i := range r.Rows {
			line := []string{Printable(r.Rows[i].Name)}
			for _, name := range names {
				line = append(line, figure(&r.Rows[i], name))
			}
			table = append(table, line)
		}
		return table
	}
	if len(r.Rows) > 1 {
		head := []string{""}
		for i := range r.Rows {
			head = append(head, Printable(r.Rows[i].Name))
		}
		table = append(table, head)
	}
	for _, name := range names {
		line := []string{name}
		for i := range r.Rows {
			line = append(line, figure(&r.Rows[i], name))
		}
		table = append(table, line)
	}
	return table
}

// writeAligned prints a table with the first column to the left and the others,
// which are numbers, to the right.
func writeAligned(b *strings.Builder, table [][]string) {
	var widths []int
	for _, line := range table {
		for i, cell := range line {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, line := range table {
		for i, cell := range line {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				b.WriteString(cell + pad)
			} else {
				b.WriteString("  " + pad + cell)
			}
		}
		b.WriteByte('\n')
	}
}

// FigureNames are the names of all rows' figures, in order of first appearance.
func (r *Run) FigureNames() (names []string) {
	for i := range r.Rows {
		for _, f := range r.Rows[i].Figures {
			if !slices.Contains(names, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	return names
}
