package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// writeTable aligns the cells of rows. What machines say of themselves stands
// in them: nothing of it reaches the terminal as control characters.
func writeTable(w io.Writer, indent string, rows [][]string) error {
	var widths []int
	cells := make([][]string, len(rows))
	for i, row := range rows {
		for k, cell := range row {
			cell = clean(cell)
			cells[i] = append(cells[i], cell)
			if k == len(widths) {
				widths = append(widths, 0)
			}
			widths[k] = max(widths[k], utf8.RuneCountInString(cell))
		}
	}
	out := bufio.NewWriter(w)
	for _, row := range cells {
		line := indent
		for k, cell := range row {
			line += cell + strings.Repeat(" ", widths[k]-utf8.RuneCountInString(cell)+2)
		}
		fmt.Fprintln(out, strings.TrimRight(line, " "))
	}
	return out.Flush()
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
