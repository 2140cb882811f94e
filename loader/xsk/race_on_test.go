//go:build race

package xsk_test

// raceEnabled: the race detector allocates on its own, so that allocations cannot be counted.
const raceEnabled = true
