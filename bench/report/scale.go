package report

import (
	"math"
	"strconv"

	"github.com/xdpxe/xdpxe/bench/result"
)

// scale maps values to a share of an axis, 0 to 1.
type scale struct {
	low, high float64 // low < high; both > 0 if it is logarithmic
	log       bool
}

// tiniest and largest bound what is told apart on an axis: nothing that is
// measured here is as small or as large, and computing with more would overflow.
const (
	tiniest = 1e-15
	largest = 1e18
)

// finite says that v can be drawn.
func finite(v float64) bool { return math.Abs(v) <= largest } // no NaN is

// linear spans values, and zero where it is not far: the length of what is drawn
// then says how much it is.
func linear(low, high float64) scale {
	if low > 0 {
		low = 0
	}
	if high-low < tiniest {
		high = low + 1
	}
	return scale{low: low, high: high}
}

// steep is how far apart values lie that a linear axis shows only the largest of.
const steep = 20

// fitting is a linear scale, or a logarithmic one for values that are far apart.
// least is the smallest above zero.
func fitting(low, least, high float64) scale {
	if low < 0 || least < tiniest || high/least < steep {
		return linear(low, high)
	}
	return scale{low: niceDown(least), high: niceUp(high), log: true}
}

// at is where v lies; what lies outside is drawn at the end.
func (s scale) at(v float64) float64 {
	if s.log {
		v = math.Max(v, s.low)
		return clamp(math.Log(v/s.low) / math.Log(s.high/s.low))
	}
	return clamp((v - s.low) / (s.high - s.low))
}

func clamp(v float64) float64 { return math.Min(math.Max(v, 0), 1) }

// niceUp and niceDown round v > 0 to 1, 2 or 5 times a power of ten. A value that
// is one but for the error of its division stays.
func niceUp(v float64) float64 {
	power, lead := split(v)
	for _, s := range []float64{1, 2, 5} {
		if lead <= s {
			return s * power
		}
	}
	return 10 * power
}

func niceDown(v float64) float64 {
	power, lead := split(v)
	for _, s := range []float64{10, 5, 2} {
		if lead >= s {
			return s * power
		}
	}
	return power
}

func split(v float64) (power, lead float64) {
	power = math.Pow(10, math.Floor(math.Log10(v)))
	return power, math.Round(v/power*1e9) / 1e9
}

// step is the distance of about n marks on a linear scale. Bytes are round in
// powers of two.
func (s scale) step(n int, unit result.Unit) float64 {
	wanted := (s.high - s.low) / float64(n)
	if unit == result.Bytes {
		return math.Pow(2, math.Ceil(math.Log2(wanted)))
	}
	return niceUp(wanted)
}

// tick is one mark of an axis.
type tick struct {
	at   float64 // 0 to 1
	text string
}

// ticks are about n marks at round values.
func (s scale) ticks(n int, unit result.Unit) []tick {
	if s.log {
		return s.logTicks(n, unit)
	}
	all := s.every(s.step(n, unit), unit)
	if len(all) < 3 { // the next step would be enough or too much
		all = s.every(s.step(2*n, unit), unit)
	}
	return all
}

func (s scale) every(step float64, unit result.Unit) (all []tick) {
	first, last := math.Ceil(s.low/step-1e-9), math.Floor(s.high/step+1e-9)
	for i := first; i <= last; i++ {
		v := i*step + 0 // -0 + 0 is 0
		all = append(all, tick{s.at(v), axisText(unit, v)})
	}
	return all
}

// logTicks are the powers of ten, with 2 and 5 times them where there is room.
func (s scale) logTicks(n int, unit result.Unit) []tick {
	first, last := math.Floor(math.Log10(s.low)+1e-9), math.Ceil(math.Log10(s.high)-1e-9)
	every := math.Max(1, math.Ceil((last-first)/float64(n)))
	marks := func(leads ...float64) (all []tick) {
		for e := first; e <= last; e += every {
			for _, lead := range leads {
				v := lead * math.Pow(10, e)
				if v >= s.low*(1-1e-9) && v <= s.high*(1+1e-9) {
					all = append(all, tick{s.at(v), axisText(unit, v)})
				}
			}
		}
		return all
	}
	if all := marks(1, 2, 5); every == 1 && len(all) <= 2*n {
		return all
	}
	return marks(1)
}

// rounded makes the scale end at a mark.
func (s scale) rounded(n int, unit result.Unit) scale {
	if s.log {
		return s
	}
	step := s.step(n, unit)
	return scale{low: math.Floor(s.low/step+1e-9) * step, high: math.Ceil(s.high/step-1e-9) * step}
}

// axisText prints a value beside a mark: shorter than a figure.
func axisText(unit result.Unit, v float64) string {
	switch unit {
	case result.PerSecond:
		return thousands(v) + "/s"
	case result.Count:
		return thousands(v)
	}
	return unit.Text(v)
}

// thousands prints 250000 as 250k.
func thousands(v float64) string {
	prefix := ""
	for _, p := range []string{"k", "M", "G"} {
		if math.Abs(v) < 1000 {
			break
		}
		v /= 1000
		prefix = p
	}
	return strconv.FormatFloat(math.Round(v*1000)/1000, 'g', -1, 64) + prefix
}
