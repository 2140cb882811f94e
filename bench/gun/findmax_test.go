package gun

import (
	"context"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/result"
)

// simulated is a server that answers all up to a rate and from there on only as
// many as that, and a gun that sends no more than some rate.
func simulated(can, sends float64) func(context.Context, Schedule) (*Outcome, error) {
	return func(_ context.Context, s Schedule) (*Outcome, error) {
		sent := min(s.To, sends) * s.For.Seconds()
		answered := min(sent, can*s.For.Seconds())
		return &Outcome{Schedule: s, Sending: s.For, Sent: uint64(sent), Answered: uint64(answered), Lost: uint64(sent) - uint64(answered)}, nil
	}
}

func TestFindMax(t *testing.T) {
	for _, c := range []struct {
		name             string
		can, sends, most float64
		lowest, highest  float64
		by               string
	}{
		// 2.5 % may stay unanswered: the rate is up to 1/0.975 of what the server can.
		{"server", 37_000, 1e9, 300_000, 37_000 / 1.03, 37_000 / 0.975, result.ByServer},
		{"slow server", 300, 1e9, 300_000, 300 / 1.03, 300 / 0.97, result.ByServer},
		{"generator", 1e9, 50_000, 300_000, 50_000 / 1.03, 50_000 / keptUp, result.ByGenerator},
		{"bound", 1e9, 1e9, 300_000, 300_000, 300_000, result.ByRequest},
		{"below the first rate", 1e9, 1e9, 700, 700, 700, result.ByRequest},
	} {
		f, err := FindMax(t.Context(), Search{Most: c.most, For: time.Second}, simulated(c.can, c.sends))
		if err != nil {
			t.Fatal(err)
		}
		if f.Rate < c.lowest || f.Rate > c.highest || f.Limit.By != c.by || f.Best == nil {
			t.Errorf("%s: %.0f/s, limit %+v; want %.0f to %.0f by the %s", c.name, f.Rate, f.Limit, c.lowest, c.highest, c.by)
		}
	}
}

// A dead server ends the search, and is no rate.
func TestFindMaxOfNothing(t *testing.T) {
	f, err := FindMax(t.Context(), Search{Most: 300_000, For: time.Second}, simulated(0, 1e9))
	if err != nil || f.Rate != 0 || f.Best != nil || f.Limit.By != result.ByServer {
		t.Errorf("%+v, %v", f, err)
	}
	if _, ok := func() (result.Figure, bool) { r := f.Row("x"); return r.Figure("highest rate") }(); !ok {
		t.Error("no figure")
	}
}

// One hiccup does not lower the rate; a rate that does not hold is not found.
func TestFindMaxHiccup(t *testing.T) {
	server, hiccups := simulated(40_000, 1e9), 0
	f, err := FindMax(t.Context(), Search{Most: 300_000, For: time.Second}, func(ctx context.Context, s Schedule) (*Outcome, error) {
		o, err := server(ctx, s)
		if s.To == 16_000 && hiccups == 0 {
			hiccups++
			o.Answered, o.Lost = o.Sent*9/10, o.Sent-o.Sent*9/10
		}
		return o, err
	})
	if err != nil || f.Rate < 40_000/1.03 || hiccups != 1 {
		t.Errorf("%.0f/s, %v", f.Rate, err)
	}

	tries := map[float64]int{}
	f, err = FindMax(t.Context(), Search{Most: 1000, For: time.Second}, func(ctx context.Context, s Schedule) (*Outcome, error) {
		o, err := server(ctx, s)
		if tries[s.To]++; s.To > 900 && tries[s.To] > 1 {
			o.Answered, o.Lost = o.Sent/2, o.Sent/2
		}
		return o, err
	})
	if err != nil || f.Rate > 900 || f.Rate < 800 || f.Limit.By != result.ByServer {
		t.Errorf("%.0f/s, %+v, %v", f.Rate, f.Limit, err)
	}
}
