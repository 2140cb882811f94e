package bootfile

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"

	"github.com/xdpxe/xdpxe/responder/content"
	"github.com/xdpxe/xdpxe/responder/script"
	"github.com/xdpxe/xdpxe/responder/tftp"
)

// TemplateSuffix ends the names of templates.
const TemplateSuffix = ".tmpl"

// Bounds of templates.
const (
	maxFilling = 4   // at a time; others wait
	maxParsed  = 256 // that are remembered
)

// scripts has templates that were read, until their files change.
type scripts struct {
	filling chan struct{}

	mu     sync.Mutex
	parsed map[parsedID]*script.Template
}

// parsedID is a template file in one state. Its name is for the template's errors.
type parsedID struct {
	name string
	content.Identity
}

// fill grants the file that a client asked for, made from a template if there
// is one.
func (g *Gate) fill(c *client) tftp.Grant {
	f, err := c.Root.Lookup(c.path + TemplateSuffix)
	switch {
	case errors.Is(err, content.ErrNotFound), errors.Is(err, content.ErrIsDir), errors.Is(err, content.ErrBadName):
		return tftp.Grant{} // the file itself
	case err != nil:
		return tftp.Grant{How: tftp.Unreadable, Err: err}
	}
	defer f.Release()
	if !c.known {
		return tftp.Grant{How: tftp.Refused, Text: textUnknown}
	}
	g.scripts.filling <- struct{}{}
	defer func() { <-g.scripts.filling }()
	t, err := g.scripts.template(Template(c.Root, f.Path()), f)
	var text []byte
	if err == nil {
		text, err = t.Render(g.data(c))
	}
	switch {
	case err == errChanged:
		return tftp.Grant{How: tftp.Busy, Err: err}
	case err != nil:
		return tftp.Grant{How: tftp.BadTemplate, Text: textTemplate, Err: err}
	case text == nil:
		text = []byte{}
	}
	return tftp.Grant{Content: text}
}

// Template is the name that a template's errors have: its path.
func Template(root *content.Root, path string) string { return filepath.Join(root.Path(), path) }

var errChanged = errors.New("the template was changed while it was read")

// template returns what a file has, parsed.
func (s *scripts) template(name string, f *content.File) (*script.Template, error) {
	id := parsedID{name, f.Identity()}
	s.mu.Lock()
	t := s.parsed[id]
	s.mu.Unlock()
	if t != nil {
		return t, nil
	}
	t, err := Parse(name, f)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.parsed) >= maxParsed {
		clear(s.parsed) // those in use are soon back
	}
	s.parsed[id] = t
	return t, nil
}

// Parse reads a template. Mistakes in it are a script.Error.
func Parse(name string, f *content.File) (*script.Template, error) {
	if f.Size() > script.MaxSource {
		return nil, &script.Error{File: name, Msg: fmt.Sprintf("has %d bytes, at most %d", f.Size(), script.MaxSource)}
	}
	text := make([]byte, f.Size())
	if _, err := f.ReadAt(text, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("template %s: %w", name, err)
	}
	if f.Changed() {
		return nil, errChanged
	}
	return script.Parse(name, text)
}

// data is what templates see of a client.
func (g *Gate) data(c *client) script.Data {
	m := &c.machine
	d := script.Data{
		Machine: script.Machine{
			MAC: m.MAC.String(), UUID: m.UUID.String(), Arch: m.Arch,
			Address: c.address, CircuitID: printable(m.CircuitID),
		},
		Server: script.Server{Name: g.cfg.Server, Address: c.Server.Unmap()},
	}
	if v := g.settings.Load().Variables; v != nil {
		d.Vars = v(m.MAC.Bytes(), m.Profile, g.cfg.Now())
	}
	if g.cfg.Catalogue == nil {
		return d
	}
	if known, ok := g.cfg.Catalogue.Snapshot().Machine(m.ID()); ok {
		d.Machine.Name = known.Name
	}
	if dep := c.deployment; dep != nil {
		d.Deployment = &script.Deployment{ID: dep.ID, Profile: dep.Profile, Once: dep.Once, Note: dep.Note, NotAfter: dep.NotAfter}
		if g.cfg.Token != nil {
			d.Deployment.Token = func() (string, error) { return g.cfg.Token(c.run) }
		}
		d.Vars = dep.Variables
	}
	return d
}

// printable is what came from the wire as a template may have it: as it is, if
// that is plain text, else in hexadecimal digits. A line break in a script would
// begin another command.
func printable(b []byte) string {
	if strings.ContainsFunc(string(b), func(r rune) bool { return r < ' ' || r >= 0x7f }) {
		return hex.EncodeToString(b)
	}
	return string(b)
}
