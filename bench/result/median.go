package result

import "slices"

// Median makes one row of several rounds of the same thing: each figure is the
// median with the lowest and highest beside it. Of an even number it is the
// lower of the two in the middle, so that it is a value that was measured. The
// rest is the last round's, but failures add up.
func Median(rounds []Row) Row {
	if len(rounds) == 0 {
		return Row{}
	}
	last := rounds[len(rounds)-1]
	row := Row{Name: last.Name, Limit: last.Limit, Curves: last.Curves, Series: last.Series, Spans: last.Spans}
	for _, f := range last.Figures {
		var values []float64
		for i := range rounds {
			if g, ok := rounds[i].Figure(f.Name); ok {
				values = append(values, g.Value)
			}
		}
		slices.Sort(values)
		low, high := values[0], values[len(values)-1]
		f.Value, f.Low, f.High = values[(len(values)-1)/2], &low, &high
		row.Figures = append(row.Figures, f)
	}
	for i := range rounds {
		for reason, n := range rounds[i].Failures {
			row.Fail(reason, n)
		}
	}
	return row
}
