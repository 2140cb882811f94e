package storm

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Arrival is when machines are switched on. The zero value is all at once.
type Arrival struct {
	Ramp time.Duration // evenly over this time
	Rate float64       // machines a second, as a Poisson process; the same one in each run
}

// ParseArrival reads "at-once", "ramp=30s" or "poisson=100" (machines a second).
func ParseArrival(text string) (a Arrival, err error) {
	kind, value, _ := strings.Cut(text, "=")
	switch kind {
	case "at-once":
		if value == "" && !strings.Contains(text, "=") {
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
	return Arrival{}, fmt.Errorf("arrival %q: want at-once, ramp=DURATION or poisson=RATE", text)
}

// String is what ParseArrival reads.
func (a Arrival) String() string {
	switch {
	case a.Ramp > 0:
		return "ramp=" + a.Ramp.String()
	case a.Rate > 0:
		return "poisson=" + strconv.FormatFloat(a.Rate, 'g', -1, 64)
	}
	return "at-once"
}

// Times are when each of n machines is switched on, since the start, in order.
func (a Arrival) Times(n int) []time.Duration {
	times := make([]time.Duration, n)
	random := rand.New(rand.NewPCG(1, 2))
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
