package peers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// Recipe says how one server is run.
type Recipe struct {
	Name  string `yaml:"name"` // also in bounds, as in "xdpxe/NAME: goodput >= 8"
	Kinds []Kind `yaml:"kinds"`
	// Variants are ways to run it that are compared like servers of their own.
	Variants map[Kind][]string `yaml:"variants"`
	// Command is the program and its arguments; those that are empty once the
	// variables are in are left out. A program without a slash is looked for in
	// PATH, then in Search, then where such programs usually are (SearchDirs).
	Command []Text          `yaml:"command"`
	Search  []string        `yaml:"search"`
	Env     map[string]Text `yaml:"env"`
	Files   map[string]Text `yaml:"files"` // written to .Dir before the start
	// About says how it is set up, where its command does not: it goes into results.
	About   Text            `yaml:"about"`
	Ready   Ready           `yaml:"ready"`
	Version VersionQuestion `yaml:"version"`
}

// Ready says when the server may be loaded: all of it must be so.
type Ready struct {
	Log string   `yaml:"log"` // it has written this
	UDP []uint16 `yaml:"udp"` // these ports are bound
}

// VersionQuestion is how a program is asked for its version.
type VersionQuestion struct {
	Args    []string `yaml:"args"`    // default: --version
	Pattern pattern  `yaml:"pattern"` // its first group is the version; default: the first line
}

// pattern is a regular expression; nil is none.
type pattern struct{ *regexp.Regexp }

// UnmarshalYAML compiles the expression.
func (p *pattern) UnmarshalYAML(n ast.Node) (err error) {
	text, ok := scalar(n)
	if !ok {
		return mistake(n.GetToken(), "must be a regular expression")
	}
	if p.Regexp, err = regexp.Compile(text); err != nil {
		return mistake(n.GetToken(), "%v", err)
	}
	if p.NumSubexp() < 1 {
		return mistake(n.GetToken(), "needs a group around the version, as in %q", `version (\S+)`)
	}
	return nil
}

// UnmarshalYAML reads one of the kinds.
func (k *Kind) UnmarshalYAML(n ast.Node) error {
	text, _ := scalar(n)
	*k = Kind(text)
	if *k != DHCP && *k != TFTP && *k != Bounce {
		return mistake(n.GetToken(), "unknown kind %q: dhcp, tftp or bounce", text)
	}
	return nil
}

// UnmarshalYAML reads a recipe and tries all its texts.
func (r *Recipe) UnmarshalYAML(n ast.Node) error {
	type plain Recipe
	if err := yaml.NodeToValue(n, (*plain)(r), yaml.Strict()); err != nil {
		return err
	}
	at := n.GetToken()
	switch {
	case r.Name == "":
		return mistake(at, "a recipe without a name")
	case strings.ContainsAny(r.Name, "/:|\n"):
		return mistake(at, "name %q: no slash, colon or bar: bounds and tables have a meaning for them", r.Name)
	case len(r.Kinds) == 0:
		return mistake(at, "%s: kinds is missing: [dhcp], [tftp] or both", r.Name)
	case len(r.Command) == 0:
		return mistake(at, "%s: command is missing", r.Name)
	case r.Ready.Log == "" && len(r.Ready.UDP) == 0:
		return mistake(at, "%s: ready is missing: a log line or a UDP port", r.Name)
	}
	for name := range r.Files {
		if filepath.Base(name) != name || name == "." || name == ".." {
			return mistake(at, "%s: files: %q is not the name of a file", r.Name, name)
		}
	}
	return r.try()
}

// try fills in all texts as if to start the server, so that a mistake is found
// where it stands and not in the middle of a comparison.
func (r *Recipe) try() error {
	for _, kind := range r.Kinds {
		for _, variant := range r.variants(kind) {
			v := Vars{Kind: kind, Variant: variant, Interface: "eth0", Address: netip.MustParseAddr("192.0.2.1"),
				Network: netip.MustParseAddr("192.0.2.0"), Netmask: netip.MustParseAddr("255.255.255.0"), Port: 69}
			if _, err := r.fill(v); err != nil {
				return err
			}
		}
	}
	return nil
}

// variants are those of the recipe, or the one without a name.
func (r *Recipe) variants(k Kind) []string {
	if len(r.Variants[k]) == 0 {
		return []string{""}
	}
	return r.Variants[k]
}

// Serves says whether the recipe is for a kind.
func (r *Recipe) Serves(k Kind) bool { return slices.Contains(r.Kinds, k) }

// filled is a recipe with its variables in.
type filled struct {
	command []string
	env     []string
	files   map[string]string
	about   string
}

func (r *Recipe) fill(v Vars) (f filled, err error) {
	for i, t := range r.Command {
		text, err := t.Fill(v)
		if err != nil {
			return f, err
		}
		if i == 0 || text != "" {
			f.command = append(f.command, text)
		}
	}
	for name, t := range r.Env {
		text, err := t.Fill(v)
		if err != nil {
			return f, err
		}
		f.env = append(f.env, name+"="+text)
	}
	if f.about, err = r.About.Fill(v); err != nil {
		return f, err
	}
	f.files = make(map[string]string, len(r.Files))
	for name, t := range r.Files {
		if f.files[name], err = t.Fill(v); err != nil {
			return f, err
		}
	}
	return f, nil
}

// Parse reads recipes, which are a list. An error says FILE:LINE:COL.
func Parse(file string, text []byte) ([]*Recipe, error) {
	var recipes []*Recipe
	err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&recipes)
	if errors.Is(err, io.EOF) {
		err = errors.New("no recipe in it")
	}
	if err != nil {
		return nil, place(file, err)
	}
	seen := make(map[string]bool)
	for i, r := range recipes {
		if r == nil {
			return nil, fmt.Errorf("%s: recipe %d is empty", file, i+1)
		}
		if seen[r.Name] {
			return nil, fmt.Errorf("%s: two recipes are called %q", file, r.Name)
		}
		seen[r.Name] = true
	}
	return recipes, nil
}

// ReadFile reads a file of recipes.
func ReadFile(file string) ([]*Recipe, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return Parse(file, text)
}

// place puts the place of a mistake before it.
func place(file string, err error) error {
	var m yaml.Error
	if !errors.As(err, &m) {
		return fmt.Errorf("%s: %w", file, err)
	}
	line, col := 1, 1
	if t := m.GetToken(); t != nil && t.Position != nil {
		line, col = t.Position.Line, t.Position.Column
	}
	return fmt.Errorf("%s:%d:%d: %s", file, line, col, m.GetMessage())
}
