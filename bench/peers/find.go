package peers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// CacheDir is where `.ci/setup bench` unpacks servers whose packages cannot be
// installed side by side (atftpd and tftpd-hpa want the same port).
const CacheDir = "/var/cache/xdpxe-bench/peers"

// SearchDirs are looked in after PATH and a recipe's own directories.
var SearchDirs = []string{"/usr/sbin", "/sbin", "/usr/local/sbin", CacheDir + "/usr/sbin", CacheDir + "/usr/bin"}

// Peer is a recipe, or one variant of it, for one kind of work, and its program
// on this machine.
type Peer struct {
	Name    string // of the recipe and the variant
	Recipe  *Recipe
	Kind    Kind
	Variant string
	Program string // path
	Version string
}

// NotFoundError says that a recipe's program is not on this machine.
type NotFoundError struct {
	Recipe, Program string
	Dirs            []string // where it was looked for, besides PATH
}

func (e *NotFoundError) Error() string {
	if strings.Contains(e.Program, "/") {
		return fmt.Sprintf("%s: there is no program %s", e.Recipe, e.Program)
	}
	return fmt.Sprintf("%s: there is no %s in PATH, nor in %s", e.Recipe, e.Program, strings.Join(e.Dirs, ", "))
}

// Find looks for the recipe's program and returns the recipe's variants for a
// kind of work. The error is a *NotFoundError if there is no program.
func (r *Recipe) Find(ctx context.Context, k Kind, own Programs) ([]*Peer, error) {
	name, err := r.Command[0].Fill(Vars{Programs: own, Kind: k})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Name, err)
	}
	program, err := r.look(name)
	if err != nil {
		return nil, err
	}
	version, err := r.ask(ctx, program)
	if err != nil {
		return nil, fmt.Errorf("%s: ask for its version: %w", r.Name, err)
	}
	var found []*Peer
	for _, variant := range r.variants(k) {
		found = append(found, &Peer{Name: strings.TrimSpace(r.Name + " " + variant), Recipe: r, Kind: k, Variant: variant, Program: program, Version: version})
	}
	return found, nil
}

func (r *Recipe) look(name string) (string, error) {
	dirs := append(append([]string(nil), r.Search...), SearchDirs...)
	if path, err := exec.LookPath(name); err == nil {
		return filepath.Abs(path)
	}
	if !strings.Contains(name, "/") && name != "" {
		for _, dir := range dirs {
			if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
				return filepath.Abs(path)
			}
		}
	}
	return "", &NotFoundError{Recipe: r.Name, Program: name, Dirs: dirs}
}

// versionPatience is how long a program may take to say its version.
const versionPatience = 10 * time.Second

// ask runs the program for its version. Some say it and exit with 1.
func (r *Recipe) ask(ctx context.Context, program string) (string, error) {
	args := r.Version.Args
	if len(args) == 0 {
		args = []string{"--version"}
	}
	ctx, cancel := context.WithTimeout(ctx, versionPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || ctx.Err() != nil) {
		return "", err
	}
	text := strings.TrimSpace(string(out))
	if p := r.Version.Pattern.Regexp; p != nil {
		m := p.FindStringSubmatch(text)
		if m == nil {
			return "", fmt.Errorf("%s does not match %q: it says %q", strings.Join(cmd.Args, " "), p, text)
		}
		return m[1], nil
	}
	first, _, _ := strings.Cut(text, "\n")
	return first, nil
}
