package arrival

import (
	"math"
	"slices"
	"testing"
	"time"
)

func TestPattern(t *testing.T) {
	for _, text := range []string{"at-once", "ramp:30s", "poisson:100"} {
		a, err := Parse(text)
		if err != nil || a.String() != text {
			t.Errorf("%q: %v, %v", text, a, err)
		}
	}
	for _, bad := range []string{"", "ramp", "ramp:-1s", "poisson:0", "poisson:fast", "at-once:1", "later"} {
		if a, err := Parse(bad); err == nil {
			t.Errorf("%q was read as %v", bad, a)
		}
	}
	if got := (Pattern{Ramp: 10 * time.Second}).Times(5, 1); got[0] != 0 || got[4] != 8*time.Second {
		t.Errorf("ramp: %v", got)
	}
	got := Pattern{Rate: 100}.Times(10000, 1)
	if !slices.IsSorted(got) || got[9999] < 90*time.Second || got[9999] > 110*time.Second {
		t.Errorf("10000 machines at 100/s: the last after %v", got[9999])
	}
	if again := (Pattern{Rate: 100}).Times(10000, 1); !slices.Equal(got, again) {
		t.Error("the same seed gives other times")
	}
	short := 0 // gaps below the mean: 1-1/e of them
	for i := range got[1:] {
		if got[i+1]-got[i] < 10*time.Millisecond {
			short++
		}
	}
	if share := float64(short) / 10000; math.Abs(share-0.632) > 0.02 {
		t.Errorf("%g of the gaps are short", share)
	}
}
