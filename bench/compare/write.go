package compare

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/xdpxe/xdpxe/bench/result"
)

// Shown returns a run with only those figures that its work shows.
func Shown(run *result.Run, w Work) *result.Run {
	short := *run
	short.Rows = slices.Clone(run.Rows)
	for i := range short.Rows {
		row := &short.Rows[i]
		var figures []result.Figure
		for _, name := range w.Show {
			if f, ok := row.Figure(name); ok {
				figures = append(figures, f)
			}
		}
		row.Figures = figures
	}
	return &short
}

// WriteFiles writes DIR/DATE-LABEL.json, all of what was found, and the same
// name with .md, for people. It returns the names.
func WriteFiles(dir, label string, works []Work, runs []*result.Run, at time.Time) (written []string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("results: %w", err)
	}
	base := filepath.Join(dir, at.Format(time.DateOnly)+"-"+label)
	for _, f := range []struct {
		name  string
		write func(w io.Writer) error
	}{
		{base + ".json", func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", " ")
			return e.Encode(runs)
		}},
		{base + ".md", func(w io.Writer) error { return WriteMarkdown(w, works, runs) }},
	} {
		if err := writeTo(f.name, f.write); err != nil {
			return written, fmt.Errorf("results: %w", err)
		}
		written = append(written, f.name)
	}
	return written, nil
}

func writeTo(name string, write func(w io.Writer) error) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return write(f)
}

// WriteMarkdown writes runs as a page: the machine, then a table for each work
// with how it was made.
func WriteMarkdown(w io.Writer, works []Work, runs []*result.Run) error {
	var b strings.Builder
	if len(runs) > 0 {
		head(&b, runs)
	}
	for i, run := range runs {
		fmt.Fprintf(&b, "\n## %s\n\n", works[i].Name)
		table(&b, Shown(run, works[i]), works[i].Show)
		remarks(&b, run)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func head(b *strings.Builder, runs []*result.Run) {
	r := runs[0]
	fmt.Fprintf(b, "# Servers side by side, %s\n\n", r.Started.Format(time.DateOnly))
	fmt.Fprintf(b, "- Command: `%s` (%s %s)\n", strings.Join(r.Command, " "), r.Tool, r.Version)
	fmt.Fprintf(b, "- Machine: %s, %d cores, %s of memory\n", r.Machine.CPU, r.Machine.Cores, result.Bytes.Text(float64(r.Machine.Memory)))
	fmt.Fprintf(b, "- System: %s, Linux %s, %s\n", r.Machine.System, r.Machine.Kernel, r.Machine.Go)
	programs := make(map[string]string)
	for _, run := range runs {
		maps.Copy(programs, run.Machine.Programs)
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(programs)) {
		list = append(list, name+" "+programs[name])
	}
	fmt.Fprintf(b, "- Servers: %s\n", strings.Join(list, ", "))
	b.WriteString("\nFigures are medians (lowest to highest) of all rounds. Ratios are made round by round.\n")
}

func table(b *strings.Builder, run *result.Run, columns []string) {
	fmt.Fprintf(b, "| | %s |\n|---|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, row := range run.Rows {
		fmt.Fprintf(b, "| %s |", row.Name)
		for _, name := range columns {
			text := ""
			if f, ok := row.Figure(name); ok {
				text = f.Text()
			}
			fmt.Fprintf(b, " %s |", text)
		}
		b.WriteByte('\n')
	}
}

// remarks are a list below the table.
func remarks(b *strings.Builder, run *result.Run) {
	b.WriteByte('\n')
	for _, row := range run.Rows {
		if row.Limit != nil {
			fmt.Fprintf(b, "- %s: the limit was the %s: %s\n", row.Name, row.Limit.By, row.Limit.Why)
		}
		for _, reason := range slices.Sorted(maps.Keys(row.Failures)) {
			fmt.Fprintf(b, "- %s: failed: %s: %d\n", row.Name, reason, row.Failures[reason])
		}
	}
	for _, note := range run.Notes {
		// A note may hold a log: its lines stay in the list's item.
		fmt.Fprintf(b, "- %s\n", strings.ReplaceAll(strings.TrimSpace(note), "\n", "\n  "))
	}
	for _, s := range run.Settings {
		if s.Name != WorkSetting {
			fmt.Fprintf(b, "- %s: `%s`\n", s.Name, s.Value)
		}
	}
}
