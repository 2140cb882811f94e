package result

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// Text prints v as a person reads it: four digits at most and a prefix.
func (u Unit) Text(v float64) string {
	number, unit := u.split(v)
	return number + unit
}

// split returns number and unit, which has its space before it where it wants one.
func (u Unit) split(v float64) (number, unit string) {
	switch u {
	case Share:
		return share(v), " %"
	case Ratio:
		return digits(v), " ×"
	case Seconds:
		return seconds(v)
	case Bytes:
		return prefixed(v, 1024, []string{" B", " KiB", " MiB", " GiB", " TiB"})
	case ByteRate:
		return prefixed(v, 1000, []string{" B/s", " kB/s", " MB/s", " GB/s"})
	case PerSecond:
		return digits(v), "/s"
	case SecsPerGiB:
		return digits(v), " s/GiB"
	}
	return digits(v), ""
}

func seconds(v float64) (number, unit string) {
	switch a := math.Abs(v); {
	case a == 0:
		return "0", " s"
	case a < 1e-6:
		return digits(v * 1e9), " ns"
	case a < 1e-3:
		return digits(v * 1e6), " µs"
	case a < 1:
		return digits(v * 1e3), " ms"
	}
	return digits(v), " s"
}

func prefixed(v, base float64, units []string) (number, unit string) {
	i := 0
	for math.Abs(v) >= base && i < len(units)-1 {
		v /= base
		i++
	}
	return digits(v), units[i]
}

// digits prints v with four digits, or all of those before the point, and
// without zeros that say nothing.
func digits(v float64) string {
	after := 3
	for a := math.Abs(v); a >= 10 && after > 0; a /= 10 {
		after--
	}
	return trim(v, after)
}

// share prints per cent. What is not all is never 100, what is not none never 0,
// down to one in a hundred million.
func share(v float64) string {
	for after := 2; ; after++ {
		s := trim(100*v, after)
		if after == 6 || !(s == "100" && v != 1 || s == "0" && v != 0) {
			return s
		}
	}
}

// trim prints v with at most so many digits after the point.
func trim(v float64, after int) string {
	if math.Abs(v) >= 1e15 { // absurd, and hundreds of digits would not make it better
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	s := strconv.FormatFloat(v, 'f', after, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if s == "-0" {
		return "0"
	}
	return s
}

// Text prints the figure with its spread. The unit is said once if it is the same.
func (f Figure) Text() string {
	spread := f.Spread()
	if spread == "" {
		return f.Unit.Text(f.Value)
	}
	return fmt.Sprintf("%s (%s)", f.Unit.Text(f.Value), spread)
}

// Spread prints the lowest and the highest value, "" if there are none or they
// are the same.
func (f Figure) Spread() string {
	if f.Low == nil || f.High == nil || *f.Low == *f.High {
		return ""
	}
	_, own := f.Unit.split(f.Value)
	ends := [2]string{}
	for i, v := range []float64{*f.Low, *f.High} {
		number, unit := f.Unit.split(v)
		if unit != own {
			number += unit
		}
		ends[i] = number
	}
	return ends[0] + " to " + ends[1]
}

// Printable returns text that came from elsewhere, names of clients, messages of
// servers, fit to be shown on one line: without characters that a terminal would
// obey or that turn the direction of writing.
func Printable(text string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return unicode.ReplacementChar
		}
		return c
	}, text)
}
