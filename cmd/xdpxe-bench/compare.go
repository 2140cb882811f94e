package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/bench/compare"
	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/peers"
	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/cmd/internal/fault"
)

const compareLong = `Have several servers do the same work and compare them.

Each measurement starts one server in a network namespace of its own, with one
cable to the load in another, and takes all of it away again. The rounds are
interleaved and their order turns. Printed are the medians with the lowest and
highest value, and the ratios of xdpxe to each other server. Where latency or
processor time is what counts (dhcp-10k, dhcp-100k, dhcp-300k) and the machine
has two processors, server and load get one each: a load that keeps time to the
microsecond fills one.

Servers are started by recipes: dnsmasq, atftpd, tftpd-hpa, pin/tftp and xdpxe
are built in, a file of recipes adds others. Those that are not on this machine
are named in the notes; ".ci/setup bench" fetches what Debian has.`

// compareOptions are the flags of compare.
type compareOptions struct {
	output
	rig     compare.Rig
	works   []string
	recipes []string
	only    []string
	rounds  int
	results string
	label   string
}

// maxRounds keeps a slip of the finger from running for days.
const maxRounds = 1000

func newCompareCommand() *cobra.Command {
	var o compareOptions
	cmd := &cobra.Command{
		Use:   "compare",
		Short: "Have several servers do the same work and compare them",
		Long:  compareLong,
		Example: `  xdpxe-bench compare --xdpxe ./xdpxe
  xdpxe-bench compare --work dhcp --peer xdpxe --peer dnsmasq --rounds 5
  xdpxe-bench compare --work tftp-500x4MiB-b1468-w16-gro --recipes my-server.yaml
  xdpxe-bench compare --work dhcp-max --require "xdpxe native/dnsmasq: highest rate >= 6"`,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.output.addFlags(cmd)
	f := cmd.Flags()
	f.StringSliceVar(&o.works, "work", nil, "`NAME`s of what to do: dhcp, tftp, or single works (default: all)")
	f.StringArrayVar(&o.recipes, "recipes", nil, "`FILE` with recipes of other servers (may be repeated)")
	f.StringSliceVar(&o.only, "peer", nil, "`NAME`s of the recipes that take part (default: all)")
	f.IntVar(&o.rounds, "rounds", 3, "measurements of each kind")
	f.StringVar(&o.rig.Programs.XDPXE, "xdpxe", "xdpxe", "the xdpxe `PROGRAM`")
	f.StringVar(&o.rig.ServerCPU, "server-cpu", "", "`CPUS` of the servers, as taskset has them (default: any)")
	f.StringVar(&o.rig.ClientCPU, "client-cpu", "", "`CPUS` of the load (default: any)")
	f.StringVar(&o.results, "results", "", "also write DATE-LABEL.json and .md to `DIR`")
	f.StringVar(&o.label, "label", "compare", "`LABEL` in the names of these files")
	return cmd
}

var (
	labelPattern = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
	cpuPattern   = regexp.MustCompile(`^[0-9]+([,-][0-9]+)*$`)
)

func (o *compareOptions) run(cmd *cobra.Command) error {
	if err := o.begin(); err != nil {
		return err
	}
	c, err := o.plan(cmd)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return fault.Machine(errors.New("network namespaces need root"), "run it by sudo")
	}
	if _, err := lab.RemoveLeftovers(); err != nil {
		return err
	}
	runs, failed := c.Run(cmd.Context())
	if runs == nil {
		return failed
	}
	return errors.Join(failed, o.finishAll(cmd, c.Works, runs))
}

