package config

import (
	"fmt"
	"strings"
)

// Error is one mistake and its place. Line and Col count from 1, Col in
// characters; both are 0 if the configuration is not from a file, and Col if a
// template's parser does not say it.
type Error struct {
	File      string
	Line, Col int
	Msg       string
	Hint      string // how to put it right; may be empty
	Err       error  // the cause, if there is one; Msg has its text
}

// Error returns FILE:LINE:COL: message (hint).
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ":")
		if e.Line > 0 {
			fmt.Fprintf(&b, "%d:", e.Line)
		}
		if e.Col > 0 {
			fmt.Fprintf(&b, "%d:", e.Col)
		}
		b.WriteByte(' ')
	}
	b.WriteString(e.Msg)
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Errors are all mistakes of a configuration in the order of their places,
// printed one a line. It is never empty.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As and errors.Is look at each mistake.
func (e Errors) Unwrap() []error {
	errs := make([]error, len(e))
	for i, one := range e {
		errs[i] = one
	}
	return errs
}
