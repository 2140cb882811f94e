package pcapload

import (
	"fmt"
	"strings"
	"time"

	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/bench/result"
)

// How many differences are noted with where they were found, and at how many
// requests of the capture each.
const (
	maxNotes  = 20
	maxPlaces = 5
)

// Result says what came of a session: in one row, with the differences as its
// failures, and notes where in the capture they were found. Requests that were
// not sent are in none of it. It is called once, at the end.
func (s *Session) Result(stats port.Stats) (result.Row, []string) {
	var alike, silentAlike, unanswered uint64
	for i, r := range s.Requests {
		for k := range s.Copies {
			st := &s.states[s.state(i, k)]
			if st.sent == 0 {
				continue
			}
			switch {
			case int(st.answers) >= len(r.Want):
			case st.answers == 0:
				unanswered++
				s.differ(r, st, "no answer")
			default:
				s.differ(r, st, "answered less often than in the capture")
			}
			if !st.differs {
				alike++
				if len(r.Want) == 0 {
					silentAlike++
				}
			}
		}
	}
	row := result.Row{Name: "replay"}
	row.Add("sent", result.Count, float64(s.count.sent))
	row.Add("alike", result.Share, share(alike, s.count.sent))
	row.Add("answered", result.Count, float64(s.count.answered))
	row.Add("silent alike", result.Count, float64(silentAlike))
	row.Add("different", result.Count, float64(s.count.sent-alike))
	row.Add("unanswered", result.Count, float64(unanswered))
	row.Add("late", result.Count, float64(s.count.late))
	row.Add("rate", result.PerSecond, s.rate())
	s.latency.AddTo(&row, "")
	row.Curves = append(row.Curves, s.latency.Curve("answer"))
	for reason, n := range s.reasons {
		row.Fail(reason, n)
	}
	row.Limit = s.limit(stats)
	return row, s.text()
}

func share(n, of uint64) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

func (s *Session) rate() float64 {
	if s.last <= 0 {
		return 0
	}
	return float64(s.count.sent) / s.last.Seconds()
}

// punctual is how late a request may leave for the timing to count as kept.
const punctual = 20 * time.Millisecond

// limit says whether the generator kept the capture's timing and saw all answers.
func (s *Session) limit(stats port.Stats) *result.Limit {
	switch {
	case stats.Dropped > 0:
		return &result.Limit{By: result.ByGenerator, Why: fmt.Sprintf("it lost %d received frames", stats.Dropped)}
	case stats.SendErrors > 0:
		return &result.Limit{By: result.ByGenerator, Why: fmt.Sprintf("%d frames could not be sent", stats.SendErrors)}
	case s.count.behind > punctual:
		return &result.Limit{By: result.ByGenerator, Why: fmt.Sprintf("it was up to %v behind the time", s.count.behind.Round(time.Millisecond))}
	}
	return &result.Limit{By: result.ByRequest, Why: "all requests left in time"}
}

// text is what there is to say beside the figures.
func (s *Session) text() (notes []string) {
	for _, n := range s.notes {
		var places []string
		for _, i := range n.requests {
			r := s.Requests[i]
			places = append(places, fmt.Sprintf("%d (%s to port %d)", r.Frame, r.Type, r.Meta.Dst.Port()))
		}
		if n.more {
			places = append(places, "…")
		}
		notes = append(notes, fmt.Sprintf("%s: frames %s", n.reason, strings.Join(places, ", ")))
	}
	for _, why := range s.Reasons() {
		notes = append(notes, "left out: "+why)
	}
	if s.count.others > 0 {
		notes = append(notes, fmt.Sprintf("%d answers of other servers were not looked at", s.count.others))
	}
	if s.count.strays > 0 {
		notes = append(notes, fmt.Sprintf("%d answers came before their request", s.count.strays))
	}
	if !s.Captured.IsValid() {
		notes = append(notes, "no boot server answers in the capture: silence is what is expected")
	}
	return notes
}
