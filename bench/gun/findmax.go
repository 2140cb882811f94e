package gun

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/xdpxe/xdpxe/bench/result"
)

// Search says how the highest rate is looked for.
type Search struct {
	From float64       // the first rate that is tried; 0: 1000/s
	Most float64       // none above is tried
	For  time.Duration // each trial
}

const (
	searchFrom      = 1000
	searchPrecision = 1.03 // good and bad rates this close together end the search
	confirmations   = 2    // times that the rate must hold once more
	confirmTries    = 8    // rates that are tried for that
	secondLook      = 0.8  // a rate at which less was answered is not tried a second time,
	behindLooks     = 2    // one that the gun did not keep is, so many times
)

// Found is what a search came to.
type Found struct {
	Rate   float64  // the highest at which enough requests were answered, offered
	Best   *Outcome // of the last confirmation; nil if no rate was low enough
	Limit  result.Limit
	Trials []Trial
}

// Trial is one rate that was tried.
type Trial struct {
	Rate, Share float64
	Good        bool
}

// FindMax looks for the highest rate at which at least Enough of the requests
// are answered in time: it doubles the rate until that fails, halves the interval
// (in ratios) between what held and what did not down to 3 %, and then wants the
// rate to hold twice more, and else goes down. try runs one trial.
func FindMax(ctx context.Context, s Search, try func(context.Context, Schedule) (*Outcome, error)) (*Found, error) {
	h := &hunt{ctx: ctx, s: s, try: try, found: new(Found), bad: math.Inf(1)}
	if h.s.From == 0 {
		h.s.From = searchFrom
	}
	h.s.From = min(h.s.From, s.Most)
	if err := h.bracket(); err != nil {
		return h.found, err
	}
	for h.good > 0 && h.bad/h.good > searchPrecision {
		if _, err := h.test(math.Sqrt(h.good * h.bad)); err != nil {
			return h.found, err
		}
	}
	if err := h.confirm(); err != nil {
		return h.found, err
	}
	h.found.Limit = h.limit()
	return h.found, nil
}

// hunt is a search under way.
type hunt struct {
	ctx       context.Context
	s         Search
	try       func(context.Context, Schedule) (*Outcome, error)
	found     *Found
	good, bad float64
	worst     *Outcome // at the lowest bad rate
}

// test tries a rate and moves good or bad there. A trial in which the gun fell
// behind says little of the server, and one that just failed may be a hiccup of
// the machine: both are repeated.
func (h *hunt) test(rate float64) (bool, error) {
	ok, o, err := h.once(rate)
	for again := 0; err == nil && !ok && (again == 0 && o.Share() >= secondLook || again < behindLooks && o.Behind()); again++ {
		ok, o, err = h.once(rate)
	}
	if err != nil {
		return false, err
	}
	if ok {
		h.good = max(h.good, rate)
	} else if rate < h.bad {
		h.bad, h.worst = rate, o
	}
	return ok, nil
}

func (h *hunt) once(rate float64) (bool, *Outcome, error) {
	o, err := h.try(h.ctx, Fixed(rate, h.s.For))
	if err != nil {
		return false, nil, fmt.Errorf("at %.0f/s: %w", rate, err)
	}
	ok := o.Share() >= Enough && !o.Behind()
	h.found.Trials = append(h.found.Trials, Trial{rate, o.Share(), ok})
	if ok {
		h.found.Best = o
	}
	return ok, o, nil
}

// bracket finds a good rate and a bad one that is at most twice as high.
func (h *hunt) bracket() error {
	for rate := h.s.From; ; rate = min(2*rate, h.s.Most) {
		ok, err := h.test(rate)
		if err != nil {
			return err
		}
		if ok && rate >= h.s.Most {
			h.bad = rate // none above is tried
			return nil
		}
		if !ok {
			break
		}
	}
	for rate := h.bad / 2; h.good == 0 && rate >= 1; rate /= 2 {
		if _, err := h.test(rate); err != nil {
			return err
		}
	}
	return nil
}

// confirm wants the good rate to hold again, and goes down until one does: by
// 3 %, then by 6, 12 and so on.
func (h *hunt) confirm() error {
	step := searchPrecision
	for range confirmTries {
		held := 0
		for h.good > 0 && held < confirmations {
			ok, o, err := h.once(h.good)
			if err != nil {
				return err
			}
			if !ok {
				h.bad, h.worst = h.good, o
				break
			}
			held++
		}
		if held == confirmations {
			h.found.Rate = h.good
			return nil
		}
		h.good /= step
		step *= step
	}
	h.found.Best = nil
	return nil
}

// limit says what kept the rate from being higher.
func (h *hunt) limit() result.Limit {
	if h.worst == nil {
		return result.Limit{By: result.ByRequest, Why: fmt.Sprintf("%.0f/s held, the highest rate that was tried", h.s.Most)}
	}
	l := *h.worst.Limit()
	l.Why = fmt.Sprintf("at %.0f/s: %s", h.bad, l.Why)
	return l
}

// Row makes a result's row: the last outcome at the rate that was found, headed by the rate.
func (f *Found) Row(name string) result.Row {
	r := result.Row{Name: name}
	if f.Best != nil {
		r = f.Best.Row(name)
	}
	head := result.Row{}
	head.Add("highest rate", result.PerSecond, f.Rate)
	head.Add("trials", result.Count, float64(len(f.Trials)))
	r.Figures = append(head.Figures, r.Figures...)
	r.Limit = &f.Limit
	return r
}
