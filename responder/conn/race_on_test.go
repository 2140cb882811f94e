//go:build race

package conn

// raceEnabled: the race detector allocates on its own, so that allocations cannot be counted.
const raceEnabled = true