// plan reads the flags and looks for the servers.
func (o *compareOptions) plan(cmd *cobra.Command) (*compare.Comparison, error) {
	if o.rounds < 1 || o.rounds > maxRounds {
		return nil, fault.User(fmt.Errorf("--rounds %d: want 1 to %d", o.rounds, maxRounds), "")
	}
	if !labelPattern.MatchString(o.label) {
		return nil, fault.User(fmt.Errorf("--label %q: letters, digits, dots, - and _ only", o.label), "")
	}
	for _, cpus := range []string{o.rig.ServerCPU, o.rig.ClientCPU} {
		if cpus != "" && !cpuPattern.MatchString(cpus) {
			return nil, fault.User(fmt.Errorf("CPUs %q: want a list as in 0 or 1,3-5", cpus), "")
		}
	}
	works, err := compare.Select(o.works)
	if err != nil {
		return nil, fault.User(err, "")
	}
	recipes, err := o.readRecipes()
	if err != nil {
		return nil, err
	}
	if o.rig.Programs.Bench, err = os.Executable(); err != nil {
		return nil, err
	}
	if strings.Contains(o.rig.Programs.XDPXE, "/") {
		if o.rig.Programs.XDPXE, err = filepath.Abs(o.rig.Programs.XDPXE); err != nil {
			return nil, err
		}
	}
	c := &compare.Comparison{Works: works, Rounds: o.rounds, Measure: o.rig.Measure, Notes: make(map[peers.Kind][]string),
		Progress: func(format string, args ...any) { o.progress(cmd, format, args...) }}
	for _, kind := range []peers.Kind{peers.DHCP, peers.TFTP, peers.Bounce} {
		if !slices.ContainsFunc(works, func(w compare.Work) bool { return w.Kind == kind || w.Bounced && kind == peers.Bounce }) {
			continue
		}
		for _, r := range recipes {
			if !r.Serves(kind) {
				continue
			}
			found, err := r.Find(cmd.Context(), kind, o.rig.Programs)
			if missing := (*peers.NotFoundError)(nil); errors.As(err, &missing) {
				c.Notes[kind] = append(c.Notes[kind], "not compared: "+err.Error())
				o.progress(cmd, "not compared: %v", err)
				continue
			}
			if err != nil {
				return nil, err
			}
			c.Peers = append(c.Peers, found...)
		}
	}
	if len(c.Peers) == 0 {
		return nil, fault.Machine(errors.New("there is no server to measure"), "see --xdpxe and --recipes")
	}
	return c, nil
}

// readRecipes returns the built-in recipes and the user's, xdpxe first, as far as they take part.
func (o *compareOptions) readRecipes() ([]*peers.Recipe, error) {
	all, err := peers.Builtin()
	if err != nil {
		return nil, err
	}
	for _, file := range o.recipes {
		more, err := peers.ReadFile(file)
		if err != nil {
			return nil, fault.User(err, "")
		}
		for _, r := range more {
			// A user's recipe takes the place of a built-in one of its name.
			all = slices.DeleteFunc(all, func(b *peers.Recipe) bool { return b.Name == r.Name })
		}
		all = append(all, more...)
	}
	slices.SortStableFunc(all, func(a, b *peers.Recipe) int { return rank(a) - rank(b) })
	if len(o.only) == 0 {
		return all, nil
	}
	var names []string
	for _, r := range all {
		names = append(names, r.Name)
	}
	for _, name := range o.only {
		if !slices.Contains(names, name) {
			return nil, fault.User(fmt.Errorf("--peer %s: no recipe of that name", name), "there are "+strings.Join(names, ", "))
		}
	}
	return slices.DeleteFunc(all, func(r *peers.Recipe) bool { return !slices.Contains(o.only, r.Name) }), nil
}

func rank(r *peers.Recipe) int {
	if r.Name == compare.Subject {
		return 0
	}
	return 1
}

// finishAll completes the runs of all works, shows and writes them and holds
// them against the bounds.
func (o *compareOptions) finishAll(cmd *cobra.Command, works []compare.Work, runs []*result.Run) error {
	for _, run := range runs {
		o.complete(cmd, run)
	}
	if o.results != "" {
		written, err := compare.WriteFiles(o.results, o.label, works, runs, o.started)
		if err != nil {
			return err
		}
		o.progress(cmd, "wrote %s", strings.Join(written, " and "))
	}
	if o.asJSON {
		e := json.NewEncoder(cmd.OutOrStdout())
		e.SetIndent("", "  ")
		if err := e.Encode(runs); err != nil {
			return err
		}
	} else {
		for i, run := range runs {
			fmt.Fprintf(cmd.OutOrStdout(), "\n%s\n", works[i].Name)
			if err := compare.Shown(run, works[i]).WriteTable(cmd.OutOrStdout()); err != nil {
				return err
			}
		}
	}
	if o.html != "" {
		if err := writeReport(o.html, runs...); err != nil {
			return err
		}
	}
	return o.holdAll(runs)
}

// holdAll holds each bound against all works that have its rows and its figure;
// one that none has is missed.
func (o *compareOptions) holdAll(runs []*result.Run) error {
	var missed []error
	for _, b := range o.bounds {
		var met bool
		var last error
		for _, run := range runs {
			err := b.Check(run)
			last = err
			switch {
			case err == nil:
				met = true
			case b.Applies(run):
				met = true
				missed = append(missed, fmt.Errorf("%s: %w", run.Settings[0].Value, err))
			}
		}
		if !met {
			missed = append(missed, last)
		}
	}
	if len(missed) > 0 {
		return fault.User(errors.Join(missed...), "")
	}
	return nil
}
