package storm

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

//go:embed profiles/*.yaml
var embedded embed.FS

// Profiles are those of a run, by name.
type Profiles map[string]*Profile

// Names are sorted.
func (p Profiles) Names() []string { return slices.Sorted(maps.Keys(p)) }

// LoadProfiles reads the built-in profiles and then those of a directory, if it
// is not "": files of the same name replace built-in ones.
func LoadProfiles(dir string) (Profiles, error) {
	all := make(Profiles)
	builtin, err := fs.Sub(embedded, "profiles")
	if err != nil {
		return nil, err
	}
	if err := all.read(builtin, "profiles"); err != nil {
		return nil, err
	}
	if dir != "" {
		if err := all.read(os.DirFS(dir), dir); err != nil {
			return nil, err
		}
	}
	return all, all.complete()
}

func (p Profiles) read(dir fs.FS, name string) error {
	files, err := fs.Glob(dir, "*.yaml")
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("profiles: no *.yaml in %s", name)
	}
	for _, file := range files {
		text, err := fs.ReadFile(dir, file)
		if err != nil {
			return fmt.Errorf("profiles: %w", err)
		}
		one, err := parseProfile(filepath.Join(name, file), text)
		if err != nil {
			return err
		}
		p[one.Name] = one
	}
	return nil
}

// complete fills in what profiles take from others, and lays out their messages.
func (p Profiles) complete() error {
	for _, name := range p.Names() {
		one := p[name]
		if one.Like != "" {
			base := p[one.Like]
			if base == nil || base.Like != "" {
				e := one.likeAt
				e.Msg = fmt.Sprintf("like: %s is no profile, or is like another itself (profiles: %s)", one.Like, strings.Join(p.Names(), ", "))
				return &e
			}
			one.inherit(base)
		}
	}
	for _, name := range p.Names() {
		if err := p[name].finish(); err != nil {
			return err
		}
	}
	return nil
}

// ProfileError is a mistake in a profile and its place, from 1.
type ProfileError struct {
	File      string
	Line, Col int
	Msg       string
}

func (e *ProfileError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Col, e.Msg)
}

// parseProfile reads one file strictly: unknown keys, keys twice and bad values
// are *ProfileError.
func parseProfile(file string, text []byte) (*Profile, error) {
	base := path.Base(filepath.ToSlash(file))
	p := &Profile{Name: strings.TrimSuffix(base, path.Ext(base))}
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, decodeError(file, nil, err)
	}
	if err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(p); err != nil && !errors.Is(err, io.EOF) {
		return nil, decodeError(file, tree, err)
	}
	if where, msg := p.check(); msg != "" {
		line, col := placeOf(tree, where)
		return nil, &ProfileError{File: file, Line: line, Col: col, Msg: strings.TrimPrefix(where, "$.") + ": " + msg}
	}
	p.likeAt.File = file
	p.likeAt.Line, p.likeAt.Col = placeOf(tree, "$.like")
	return p, nil
}

// decodeError gives an error of the YAML package its place. Those of single
// values, as of time.ParseDuration, come without one, but quote the value.
func decodeError(file string, tree *ast.File, err error) *ProfileError {
	e := &ProfileError{File: file, Line: 1, Col: 1, Msg: err.Error()}
	var at yaml.Error
	if errors.As(err, &at) {
		e.Line, e.Col = position(at.GetToken())
		e.Msg = at.GetMessage()
		return e
	}
	if tree != nil {
		for _, doc := range tree.Docs {
			ast.Walk(&quoted{e}, doc.Body)
		}
	}
	return e
}

// quoted looks for the first value that an error quotes.
type quoted struct{ err *ProfileError }

func (q *quoted) Visit(n ast.Node) ast.Visitor {
	if s, ok := n.(ast.ScalarNode); ok && q.err.Line == 1 && q.err.Col == 1 && strings.Contains(q.err.Msg, strconv.Quote(s.GetToken().Value)) {
		q.err.Line, q.err.Col = position(s.GetToken())
	}
	return q
}

func position(t *token.Token) (line, col int) {
	if t == nil || t.Position == nil {
		return 1, 1
	}
	return max(1, t.Position.Line), max(1, t.Position.Column)
}

// placeOf finds a value by its YAML path or, if it is not written, what it would be in.
func placeOf(tree *ast.File, where string) (line, col int) {
	for where != "$" {
		if p, err := yaml.PathString(where); err == nil {
			if n, err := p.FilterFile(tree); err == nil {
				return position(n.GetToken())
			}
		}
		i := strings.LastIndexAny(where, ".[")
		if i < 0 {
			break
		}
		where = where[:i]
	}
	return 1, 1
}
