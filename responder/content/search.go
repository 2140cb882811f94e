package content

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
)

// search looks for a path in any letter case, within a budget.
type search struct {
	root     *os.Root
	listings *listings
	left     int // directory entries that may still be read
}

// find returns the path below dir whose components equal parts but for case.
func (s *search) find(dir string, parts []string) (string, bool) {
	for _, name := range s.spellings(dir, parts[0]) {
		path := name
		if dir != "." {
			path = dir + "/" + name
		}
		if len(parts) == 1 {
			return path, true
		}
		if found, ok := s.find(path, parts[1:]); ok {
			return found, true
		}
	}
	return "", false
}

// spellings returns the entries of dir that equal name but for case, the exact
// one first, the others in byte order.
func (s *search) spellings(dir, name string) []string {
	found := s.look(dir, name)
	slices.SortFunc(found, func(a, b string) int {
		switch {
		case a == b:
			return 0
		case a == name:
			return -1
		case b == name:
			return 1
		}
		return strings.Compare(a, b)
	})
	return found[:min(len(found), maxCandidates)]
}

// look returns the entries of dir that equal name but for case, from the
// listings if they know the directory, otherwise by reading it.
func (s *search) look(dir, name string) []string {
	info, err := s.root.Stat(dir)
	if err != nil || !info.IsDir() {
		return nil
	}
	if state, ok := stateOf(info); ok {
		if found, ok := s.listings.find(state, name); ok {
			return found
		}
	}
	// O_NONBLOCK: it may have become a FIFO meanwhile.
	d, err := s.root.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer d.Close()
	if info, err = d.Stat(); err != nil {
		return nil
	}
	var remembered *listing
	if state, ok := stateOf(info); ok {
		remembered = s.listings.begin(d, state)
	}
	entries, whole := s.read(d)
	found := matching(entries, name)
	if remembered != nil {
		s.listings.end(remembered, entries, whole)
	}
	return found
}

// read returns a directory's entries, as many as may still be read, and whether that was all.
func (s *search) read(d *os.File) (entries []string, whole bool) {
	for s.left > 0 {
		names, err := d.Readdirnames(min(256, s.left))
		s.left -= len(names)
		entries = append(entries, names...)
		if err != nil {
			return entries, errors.Is(err, io.EOF)
		}
	}
	return entries, false
}

func matching(entries []string, name string) []string {
	var found []string
	for _, e := range entries {
		if strings.EqualFold(e, name) {
			found = append(found, e)
		}
	}
	return found
}
