package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// clock says what time it is, and by its location where the operator is.
type clock func() time.Time

// stamp is how points of time are shown, and how whenLayouts begin.
const stamp = "2006-01-02 15:04:05"

// whenLayouts are the points of time that operators write, beside RFC 3339's.
var whenLayouts = []string{stamp, "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"}

// parseWhen reads a point of time: "+2h" or "+1d12h" from now, a time of day
// (the next one), or a date with or without its time.
func parseWhen(text string, now time.Time) (time.Time, error) {
	if after, ok := strings.CutPrefix(text, "+"); ok {
		d, err := parseSpan(after)
		if err != nil {
			return time.Time{}, err
		}
		return now.Add(d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range whenLayouts {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return t, nil
		}
	}
	if t, err := time.Parse("15:04", text); err == nil {
		y, m, d := now.Date()
		at := time.Date(y, m, d, t.Hour(), t.Minute(), 0, 0, now.Location())
		if !at.After(now) {
			at = time.Date(y, m, d+1, t.Hour(), t.Minute(), 0, 0, now.Location())
		}
		return at, nil
	}
	return time.Time{}, fmt.Errorf("%q is no time: +2h, 22:30, \"2026-01-31 22:30\", or 2026-01-31T22:30:00Z", text)
}

// parseSpan reads a duration that may begin with days.
func parseSpan(text string) (time.Duration, error) {
	var sum time.Duration
	rest := text
	if days, behind, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16) // bounded, so that no sum overflows
		if err != nil {
			return 0, fmt.Errorf("%q is no duration: 30m, 2h, 1d12h", text)
		}
		if sum, rest = time.Duration(n)*24*time.Hour, behind; rest == "" {
			return sum, nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no duration: 30m, 2h, 1d12h", text)
	}
	return sum + d, nil
}

// ago is a time as seen from now: past or to come.
func ago(now, t time.Time) string {
	switch {
	case t.IsZero():
		return "never"
	case t.After(now):
		return "in " + duration(t.Sub(now))
	}
	return duration(now.Sub(t)) + " ago"
}

// at is a point of time where the operator is.
func at(now, t time.Time) string { return t.In(now.Location()).Format(stamp) }

// atAgo is both.
func atAgo(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return at(now, t) + ", " + ago(now, t)
}
