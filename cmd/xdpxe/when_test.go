package main

import (
	"strings"
	"testing"
	"time"
)

func TestParseWhen(t *testing.T) {
	zone := time.FixedZone("office", 2*3600)
	now := time.Date(2026, 3, 1, 22, 15, 0, 0, zone)
	for text, want := range map[string]string{
		"+2h":                       "2026-03-02T00:15:00+02:00",
		"+90s":                      "2026-03-01T22:16:30+02:00",
		"+1d":                       "2026-03-02T22:15:00+02:00",
		"+1d12h":                    "2026-03-03T10:15:00+02:00",
		"22:30":                     "2026-03-01T22:30:00+02:00",
		"22:15":                     "2026-03-02T22:15:00+02:00", // not now, the next one
		"08:00":                     "2026-03-02T08:00:00+02:00",
		"2026-04-01":                "2026-04-01T00:00:00+02:00",
		"2026-04-01 07:30":          "2026-04-01T07:30:00+02:00",
		"2026-04-01T07:30":          "2026-04-01T07:30:00+02:00",
		"2026-04-01 07:30:10":       "2026-04-01T07:30:10+02:00",
		"2026-04-01T07:30:00Z":      "2026-04-01T07:30:00Z",
		"2026-04-01T07:30:00-05:00": "2026-04-01T07:30:00-05:00",
	} {
		if got, err := parseWhen(text, now); err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%s: %s, %v, want %s", text, got.Format(time.RFC3339), err, want)
		}
	}
	for _, text := range []string{"", "now", "+", "+2", "+-2h", "+d", "+99999999d", "+1d-2h", "-2h", "25:00", "2026-13-01", "2026-02-30"} {
		if got, err := parseWhen(text, now); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// What strangers send does not reach the terminal as it is, and the columns stay.
func TestWriteTable(t *testing.T) {
	var out strings.Builder
	err := writeTable(&out, " ", [][]string{{"A", "B", "C"}, {"über", "", "x"}, {"\x1b[2J\n", "b"}, {"\xff", "long one", ""}})
	want := " A          B         C\n über                 x\n \\x1b[2J\\n  b\n \\xff       long one\n"
	if err != nil || out.String() != want {
		t.Errorf("%v\n%q, want\n%q", err, out.String(), want)
	}
}
