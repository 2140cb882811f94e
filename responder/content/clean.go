package content

import (
	"fmt"
	"strings"
)

// Classify maps what the system says of a path below an os.Root to one of the
// package's errors where it is about the name, and keeps it where it is about the machine.
func Classify(err error) error { return classify(err) }

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

// Fold maps all spellings of a name that Lookup takes for one to the same.
func Fold(name string) string { return foldName(name) }
