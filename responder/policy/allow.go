package policy

import (
	"path"
	"strings"
)

// Allows reports whether the clients of a profile may fetch a file: their boot
// files, what the profile allows besides, and what sends them to their disks.
// The name is a path below the root, in any case and with either slash, as files
// are found.
func (s *Snapshot) Allows(profile, name string) bool {
	name = foldPath(name)
	for _, f := range s.files {
		if (f.Profile == profile || f.Profile == "") && !IsURL(f.File) && foldPath(f.File) == name {
			return true
		}
	}
	p := s.profiles[profile]
	return name == ExitScript || p != nil && anyMatches(p.allow, []byte(name))
}

func foldPath(name string) string {
	return strings.ToLower(path.Clean("/" + strings.ReplaceAll(name, `\`, "/"))[1:])
}
