package pcapload

import (
	"fmt"
	"math"
	"time"
)

// Pace says when a plan is sent.
type Pace struct {
	Copies int           // machines for each machine of the capture
	Speed  float64       // times the capture's; 0 is 1
	Spread time.Duration // the copies of a request are spread over so long
	Rate   float64       // requests a second, evenly, instead of the capture's timing; 0: the capture's
	Most   float64       // requests a second: what would be faster is put off; 0: no bound
	Late   time.Duration // answers after that are late
}

// longest is the most that a session may take: times must be durations.
const longest = 1000 * time.Hour

func (pace *Pace) check(p *Plan) error {
	for _, v := range []float64{pace.Speed, pace.Rate, pace.Most} {
		if !(v >= 0) || math.IsInf(v, 1) {
			return fmt.Errorf("speed or rate of %g", v)
		}
	}
	if pace.Copies < 1 || pace.Copies > MaxRequests/len(p.Requests) {
		return fmt.Errorf("%d copies of %d requests: want 1 to %d", pace.Copies, len(p.Requests), MaxRequests/len(p.Requests))
	}
	if pace.Late <= 0 || pace.Late > longest || pace.Spread < 0 || pace.Spread > longest {
		return fmt.Errorf("copies spread over %v, answers late after %v", pace.Spread, pace.Late)
	}
	takes := p.Requests[len(p.Requests)-1].At.Seconds() / pace.Speed
	for _, rate := range []float64{pace.Rate, pace.Most} {
		if rate > 0 {
			takes = max(takes, float64(len(p.Requests)*pace.Copies)/rate)
		}
	}
	if takes > longest.Seconds() {
		return fmt.Errorf("it would take %g hours", takes/3600)
	}
	return nil
}

// even applies the rates.
func (s *Session) even() {
	gap := time.Duration(0)
	if s.Most > 0 {
		gap = time.Duration(float64(time.Second) / s.Most)
	}
	for i := range s.order {
		e := &s.order[i]
		if s.Rate > 0 {
			e.at = time.Duration(float64(i) / s.Rate * float64(time.Second))
		}
		if i > 0 {
			e.at = max(e.at, s.order[i-1].at+gap)
		}
	}
}
