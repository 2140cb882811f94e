package result

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// Text prints v as a person reads it: three to four digits and a prefix.
func (u Unit) Text(v float64) string {
	switch u {
	case Share:
		return trim(100*v, 2) + " %"
	case Ratio:
		return trim(v, 2) + " ×"
	case Seconds:
		return seconds(v)
	case Bytes:
		return prefixed(v, 1024, []string{" B", " KiB", " MiB", " GiB", " TiB"})
	case ByteRate:
		return prefixed(v, 1000, []string{" B/s", " kB/s", " MB/s", " GB/s"})
	case PerSecond:
		return trim(v, 0) + "/s"
	case SecsPerGiB:
		return trim(v, 3) + " s/GiB"
	}
	return trim(v, 3)
}

func seconds(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0 s"
	case a < 1e-3:
		return trim(v*1e6, 1) + " µs"
	case a < 1:
		return trim(v*1e3, 2) + " ms"
	}
	return trim(v, 2) + " s"
}

func prefixed(v, base float64, units []string) string {
	i := 0
	for math.Abs(v) >= base && i < len(units)-1 {
		v /= base
		i++
	}
	if i == 0 {
		return trim(v, 0) + units[0]
	}
	return trim(v, 2) + units[i]
}

// trim prints v with at most digits decimals and no zeros that say nothing.
func trim(v float64, digits int) string {
	s := fmt.Sprintf("%.*f", digits, v)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// Text prints the figure with its spread.
func (f Figure) Text() string {
	if f.Low == nil || f.High == nil {
		return f.Unit.Text(f.Value)
	}
	return fmt.Sprintf("%s (%s to %s)", f.Unit.Text(f.Value), f.Unit.Text(*f.Low), f.Unit.Text(*f.High))
}

// WriteTable prints a run for the terminal: a lone row figure by figure, several
// rows side by side, then who was the limit, what failed, and the notes.
func (r *Run) WriteTable(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(r.Rows) == 1 {
		for _, f := range r.Rows[0].Figures {
			fmt.Fprintf(tw, "%s\t%s\n", f.Name, f.Text())
		}
	} else {
		names := r.figureNames()
		fmt.Fprintf(tw, "\t%s\n", strings.Join(names, "\t"))
		for i := range r.Rows {
			cells := make([]string, len(names))
			for k, name := range names {
				cells[k] = "-"
				if f, ok := r.Rows[i].Figure(name); ok {
					cells[k] = f.Text()
				}
			}
			fmt.Fprintf(tw, "%s\t%s\n", r.Rows[i].Name, strings.Join(cells, "\t"))
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		prefix := ""
		if len(r.Rows) > 1 {
			prefix = row.Name + ": "
		}
		if row.Limit != nil {
			fmt.Fprintf(w, "%sthe limit was the %s: %s\n", prefix, row.Limit.By, row.Limit.Why)
		}
		for _, reason := range slices.Sorted(maps.Keys(row.Failures)) {
			fmt.Fprintf(w, "%sfailed: %s: %d\n", prefix, reason, row.Failures[reason])
		}
	}
	for _, note := range r.Notes {
		if _, err := fmt.Fprintf(w, "note: %s\n", note); err != nil {
			return err
		}
	}
	return nil
}

// figureNames are the names of all rows' figures, in order of first appearance.
func (r *Run) figureNames() (names []string) {
	for i := range r.Rows {
		for _, f := range r.Rows[i].Figures {
			if !slices.Contains(names, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	return names
}
