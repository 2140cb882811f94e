package bootfile

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/xdpxe/xdpxe/responder/content"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// maxWalked bounds the directory entries that Check looks at.
const maxWalked = 200_000

// Check parses the templates below a root that are some profile's boot files,
// or allowed to its clients, and returns what is wrong with each: a script.Error,
// or why it cannot be read.
func Check(root *content.Root, p *policy.Snapshot) (problems []error) {
	paths := map[string]bool{} // as Lookup finds them
	look := func(name string) {
		f, err := root.Lookup(name)
		switch {
		case errors.Is(err, content.ErrNotFound), errors.Is(err, content.ErrIsDir):
			return
		case err != nil:
			problems = append(problems, err)
			return
		}
		defer f.Release()
		if paths[f.Path()] {
			return
		}
		paths[f.Path()] = true
		if _, err := Parse(Template(root, f.Path()), f); err != nil {
			problems = append(problems, err)
		}
	}
	for _, f := range p.Files() {
		if !policy.IsURL(f.File) {
			look(f.File + TemplateSuffix)
		}
	}
	allowed, err := allowedTemplates(root, p)
	if err != nil {
		problems = append(problems, err)
	}
	for _, name := range allowed {
		look(name)
	}
	return problems
}

// allowedTemplates returns the templates that the clients of some profile may fetch.
func allowedTemplates(root *content.Root, p *policy.Snapshot) ([]string, error) {
	dir, err := os.OpenRoot(root.Path())
	if err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	defer dir.Close()
	found, walked := map[string]bool{}, 0
	err = fs.WalkDir(dir.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		if walked++; walked > maxWalked {
			return fs.SkipAll
		}
		if err != nil {
			return nil //nolint:nilerr // what cannot be read is not served either
		}
		if name, ok := cutTemplate(path); ok && slices.ContainsFunc(p.ProfileNames(), func(profile string) bool { return p.Allows(profile, name) }) {
			found[path] = true
		}
		return nil
	})
	return slices.Sorted(maps.Keys(found)), err
}

// HasTemplates reports whether there is a template below a root.
func HasTemplates(root *content.Root) bool {
	dir, err := os.OpenRoot(root.Path())
	if err != nil {
		return false
	}
	defer dir.Close()
	found, walked := false, 0
	_ = fs.WalkDir(dir.FS(), ".", func(path string, e fs.DirEntry, err error) error {
		if walked++; found || walked > maxWalked {
			return fs.SkipAll
		}
		if err == nil && !e.IsDir() {
			_, found = cutTemplate(path)
		}
		return nil
	})
	return found
}

// cutTemplate returns the name that a template is served under.
func cutTemplate(path string) (name string, ok bool) {
	n := len(path) - len(TemplateSuffix)
	if n <= 0 || !strings.EqualFold(path[n:], TemplateSuffix) {
		return "", false
	}
	return path[:n], true
}
