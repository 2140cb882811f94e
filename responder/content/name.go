package content

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds of a name. A TFTP request has 512 bytes in all (RFC 2347), a path
// component 255 on every Linux file system.
const (
	maxName       = 512
	maxComponent  = 255
	maxComponents = 32
)

// split turns a name from the wire into path components below the root:
// backslashes are slashes, empty components and "." vanish, and what old ROMs
// append is cut off. The result is empty for the root itself.
func split(name string) ([]string, error) {
	name = trimRubbish(name)
	if name == "" {
		return nil, fmt.Errorf("empty name: %w", ErrBadName)
	}
	if len(name) > maxName {
		return nil, fmt.Errorf("name of %d bytes: %w", len(name), ErrBadName)
	}
	for i := range len(name) {
		if name[i] < ' ' || name[i] == 0x7f {
			return nil, fmt.Errorf("control character in name %q: %w", name, ErrBadName)
		}
	}
	var parts []string
	for part := range strings.SplitSeq(strings.ReplaceAll(name, `\`, "/"), "/") {
		switch {
		case part == "" || part == ".":
			continue
		case part == "..":
			return nil, fmt.Errorf("%q leads upwards: %w", name, ErrOutside)
		case len(part) > maxComponent:
			return nil, fmt.Errorf("%q has a component of %d bytes: %w", name, len(part), ErrBadName)
		case len(parts) == maxComponents:
			return nil, fmt.Errorf("%q is more than %d directories deep: %w", name, maxComponents, ErrBadName)
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// trimRubbish cuts control characters and bytes that end no UTF-8 character off
// the end of a name: some ROMs send the byte 0xFF of DHCP's end option along.
func trimRubbish(name string) string {
	for name != "" {
		r, size := utf8.DecodeLastRuneInString(name)
		if r >= ' ' && r != 0x7f && (r != utf8.RuneError || size > 1) {
			break
		}
		name = name[:len(name)-size]
	}
	return name
}
