package report

import (
	"math"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/bench/result"
)

func texts(ticks []tick) string {
	var all []string
	for _, t := range ticks {
		all = append(all, t.text)
	}
	return strings.Join(all, ", ")
}

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		s    scale
		n    int
		unit result.Unit
		want string
	}{
		{linear(0, 243000).rounded(5, result.PerSecond), 5, result.PerSecond, "0/s, 50k/s, 100k/s, 150k/s, 200k/s, 250k/s"},
		{linear(3, 4.84).rounded(5, result.Seconds), 5, result.Seconds, "0 s, 1 s, 2 s, 3 s, 4 s, 5 s"},
		{linear(0, 0.97).rounded(5, result.Share), 5, result.Share, "0 %, 20 %, 40 %, 60 %, 80 %, 100 %"},
		{linear(0, 0.3).rounded(3, result.Seconds), 3, result.Seconds, "0 s, 100 ms, 200 ms, 300 ms"},
		{linear(0, 3<<20).rounded(4, result.Bytes), 4, result.Bytes, "0 B, 1 MiB, 2 MiB, 3 MiB"},
		{linear(-3, 3).rounded(3, result.Count), 3, result.Count, "-4, -2, 0, 2, 4"},
		{linear(0, 29.75), 4, result.Seconds, "0 s, 10 s, 20 s"},
		{linear(0, 0), 2, result.Count, "0, 0.5, 1"},
		{fitting(10e-6, 10e-6, 9e-3), 5, result.Seconds, "10 µs, 20 µs, 50 µs, 100 µs, 200 µs, 500 µs, 1 ms, 2 ms, 5 ms, 10 ms"},
		{fitting(0.3, 0.3, 26), 5, result.Seconds, "200 ms, 500 ms, 1 s, 2 s, 5 s, 10 s, 20 s, 50 s"},
		{fitting(1e-9, 1e-9, 1e3), 4, result.Seconds, "1 ns, 1 µs, 1 ms, 1 s, 1000 s"},
		{fitting(1, 1, 19).rounded(4, result.Count), 4, result.Count, "0, 5, 10, 15, 20"},
		{fitting(-1, 1, 1000).rounded(2, result.Count), 2, result.Count, "-1k, 0, 1k"},
	} {
		if got := texts(c.s.ticks(c.n, c.unit)); got != c.want {
			t.Errorf("%+v: got %s, want %s", c.s, got, c.want)
		}
	}
}

// Whatever the bounds are, there are marks, not many, on the axis and in order.
func TestTicksOfAnything(t *testing.T) {
	values := []float64{5e-324, 1e-300, 1e-15, 1e-9, 0.1, 0.9999999, 1, 3, 9.999999999, 10, 1e6, largest}
	for _, low := range values {
		for _, high := range values {
			if low > high {
				continue
			}
			for _, unit := range []result.Unit{result.Seconds, result.Bytes} {
				for _, s := range []scale{linear(low, high), linear(-low, high), linear(low, high).rounded(5, unit), fitting(low, low, high)} {
					ticks := s.ticks(5, unit)
					if len(ticks) < 1 || len(ticks) > 11 {
						t.Errorf("%g to %g, %+v: %d marks", low, high, s, len(ticks))
					}
					last := math.Inf(-1)
					for _, k := range ticks {
						if !(k.at > last && k.at >= 0 && k.at <= 1) {
							t.Errorf("%g to %g, %+v: a mark at %g after %g", low, high, s, k.at, last)
						}
						last = k.at
					}
				}
			}
		}
	}
}

func TestFinite(t *testing.T) {
	for v, want := range map[float64]bool{0: true, -1: true, largest: true, 5e-324: true, 1e300: false, math.Inf(1): false, math.Inf(-1): false} {
		if finite(v) != want {
			t.Errorf("%g: %v", v, !want)
		}
	}
	if finite(math.NaN()) {
		t.Error("NaN is finite")
	}
}

func TestScale(t *testing.T) {
	l := fitting(1, 1, 10000)
	for v, want := range map[float64]float64{1: 0, 10: 0.25, 100: 0.5, 10000: 1, 0: 0, -5: 0, 1e9: 1} {
		if got := l.at(v); math.Abs(got-want) > 1e-9 {
			t.Errorf("logarithmic %g is at %g, want %g", v, got, want)
		}
	}
	n := linear(10, 50)
	for v, want := range map[float64]float64{0: 0, 25: 0.5, 50: 1, 60: 1, -1: 0} {
		if got := n.at(v); math.Abs(got-want) > 1e-9 {
			t.Errorf("linear %g is at %g, want %g", v, got, want)
		}
	}
}

func TestPercentileAxis(t *testing.T) {
	curve := func(highest int) line { // the value rises up to a share
		l := line{}
		for i, p := range []float64{0, 0.5, 0.9, 0.99, 0.999, 0.9999, 1} {
			l.x, l.y = append(l.x, p), append(l.y, float64(min(i, highest)))
		}
		return l
	}
	for _, c := range []struct {
		curves []line
		want   string
	}{
		{[]line{curve(6)}, "max, 90 %, 99 %, 99.9 %, 99.99 %, 50 %, 0 %"},
		{[]line{curve(4)}, "max, 90 %, 99 %, 50 %, 0 %"}, // the tail is flat
		{[]line{curve(0)}, "max, 90 %, 50 %, 0 %"},
		{[]line{curve(0), curve(3)}, "max, 90 %, 50 %, 0 %"},
	} {
		if got := texts(percentileTicks(topOf(c.curves))); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// Labels that would touch go, the less important first.
func TestLabelsApart(t *testing.T) {
	f := frame{drawing: &drawing{W: 200}, w: 200}
	kept := f.apart([]tick{{1, "max"}, {0.5, "half"}, {0.9, "90 %"}, {0.4, "40 %"}, {0, "0"}})
	var got []string
	for _, l := range kept {
		got = append(got, l.text)
		if half := textWidth(l.text) / 2; l.x+half > f.W {
			t.Errorf("%q ends at %v", l.text, l.x+half)
		}
	}
	if s := strings.Join(got, " "); s != "max half 0" {
		t.Errorf("kept %s", s)
	}
}
