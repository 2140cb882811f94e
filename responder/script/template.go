package script

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
)

// Bounds of one template.
const (
	MaxSource = 256 << 10
	MaxOutput = 1 << 20
	maxText   = 64 << 10 // that a function returns
	maxTexts  = 8 << 20  // that functions return in all
	maxSteps  = 10_000   // rounds of ranges, and templates called
)

// Template is a script ready to be filled in, by any number of goroutines.
type Template struct {
	name string
	t    *template.Template
}

// stepFunc is called in each round; its name is none that a template can have written by mistake.
const stepFunc = "xdpxeStep"

// Parse reads a template. name is the file's, for errors.
func Parse(name string, text []byte) (*Template, error) {
	if len(text) > MaxSource {
		return nil, &Error{File: name, Msg: fmt.Sprintf("has %d bytes, at most %d", len(text), MaxSource)}
	}
	t, err := template.New(name).Option("missingkey=error").Funcs(functions(&spent{})).Parse(string(text))
	if err != nil {
		return nil, place(name, err)
	}
	step, err := template.New("").Funcs(functions(&spent{})).Parse("{{" + stepFunc + "}}")
	if err != nil {
		return nil, place(name, err)
	}
	for _, one := range t.Templates() {
		if one.Tree != nil {
			count(one.Root, step.Root.Nodes[0])
			one.Root.Nodes = append([]parse.Node{step.Root.Nodes[0].Copy()}, one.Root.Nodes...)
		}
	}
	return &Template{name, t}, nil
}

// count makes each round of a range call stepFunc: a range over a large number
// without output would go on for ever.
func count(n parse.Node, step parse.Node) {
	branch := func(b *parse.BranchNode) {
		count(b.List, step)
		count(b.ElseList, step)
	}
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, child := range n.Nodes {
			count(child, step)
		}
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
		n.List.Nodes = append([]parse.Node{step.Copy()}, n.List.Nodes...)
	}
}

var (
	errSteps  = fmt.Errorf("goes round more than %d times", maxSteps)
	errOutput = fmt.Errorf("makes more than %d bytes", MaxOutput)
	errTexts  = fmt.Errorf("makes texts of more than %d bytes in all", maxTexts)
	errText   = fmt.Errorf("makes a text of more than %d bytes", maxText)
)

// spent is what one filling in has used.
type spent struct{ steps, bytes int }

func (s *spent) step() (string, error) {
	if s.steps++; s.steps > maxSteps {
		return "", errSteps
	}
	return "", nil
}

// functions are text/template's own that make texts, bounded; their results
// can be given to them again, and grow.
func functions(s *spent) template.FuncMap {
	bounded := func(text string) (string, error) {
		s.bytes += len(text)
		switch {
		case len(text) > maxText:
			return "", errText
		case s.bytes > maxTexts:
			return "", errTexts
		}
		return text, nil
	}
	onArgs := func(f func(...any) string) func(...any) (string, error) {
		return func(args ...any) (string, error) { return bounded(f(args...)) }
	}
	return template.FuncMap{
		stepFunc: s.step,
		"printf": func(format string, args ...any) (string, error) { return bounded(fmt.Sprintf(format, args...)) },
		"print":  onArgs(fmt.Sprint), "println": onArgs(fmt.Sprintln),
		"html": onArgs(template.HTMLEscaper), "js": onArgs(template.JSEscaper), "urlquery": onArgs(template.URLQueryEscaper),
		"lower": func(text string) (string, error) { return bounded(strings.ToLower(text)) },
		"upper": func(text string) (string, error) { return bounded(strings.ToUpper(text)) },
	}
}

// Render fills a template in. An error says where in it what is wrong.
func (t *Template) Render(d Data) ([]byte, error) {
	if d.Vars == nil {
		d.Vars = map[string]string{} // of nil, a missing variable would be no error
	}
	one, err := t.t.Clone()
	if err != nil {
		return nil, place(t.name, err)
	}
	one.Funcs(functions(&spent{}))
	var out output
	if err := one.Execute(&out, d); err != nil {
		e := place(t.name, err)
		if strings.Contains(e.Msg, "map has no entry for key") {
			e.Hint = "variables of this deployment: " + names(d.Vars)
		}
		return nil, e
	}
	return out.Bytes(), nil
}

func names(vars map[string]string) string {
	if len(vars) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(vars)), ", ")
}

// output takes so much and no more.
type output struct{ bytes.Buffer }

func (o *output) Write(b []byte) (int, error) {
	if o.Len()+len(b) > MaxOutput {
		return 0, errOutput
	}
	return o.Buffer.Write(b)
}

// Error is a mistake in a template, with its place: FILE:LINE:COL. Line and
// Col are 0 where it is not known, as where a template goes round for ever.
type Error struct {
	File      string
	Line, Col int
	Msg       string
	Hint      string // may be empty
}

func (e *Error) Error() string {
	at := e.File
	if e.Line > 0 {
		at += fmt.Sprintf(":%d", e.Line)
	}
	if e.Col > 0 {
		at += fmt.Sprintf(":%d", e.Col)
	}
	if e.Hint != "" {
		return at + ": " + e.Msg + " (" + e.Hint + ")"
	}
	return at + ": " + e.Msg
}

// place finds the place in what text/template says:
// "template: NAME:LINE:COL: executing "NAME" at <.Vars.x>: …", or without some of it.
func place(name string, err error) *Error {
	e := &Error{File: name}
	for _, own := range []error{errSteps, errOutput, errTexts, errText} {
		if errors.Is(err, own) {
			e.Msg = own.Error()
		}
	}
	rest, ok := strings.CutPrefix(err.Error(), "template: "+name+":")
	if !ok {
		if e.Msg == "" {
			e.Msg = strings.TrimPrefix(err.Error(), "template: ")
		}
		return e
	}
	e.Line, rest = number(rest)
	e.Col, rest = number(rest)
	rest = strings.TrimPrefix(rest, " ")
	if e.Col > 0 {
		e.Col++ // text/template counts from 0
	}
	if what, ok := strings.CutPrefix(rest, "executing "); ok {
		if _, at, ok := strings.Cut(what, " at <"); ok {
			rest = strings.Replace(at, ">: ", ": ", 1)
		}
	}
	if e.Msg == "" {
		e.Msg = rest
	}
	return e
}

// number cuts "12:" from the front of text, 0 if it is not there.
func number(text string) (n int, rest string) {
	digits, rest, ok := strings.Cut(text, ":")
	if !ok || digits == "" {
		return 0, text
	}
	for _, c := range digits {
		if c < '0' || c > '9' || n > 1e6 {
			return 0, text
		}
		n = 10*n + int(c-'0')
	}
	return n, rest
}
