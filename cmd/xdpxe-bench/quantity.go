package main

import (
	"fmt"
	"strconv"
	"strings"
)

// prefixes of bytes and bytes a second, the longer ones first.
var prefixes = []struct {
	name   string
	factor float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}}

// parseQuantity reads "4MiB", "1.5MB/s", "512".
func parseQuantity(text string) (float64, error) {
	number, factor := strings.TrimSuffix(text, "/s"), 1.0
	for _, p := range prefixes {
		if n, ok := strings.CutSuffix(number, p.name); ok {
			number, factor = strings.TrimSpace(n), p.factor
			break
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v >= 0 && v <= 1e18) {
		return 0, fmt.Errorf("%q: want a number with a unit, like 4MiB or 1MB/s", text)
	}
	return v * factor, nil
}

// parseShare reads "1%" or "0.01".
func parseShare(text string) (float64, error) {
	number, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(number, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 1) {
		return 0, fmt.Errorf("%q: want a share, like 1%% or 0.01", text)
	}
	return v, nil
}

func parseCount(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	return int(n), err
}

// pair reads VALUE[,VALUE]; one is for both. Without a second place there is one
// value only. Empty text leaves things as they are.
func pair[T any](flag, text string, parse func(string) (T, error), first, second *T) error {
	if text == "" {
		return nil
	}
	a, b, two := strings.Cut(text, ",")
	if two && second == nil {
		return fmt.Errorf("--%s %q: want one value", flag, text)
	}
	v, err := parse(a)
	if err != nil {
		return fmt.Errorf("--%s: %w", flag, err)
	}
	*first = v
	if second == nil {
		return nil
	}
	if two {
		if v, err = parse(b); err != nil {
			return fmt.Errorf("--%s: %w", flag, err)
		}
	}
	*second = v
	return nil
}
