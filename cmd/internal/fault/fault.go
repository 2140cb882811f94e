// Package fault says whose fault an error is. The exit code of a program tells
// its caller just that: 0 fine, 1 the user's mistake, 2 the machine's.
package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	Fine        = 0
	UserCode    = 1 // a mistake in the command line or a file
	MachineCode = 2 // no permission, no such interface, no daemon
)

// Error is an error with the exit code that it stands for and, perhaps, what to
// do about it.
type Error struct {
	Err  error
	Code int
	Hint string
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// User makes err the user's mistake. A hint is one sentence or empty.
func User(err error, hint string) error { return &Error{err, UserCode, hint} }

// Machine makes err the machine's fault. A hint is one sentence or empty.
func Machine(err error, hint string) error { return &Error{err, MachineCode, hint} }

// Classify decides about an error that a command returned: what is known of it
// stays, a stop that was asked for is none, the rest is the machine's.
func Classify(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return nil
	case errors.As(err, new(*Error)):
		return err
	}
	return Machine(err, "")
}

// Code returns what the process ends with. What nobody classified is cobra's:
// an unknown command, a superfluous argument.
func Code(err error) int {
	var f *Error
	switch {
	case err == nil:
		return Fine
	case errors.As(err, &f):
		return f.Code
	}
	return UserCode
}

// Print prints err once, after prefix, with its hint below.
func Print(w io.Writer, prefix string, err error) {
	if err == nil {
		return
	}
	fmt.Fprintln(w, prefix+strings.TrimRight(err.Error(), "\n"))
	var f *Error
	if errors.As(err, &f) && f.Hint != "" {
		fmt.Fprintln(w, "  "+f.Hint)
	}
}

// Root makes a root command whose subcommands return errors of this package:
// what a command returns without saying whose fault it is goes through
// classify, what cobra finds wrong before that is the user's.
func Root(root *cobra.Command, classify func(error) error, commands ...*cobra.Command) *cobra.Command {
	// Errors are printed once, by main, in our own words.
	root.SilenceErrors, root.SilenceUsage = true, true
	root.Args = cobra.NoArgs
	root.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return User(err, "see "+cmd.CommandPath()+" --help")
	})
	root.AddCommand(commands...)
	for _, cmd := range commands {
		prepare(cmd, classify)
	}
	return root
}

// prepare does for a command and those below it what Root says.
func prepare(cmd *cobra.Command, classify func(error) error) {
	if cmd.Args == nil {
		cmd.Args = cobra.NoArgs
	}
	cmd.DisableFlagsInUseLine = true
	for _, sub := range cmd.Commands() {
		prepare(sub, classify)
	}
	if cmd.RunE == nil { // it only groups others
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		return
	}
	inner := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return classify(inner(cmd, args)) }
}
