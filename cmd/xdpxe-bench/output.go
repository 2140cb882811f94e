package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/bench/report"
	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/cmd/internal/build"
	"github.com/xdpxe/xdpxe/cmd/internal/fault"
)

// output is what all measuring commands have in common: how a run is shown and
// what it is held against.
type output struct {
	asJSON     bool
	html       string
	require    []string
	quiet      bool
	ownNetwork bool // --i-own-this-network

	bounds  []result.Bound
	started time.Time
}

func (o *output) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&o.asJSON, "json", false, "print the result as JSON instead of a table")
	f.StringVar(&o.html, "html", "", "write a report with plots to `FILE`")
	f.StringArrayVar(&o.require, "require", nil, "exit 1 unless the `BOUND` holds: \"answered >= 97.5%\", \"xdpxe/atftpd: goodput >= 8\" (may be repeated)")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no progress on standard error")
}

// addAimFlag is for the commands that aim where the user says.
func (o *output) addAimFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.ownNetwork, "i-own-this-network", false, "aim also at what is not on this machine")
}

// begin reads the bounds and looks for the place of the report, so that a mistake
// is found before the load and not after it.
func (o *output) begin() error {
	for _, text := range o.require {
		b, err := result.ParseBound(text)
		if err != nil {
			return fault.User(err, "")
		}
		o.bounds = append(o.bounds, b)
	}
	if o.html != "" {
		if err := checkReport(o.html); err != nil {
			return err
		}
	}
	o.started = time.Now()
	return nil
}

// checkReport says whether a report can be written to a file. It leaves nothing
// behind: the run may fail, and an older report then stays.
func checkReport(file string) error {
	dir := filepath.Dir(file)
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return fault.User(fmt.Errorf("--html %s: %w", file, err), "make the directory "+dir+" first")
	case err != nil:
		return fault.Machine(fmt.Errorf("--html %s: %w", file, err), "")
	case !info.IsDir():
		return fault.User(fmt.Errorf("--html %s: %s is no directory", file, dir), "")
	}
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return fault.User(fmt.Errorf("--html %s: it is a directory", file), "name a file in it")
	}
	return nil
}

// progress prints a line about how far the run is.
func (o *output) progress(cmd *cobra.Command, format string, args ...any) {
	if !o.quiet {
		fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...)
	}
}

// complete fills in what all runs have in common.
func (o *output) complete(cmd *cobra.Command, run *result.Run) {
	run.Schema, run.Tool, run.Version = result.Schema, cmd.CommandPath(), build.Version()
	run.Command, run.Started, run.Seconds = os.Args, o.started.UTC(), time.Since(o.started).Seconds()
	programs := run.Machine.Programs
	run.Machine = result.ThisMachine()
	run.Machine.Programs = programs
}

// finish completes a run, shows it, and holds it against the bounds.
func (o *output) finish(cmd *cobra.Command, run *result.Run) error {
	o.complete(cmd, run)
	if err := o.show(cmd, run); err != nil {
		return err
	}
	var missed []error
	for _, b := range o.bounds {
		if err := b.Check(run); err != nil {
			missed = append(missed, err)
		}
	}
	if len(missed) > 0 {
		return fault.User(errors.Join(missed...), "")
	}
	return nil
}

// show prints the run, and then writes its report: what was measured is on the
// screen even if the disk is full.
func (o *output) show(cmd *cobra.Command, run *result.Run) error {
	if err := o.print(cmd.OutOrStdout(), run); err != nil {
		return err
	}
	if o.html == "" {
		return nil
	}
	return writeReport(o.html, run)
}

func (o *output) print(w io.Writer, run *result.Run) error {
	if !o.asJSON {
		return run.WriteTable(w)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(run)
}

// writeReport writes the HTML report of one or several runs to a file.
func writeReport(file string, runs ...*result.Run) error {
	var page bytes.Buffer
	if err := report.Write(&page, runs...); err != nil {
		return err
	}
	if err := os.WriteFile(file, page.Bytes(), 0o644); err != nil {
		return fault.Machine(fmt.Errorf("--html: %w", err), "")
	}
	return nil
}
