package keeper

import (
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// held is a descriptor in the store.
type held struct {
	name     string
	file     *os.File
	dev, ino uint64
}

// store keeps descriptors, the oldest first.
type store struct {
	max  int
	held []held
}

// add takes f over. It reports false when the store is full; something that is
// there already is not kept twice.
func (s *store) add(name string, f *os.File) bool {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		f.Close()
		return false
	}
	if slices.ContainsFunc(s.held, func(h held) bool { return h.name == name && h.dev == st.Dev && h.ino == st.Ino }) {
		f.Close()
		return true
	}
	if len(s.held) >= s.max {
		f.Close()
		return false
	}
	s.held = append(s.held, held{name, f, st.Dev, st.Ino})
	return true
}

// remove closes everything of a name.
func (s *store) remove(name string) {
	s.held = slices.DeleteFunc(s.held, func(h held) bool {
		if h.name == name {
			h.file.Close()
		}
		return h.name == name
	})
}

// files returns the descriptors for the next process and their names as LISTEN_FDNAMES has them.
func (s *store) files() (files []*os.File, names string) {
	all := make([]string, len(s.held))
	for i, h := range s.held {
		files = append(files, h.file)
		all[i] = h.name
	}
	return files, strings.Join(all, ":")
}

func (s *store) close() {
	for _, h := range s.held {
		h.file.Close()
	}
	s.held = nil
}
