package result

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Bound is one demand on a figure: "answered >= 97.5%", "xdpxe: goodput >= 1GB/s",
// "xdpxe/atftpd: goodput >= 8" (a ratio of two rows).
type Bound struct {
	Row    string // "": the first
	Over   string // the row to divide by; "": none
	Figure string
	Op     string // >= <= > < ==
	Value  float64
	Text   string // as it was written
}

var boundPattern = regexp.MustCompile(`^(?:([^:]+):)?\s*([^<>=:]+?)\s*(>=|<=|==|>|<)\s*([0-9.]+(?:[eE][0-9]+)?)\s*([a-zA-Zµ%/×]*)$`)

// factors turn a number with a unit into base units.
var factors = map[string]float64{
	"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30,
	"%": 0.01, "x": 1, "×": 1,
	"s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "m": 60,
	"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
}

// ParseBound reads a bound as it is written on the command line.
func ParseBound(text string) (Bound, error) {
	m := boundPattern.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return Bound{}, fmt.Errorf("bound %q: want [ROW[/ROW]:] FIGURE >=|<=|>|<|== NUMBER[UNIT], like %q", text, "answered >= 97.5%")
	}
	value, err := strconv.ParseFloat(m[4], 64)
	if err != nil {
		return Bound{}, fmt.Errorf("bound %q: %w", text, err)
	}
	factor, ok := factors[strings.TrimSuffix(m[5], "/s")]
	if !ok {
		return Bound{}, fmt.Errorf("bound %q: unknown unit %q", text, m[5])
	}
	b := Bound{Figure: m[2], Op: m[3], Value: value * factor, Text: text}
	b.Row, b.Over, _ = strings.Cut(strings.TrimSpace(m[1]), "/")
	b.Row, b.Over = strings.TrimSpace(b.Row), strings.TrimSpace(b.Over)
	return b, nil
}

// Check holds a run against the bound. A figure that is not there is a miss:
// what was not measured was not shown.
func (b Bound) Check(r *Run) error {
	value, err := b.value(r, b.Row)
	if err != nil {
		return fmt.Errorf("bound %q: %w", b.Text, err)
	}
	if b.Over != "" {
		over, err := b.value(r, b.Over)
		if err != nil {
			return fmt.Errorf("bound %q: %w", b.Text, err)
		}
		if over == 0 {
			return fmt.Errorf("bound %q: %s of %s is 0", b.Text, b.Figure, b.Over)
		}
		value /= over
	}
	held := false
	switch b.Op {
	case ">=":
		held = value >= b.Value
	case "<=":
		held = value <= b.Value
	case ">":
		held = value > b.Value
	case "<":
		held = value < b.Value
	case "==":
		held = value == b.Value
	}
	if !held {
		return fmt.Errorf("bound %q missed: it is %g", b.Text, value)
	}
	return nil
}

// Applies says whether a run has what the bound speaks of.
func (b Bound) Applies(r *Run) bool {
	_, err := b.value(r, b.Row)
	if err == nil && b.Over != "" {
		_, err = b.value(r, b.Over)
	}
	return err == nil
}

func (b Bound) value(r *Run, name string) (float64, error) {
	var row *Row
	if name == "" && len(r.Rows) > 0 {
		row = &r.Rows[0]
	} else {
		row = r.Row(name)
	}
	if row == nil {
		return 0, fmt.Errorf("there is no row %q (rows: %s)", name, strings.Join(r.rowNames(), ", "))
	}
	f, ok := row.Figure(b.Figure)
	if !ok {
		return 0, fmt.Errorf("row %q has no figure %q", row.Name, b.Figure)
	}
	return f.Value, nil
}

func (r *Run) rowNames() (names []string) {
	for i := range r.Rows {
		names = append(names, r.Rows[i].Name)
	}
	return names
}
