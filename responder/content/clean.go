package content

import (
	"fmt"
	"strings"
)

// Clean turns a name from the wire into a path below a root, by the rules that
// Lookup has. It says nothing about whether there is such a file.
func Clean(name string) (string, error) {
	parts, err := split(name)
	if err != nil {
		return "", err
	}
	if len(parts) == 0 {
		return "", fmt.Errorf("%q: %w", name, ErrIsDir)
	}
	return strings.Join(parts, "/"), nil
}
