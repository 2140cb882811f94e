package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/api/client"
	"github.com/xdpxe/xdpxe/responder/deploy"
)

const deployAddLong = `Deploy a profile to machines: to each that is named a deployment of its own, or
one to all machines of a group. It holds from when the command returns.

Times of a window are +2h or +1d12h from now, a time of day such as 22:30, or
"2026-01-31 22:30" of this host, or RFC 3339.

A file has one machine per line, and behind it NAME=VALUE of variables that are
its own; or deployments in JSON as the API takes them, which then say all.`

const deployAddExample = `  xdpxe deploy add --mac 52:54:00:12:34:56 --profile linux --once
  xdpxe deploy add --mac 52:54:00:12:34:56 --profile linux --once --milestone file:linux/initrd.img --var hostname=web1
  xdpxe deploy add --group rack7 --profile rescue --not-before 22:00 --not-after +1d
  xdpxe deploy add --file machines.txt --profile linux --once --id renewal-2026
  xdpxe deploy list --json --state failed | jq '.items | map({target, profile, once})' | xdpxe deploy add --file -`

// addFlags are what deploy add is told.
type addFlags struct {
	macs, uuids, vars              []string
	group, file, id, profile, note string
	milestone, notBefore, notAfter string
	once, json                     bool
}

func newDeployAddCommand(r *remote, now clock) *cobra.Command {
	var f addFlags
	cmd := &cobra.Command{
		Use:     "add (--mac MAC | --uuid UUID | --group GROUP | --file FILE)... --profile PROFILE",
		Short:   "Deploy a profile to machines",
		Long:    deployAddLong,
		Example: deployAddExample,
		RunE: r.ask(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			ds, err := f.deployments(cmd.InOrStdin(), now())
			if err != nil {
				return err
			}
			results, err := c.Deploy(cmd.Context(), ds...)
			if err != nil {
				return forPeople(err, ds)
			}
			if len(results.Items) != len(ds) {
				return machineError(fmt.Errorf("the daemon tells of %d deployments, of %d", len(results.Items), len(ds)), "")
			}
			out := cmd.OutOrStdout()
			if f.json {
				err = printJSON(out, results)
			} else {
				err = printCreated(out, results, ds, now())
			}
			return errors.Join(err, notCreated(results, ds))
		}),
	}
	fl := cmd.Flags()
	fl.StringSliceVar(&f.macs, "mac", nil, "hardware `ADDRESS` of a machine, repeatable")
	fl.StringSliceVar(&f.uuids, "uuid", nil, "`UUID` of a machine, repeatable")
	fl.StringVar(&f.group, "group", "", "all machines of a `GROUP`")
	fl.StringVarP(&f.file, "file", "f", "", "`FILE` with machines, or deployments in JSON; - is standard input")
	fl.StringVar(&f.profile, "profile", "", "`PROFILE` of the policy")
	fl.BoolVar(&f.once, "once", false, "used up when its milestone is reached; without it the deployment stands until it is cancelled")
	fl.StringVar(&f.milestone, "milestone", "", "`WHAT` uses it up: nbp (the boot program is fetched; the default), file:NAME, callback")
	fl.StringVar(&f.notBefore, "not-before", "", "nothing is answered before this `TIME`")
	fl.StringVar(&f.notAfter, "not-after", "", "and nothing from this `TIME` on")
	fl.StringArrayVar(&f.vars, "var", nil, "variable for templates, `NAME=VALUE`, repeatable")
	fl.StringVar(&f.note, "note", "", "`TEXT` for people")
	fl.StringVar(&f.id, "id", "", "`ID` of the deployment, so that the command can be repeated; of several: what their ids begin with")
	bindJSON(cmd, &f.json)
	for _, name := range []string{"mac", "uuid", "file"} {
		cmd.MarkFlagsMutuallyExclusive("group", name)
	}
	cmd.MarkFlagFilename("file")
	cmd.RegisterFlagCompletionFunc("mac", r.complete(machineIDs(api.MachineFilter{})))
	cmd.RegisterFlagCompletionFunc("group", r.complete(groupNames))
	cmd.RegisterFlagCompletionFunc("profile", r.complete(profileNames))
	cmd.RegisterFlagCompletionFunc("milestone", cobra.FixedCompletions([]string{"nbp", "callback", "file:"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// deployments are what the flags and their file ask for.
func (f *addFlags) deployments(in io.Reader, now time.Time) ([]api.NewDeployment, error) {
	var targets []recipient
	if f.file != "" {
		name, text, err := readInput(f.file, in)
		if err != nil {
			return nil, err
		}
		if isJSON(text) {
			if other := f.describing(); other != "" {
				return nil, userError(fmt.Errorf("%s has deployments in JSON, which say all: --%s has no place", name, other), "")
			}
			return readDeployments(name, text)
		}
		if targets, err = parseTargets(name, text); err != nil {
			return nil, err
		}
	}
	named, err := f.named()
	if err != nil {
		return nil, err
	}
	targets = append(targets, named...)
	common, err := f.common(now)
	if err != nil {
		return nil, err
	}
	if len(targets) == 0 {
		return nil, userError(errors.New("no machine"), "give --mac, --uuid, --group or --file")
	}
	if f.profile == "" {
		return nil, userError(errors.New("no profile"), "give --profile PROFILE, one of the daemon's configuration")
	}
	ds := make([]api.NewDeployment, len(targets))
	for i, t := range targets {
		d := common
		d.Target = t.Target
		if len(t.vars) > 0 {
			d.Variables = maps.Clone(common.Variables)
			if d.Variables == nil {
				d.Variables = t.vars
			} else {
				maps.Copy(d.Variables, t.vars) // its own go before those of all
			}
		}
		if f.id != "" && len(targets) > 1 {
			d.ID = f.id + "-" + strings.NewReplacer(":", "", "-", "").Replace(t.Machine().String())
		}
		ds[i] = d
	}
	return ds, nil
}

// describing is a flag that says something of a deployment; empty: none does.
func (f *addFlags) describing() string {
	for _, flag := range [...]struct {
		name string
		set  bool
	}{{"mac", len(f.macs) > 0}, {"uuid", len(f.uuids) > 0}, {"profile", f.profile != ""}, {"once", f.once}, {"milestone", f.milestone != ""},
		{"not-before", f.notBefore != ""}, {"not-after", f.notAfter != ""}, {"var", len(f.vars) > 0}, {"note", f.note != ""}, {"id", f.id != ""}} {
		if flag.set {
			return flag.name
		}
	}
	return ""
}

// named are the targets that flags name.
func (f *addFlags) named() ([]recipient, error) {
	var targets []recipient
	for _, text := range f.macs {
		id, err := deploy.ParseIdentity(text)
		if err == nil && id.IsUUID() {
			err = fmt.Errorf("%s is a UUID", text)
		}
		if err != nil {
			return nil, userError(fmt.Errorf("--mac: %w", err), "")
		}
		targets = append(targets, recipient{Target: targetOf(id)})
	}
	for _, text := range f.uuids {
		id, err := deploy.ParseIdentity(text)
		if err == nil && !id.IsUUID() {
			err = fmt.Errorf("%s is a hardware address", text)
		}
		if err != nil {
			return nil, userError(fmt.Errorf("--uuid: %w", err), "")
		}
		targets = append(targets, recipient{Target: targetOf(id)})
	}
	if f.group != "" {
		targets = append(targets, recipient{Target: deploy.Target{Group: f.group}})
	}
	return targets, nil
}

// common is what all deployments of the call have in common.
func (f *addFlags) common(now time.Time) (d api.NewDeployment, err error) {
	d = api.NewDeployment{ID: f.id, Profile: f.profile, Once: f.once, Note: f.note}
	for _, text := range f.vars {
		if d.Variables, err = addVariable(d.Variables, text); err != nil {
			return d, userError(fmt.Errorf("--var: %w", err), "")
		}
	}
	for _, w := range [...]struct {
		flag, text string
		at         *time.Time
	}{{"not-before", f.notBefore, &d.NotBefore}, {"not-after", f.notAfter, &d.NotAfter}} {
		if w.text == "" {
			continue
		}
		if *w.at, err = parseWhen(w.text, now); err != nil {
			return d, userError(fmt.Errorf("--%s: %w", w.flag, err), "")
		}
	}
	d.Milestone, err = parseMilestone(f.milestone)
	switch {
	case err != nil:
		return d, userError(fmt.Errorf("--milestone: %w", err), "")
	case f.milestone != "" && !f.once:
		return d, userError(errors.New("--milestone is where a deployment for once is used up"), "give --once too")
	}
	return d, nil
}

func parseMilestone(text string) (deploy.Milestone, error) {
	kind, file, isFile := strings.Cut(text, ":")
	switch m := (deploy.Milestone{On: deploy.MilestoneKind(kind), File: file}); {
	case isFile && m.On == deploy.OnFile && file != "", text == "", !isFile && (m.On == deploy.OnNBP || m.On == deploy.OnCallback):
		return m, nil
	}
	return deploy.Milestone{}, fmt.Errorf("%q is none of nbp, file:NAME, callback", text)
}

// readDeployments reads deployments as the API takes them. Fields that it does
// not know are a mistake here already, since a typing error could mean "always".
func readDeployments(name string, text []byte) ([]api.NewDeployment, error) {
	raw, err := parseDeployments(name, text)
	if err != nil {
		return nil, err
	}
	if len(raw) == 0 {
		return nil, userError(fmt.Errorf("%s has no deployment", name), "")
	}
	ds := make([]api.NewDeployment, len(raw))
	for i, one := range raw {
		in := json.NewDecoder(bytes.NewReader(one))
		in.DisallowUnknownFields()
		if err := in.Decode(&ds[i]); err != nil {
			return nil, userError(fmt.Errorf("%s: deployment %d: %s", name, i+1, strings.TrimPrefix(err.Error(), "json: ")), "")
		}
	}
	return ds, nil
}
