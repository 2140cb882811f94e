package gun

import (
	"math"
	"time"
)

// Schedule says when requests are due: at a rate that goes in a straight line
// from From to To a second within For. Request k (from 0) is due when the rate
// has added up to k.
type Schedule struct {
	From, To float64 // requests a second
	For      time.Duration
	Saturate bool // as fast as it goes; the rates do not matter then
}

// Fixed is a schedule of one rate.
func Fixed(rate float64, d time.Duration) Schedule { return Schedule{From: rate, To: rate, For: d} }

// Total is how many requests the schedule has; as many as it gets, if it saturates.
func (s *Schedule) Total() int64 {
	if s.Saturate {
		return math.MaxInt64
	}
	return int64((s.From+s.To)/2*s.For.Seconds() + 0.5)
}

// Due is how many requests are due at time t.
func (s *Schedule) Due(t time.Duration) int64 {
	switch {
	case t < 0:
		return 0
	case s.Saturate && t < s.For:
		return math.MaxInt64
	case s.Saturate:
		return 0
	case t >= s.For:
		return s.Total()
	}
	sec := t.Seconds()
	sum := s.From*sec + (s.To-s.From)*sec*sec/(2*s.For.Seconds())
	// The one that is due at the sum itself is due, too.
	return min(int64(sum)+1, s.Total())
}

// At is when request k is due. After the last that is For.
func (s *Schedule) At(k int64) time.Duration {
	switch {
	case k >= s.Total():
		return s.For
	case s.Saturate:
		return 0
	}
	// sum(t) = From·t + slope·t²/2 = k
	slope := (s.To - s.From) / s.For.Seconds()
	sec := float64(k) / s.From
	if root := s.From*s.From + 2*slope*float64(k); slope != 0 {
		sec = (math.Sqrt(max(root, 0)) - s.From) / slope
	}
	return min(time.Duration(sec*float64(time.Second)), s.For)
}

// Peak is the highest rate.
func (s *Schedule) Peak() float64 { return max(s.From, s.To) }
