// Package build says what a program was built from.
package build

import "runtime/debug"

// Version returns what the Go tool knew of the sources: a tag, or commit time
// and id, with +dirty if they differ from the commit.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
