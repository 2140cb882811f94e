package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/xdpxe/xdpxe/responder/config"
)

// Exit codes.
const (
	exitFine    = 0
	exitUser    = 1 // a mistake in the command line or the configuration
	exitMachine = 2 // no permission, no such interface, no daemon
)

// failure is an error with the exit code that it stands for and, perhaps, what
// to do about it.
type failure struct {
	err  error
	code int
	hint string
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// userError makes err the user's mistake. A hint is one sentence or empty.
func userError(err error, hint string) error { return &failure{err, exitUser, hint} }

// machineError makes err the machine's fault. A hint is one sentence or empty.
func machineError(err error, hint string) error { return &failure{err, exitMachine, hint} }

// classify decides about an error that a command returned: what is known of it
// stays, mistakes in a configuration are the user's, a stop that was asked for
// is none, the rest is the machine's.
func classify(err error) error {
	var f *failure
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return nil
	case errors.As(err, &f):
		return err
	case isConfigError(err):
		return userError(err, "")
	}
	return machineError(err, "")
}

func isConfigError(err error) bool {
	return errors.As(err, new(config.Errors)) || errors.As(err, new(*config.Error))
}

// exitCode returns what the process ends with.
func exitCode(err error) int {
	var f *failure
	switch {
	case err == nil:
		return exitFine
	case errors.As(err, &f):
		return f.code
	}
	return exitUser // cobra's: unknown command, superfluous argument
}

// printError prints err once. Mistakes in a file stand alone on their lines, as
// editors read them: FILE:LINE:COL: message.
func printError(w io.Writer, err error) {
	if err == nil {
		return
	}
	text := strings.TrimRight(err.Error(), "\n")
	if !isConfigError(err) || !fromFile(err) {
		text = "xdpxe: " + text
	}
	fmt.Fprintln(w, text)
	var f *failure
	if errors.As(err, &f) && f.hint != "" {
		fmt.Fprintln(w, "  "+f.hint)
	}
}

// fromFile reports whether a configuration error names a file.
func fromFile(err error) bool {
	var one *config.Error
	return errors.As(err, &one) && one.File != ""
}
