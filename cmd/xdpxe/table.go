package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
)

// writeTable aligns the cells of rows. What machines say of themselves stands
// in them: nothing of it reaches the terminal as control characters.
func writeTable(w io.Writer, indent string, rows [][]string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = clean(cell)
		}
		fmt.Fprintln(tw, indent+strings.TrimRight(strings.Join(cells, "\t"), "\t "))
	}
	return tw.Flush()
}

// facts are lines of a name and what is to say of it; those without anything are left out.
type facts [][]string

func (f *facts) add(name, text string) {
	if text != "" {
		*f = append(*f, []string{name, text})
	}
}

func (f *facts) addf(name, format string, args ...any) { f.add(name, fmt.Sprintf(format, args...)) }

// clean is text that is fit for a terminal.
func clean(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) < 0 {
		return text
	}
	quoted := strconv.Quote(text)
	return quoted[1 : len(quoted)-1]
}
