// Package arrival is when the clients of a load come.
package arrival

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Pattern is when clients come. The zero value is all at once.
type Pattern struct {
	Ramp time.Duration // evenly over this time
	Rate float64       // so many a second on average, as a Poisson process
}

// Parse reads "at-once", "ramp:30s" or "poisson:100" (a second; "100/s" as well).
func Parse(text string) (a Pattern, err error) {
	kind, value, _ := strings.Cut(text, ":")
	switch kind {
	case "at-once":
		if value == "" && !strings.Contains(text, ":") {
			return a, nil
		}
	case "ramp":
		if a.Ramp, err = time.ParseDuration(value); err == nil && a.Ramp > 0 {
			return a, nil
		}
	case "poisson":
		if a.Rate, err = strconv.ParseFloat(strings.TrimSuffix(value, "/s"), 64); err == nil && a.Rate > 0 && a.Rate <= 1e6 {
			return a, nil
		}
	}
	return Pattern{}, fmt.Errorf("arrival %q: want at-once, ramp:5s or poisson:100/s", text)
}

// String is what Parse reads.
func (a Pattern) String() string {
	switch {
	case a.Ramp > 0:
		return "ramp:" + a.Ramp.String()
	case a.Rate > 0:
		return "poisson:" + strconv.FormatFloat(a.Rate, 'g', -1, 64)
	}
	return "at-once"
}

// Times are when each of n clients comes, since the start, in order. The same
// seed gives the same times.
func (a Pattern) Times(n int, seed uint64) []time.Duration {
	times := make([]time.Duration, n)
	random := rand.New(rand.NewPCG(seed, 1<<63))
	var at time.Duration
	for i := range times {
		switch {
		case a.Ramp > 0:
			times[i] = time.Duration(float64(a.Ramp) * float64(i) / float64(n))
		case a.Rate > 0:
			at += time.Duration(random.ExpFloat64() / a.Rate * float64(time.Second))
			times[i] = at
		}
	}
	return times
}
