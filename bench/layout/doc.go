// Package layout has no code: its tests hold the repository to its own rules,
// which package may import which, and how long a file may get.
package layout
