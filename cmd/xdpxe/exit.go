package main

import (
	"errors"
	"io"

	"github.com/xdpxe/xdpxe/cmd/internal/fault"
	"github.com/xdpxe/xdpxe/responder/config"
)

// userError makes err the user's mistake. A hint is one sentence or empty.
func userError(err error, hint string) error { return fault.User(err, hint) }

// machineError makes err the machine's fault. A hint is one sentence or empty.
func machineError(err error, hint string) error { return fault.Machine(err, hint) }

// classify decides about an error that a command returned: mistakes in a
// configuration are the user's.
func classify(err error) error {
	if isConfigError(err) && !errors.As(err, new(*fault.Error)) {
		return userError(err, "")
	}
	return fault.Classify(err)
}

func isConfigError(err error) bool {
	return errors.As(err, new(config.Errors)) || errors.As(err, new(*config.Error))
}

// printError prints err once. Mistakes in a file stand alone on their lines, as
// editors read them: FILE:LINE:COL: message.
func printError(w io.Writer, err error) {
	prefix := "xdpxe: "
	if isConfigError(err) && fromFile(err) {
		prefix = ""
	}
	fault.Print(w, prefix, err)
}

// fromFile reports whether a configuration error names a file.
func fromFile(err error) bool {
	var one *config.Error
	return errors.As(err, &one) && one.File != ""
}
