package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/api/client"
	"github.com/xdpxe/xdpxe/responder/deploy"
)

const machinesLong = `Look at machines and decide about them. A rule with "unknown: hold" records
machines that nobody has named, and answers them once they are approved; the
ignore list keeps machines unanswered, whatever else names them.

A MACHINE is a hardware address, a UUID, or the name that "machines describe"
gave it.`

const machinesExample = `  xdpxe machines list --held
  xdpxe machines show 52:54:00:12:34:56 --follow
  xdpxe machines approve 52:54:00:12:34:56 --profile linux
  xdpxe machines ignore 00:50:56 --reason 'VMs have their own server'`

func newMachinesCommand(now clock) *cobra.Command {
	var r remote
	cmd := &cobra.Command{Use: "machines", Short: "Look at machines, approve or ignore them", Long: machinesLong, Example: machinesExample}
	r.bind(cmd)
	cmd.AddCommand(newMachinesListCommand(&r, now), newMachinesShowCommand(&r, now), newMachinesApproveCommand(&r),
		newMachinesDescribeCommand(&r), newMachinesForgetCommand(&r),
		newMachinesIgnoreCommand(&r), newMachinesUnignoreCommand(&r), newMachinesIgnoredCommand(&r, now))
	return cmd
}

func newMachinesListCommand(r *remote, now clock) *cobra.Command {
	var f api.MachineFilter
	var held, approved, ignored, asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the machines that are recorded",
		RunE: r.ask(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			switch {
			case held:
				f.State = api.MachineHeld
			case approved:
				f.State = api.MachineApproved
			case ignored:
				f.State = api.MachineIgnored
			}
			list, err := collect(c.Machines(cmd.Context(), f), nil)
			switch out := cmd.OutOrStdout(); {
			case err != nil:
				return err
			case asJSON:
				return printItems(out, list)
			case len(list) == 0:
				_, err := fmt.Fprintln(out, "no machines")
				return err
			default:
				return writeTable(out, "", machineRows(list, now()))
			}
		}),
	}
	fl := cmd.Flags()
	fl.BoolVar(&held, "held", false, "only those that wait for approval")
	fl.BoolVar(&approved, "approved", false, "only those that are approved")
	fl.BoolVar(&ignored, "ignored", false, "only those that the ignore list is about")
	fl.StringVar(&f.Group, "group", "", "only those of a `GROUP`")
	cmd.MarkFlagsMutuallyExclusive("held", "approved", "ignored")
	cmd.RegisterFlagCompletionFunc("group", r.complete(groupNames))
	bindJSON(cmd, &asJSON)
	return cmd
}

func newMachinesShowCommand(r *remote, now clock) *cobra.Command {
	var follow, asJSON bool
	cmd := &cobra.Command{
		Use:   "show MACHINE",
		Short: "Show all of a machine: what is known, deployed, and what happened, the newest last",
		Args:  oneArg("MACHINE"),
		RunE: r.ask(func(cmd *cobra.Command, c *client.Client, args []string) error {
			id, err := findMachine(cmd.Context(), c, args[0])
			if err != nil {
				return err
			}
			m, err := c.Machine(cmd.Context(), id)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			switch {
			case asJSON && follow:
				err = printLine(out, m)
			case asJSON:
				err = printJSON(out, m)
			default:
				err = printMachine(out, m, now())
			}
			if err != nil || !follow {
				return err
			}
			return followEvents(cmd, c, id, asJSON, now)
		}),
		ValidArgsFunction: r.completeOne(machineIDs(api.MachineFilter{})),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on to show what happens, until Ctrl-C")
	bindJSON(cmd, &asJSON)
	return cmd
}

// parsePattern reads an argument that names a machine or a vendor.
func parsePattern(text string) (deploy.Pattern, error) {
	p, err := deploy.ParsePattern(text)
	if err == nil && !p.Machine.IsZero() && !wholeIdentity(p.Machine) {
		err = fmt.Errorf("%s is no hardware address of 6 or 8 bytes", text)
	}
	if err != nil {
		return p, userError(err, "a vendor is named by the first three bytes of its addresses, as in 52:54:00")
	}
	return p, nil
}

func newMachinesApproveCommand(r *remote) *cobra.Command {
	var a api.Approve
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "approve MACHINE...",
		Short:   "Let machines boot, with a profile or what their rule says",
		Example: "  xdpxe machines approve 52:54:00:12:34:56\n  xdpxe machines list --held --json | jq -r '.items[].id' | xargs xdpxe machines approve --profile linux",
		Args:    someArgs("MACHINE"),
		RunE: r.each(&asJSON, "approved", func(ctx context.Context, c *client.Client, arg string) (any, error) {
			id, err := findMachine(ctx, c, arg)
			if err != nil {
				return nil, err
			}
			return nil, c.Approve(ctx, id, 0, a)
		}),
		ValidArgsFunction: r.complete(machineIDs(api.MachineFilter{State: api.MachineHeld})),
	}
	fl := cmd.Flags()
	fl.StringVar(&a.Profile, "profile", "", "`PROFILE` to boot; default: what the rule says")
	fl.StringVar(&a.Reason, "reason", "", "why, for people: `TEXT`")
	cmd.RegisterFlagCompletionFunc("profile", r.complete(profileNames))
	bindJSON(cmd, &asJSON)
	return cmd
}

func newMachinesDescribeCommand(r *remote) *cobra.Command {
	var name, note string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "describe MACHINE [--name NAME] [--note TEXT]",
		Short:   "Give a machine a name or a note",
		Example: "  xdpxe machines describe 52:54:00:12:34:56 --name web1",
		Args:    oneArg("MACHINE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var p api.MachinePatch
			if cmd.Flags().Changed("name") {
				p.Name = &name
			}
			if cmd.Flags().Changed("note") {
				p.Note = &note
			}
			if p == (api.MachinePatch{}) {
				return userError(errors.New("nothing to say of it"), "give --name or --note; an empty one takes it away")
			}
			return r.each(&asJSON, "described", func(ctx context.Context, c *client.Client, arg string) (any, error) {
				id, err := findMachine(ctx, c, arg)
				if err != nil {
					return nil, err
				}
				return nil, c.Describe(ctx, id, 0, p)
			})(cmd, args)
		},
		ValidArgsFunction: r.completeOne(machineIDs(api.MachineFilter{})),
	}
	cmd.Flags().StringVar(&name, "name", "", "`NAME` that it is shown with: a-z, 0-9 and - . _ inside")
	cmd.Flags().StringVar(&note, "note", "", "`TEXT` for people")
	bindJSON(cmd, &asJSON)
	return cmd
}

func newMachinesForgetCommand(r *remote) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "forget MACHINE...",
		Short: "Remove what is recorded of machines, and their approval",
		Args:  someArgs("MACHINE"),
		RunE: r.each(&asJSON, "forgotten", func(ctx context.Context, c *client.Client, arg string) (any, error) {
			id, err := findMachine(ctx, c, arg)
			if err != nil {
				return nil, err
			}
			return nil, c.Forget(ctx, id, 0)
		}),
		ValidArgsFunction: r.complete(machineIDs(api.MachineFilter{})),
	}
	bindJSON(cmd, &asJSON)
	return cmd
}

func newMachinesIgnoreCommand(r *remote) *cobra.Command {
	var reason string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "ignore PATTERN...",
		Short:   "Never answer a machine, or a vendor's",
		Example: "  xdpxe machines ignore 52:54:00:12:34:56\n  xdpxe machines ignore 00:50:56 --reason 'VMs have their own server'",
		Args:    someArgs("PATTERN"),
		RunE: r.each(&asJSON, "ignored", func(ctx context.Context, c *client.Client, arg string) (any, error) {
			p, err := parsePattern(arg)
			if err != nil {
				return nil, err
			}
			return nil, c.Ignore(ctx, p, reason)
		}),
		ValidArgsFunction: r.complete(machineIDs(api.MachineFilter{})),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for people: `TEXT`")
	bindJSON(cmd, &asJSON)
	return cmd
}

func newMachinesUnignoreCommand(r *remote) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "unignore PATTERN...",
		Short: "Take machines or vendors off the ignore list",
		Args:  someArgs("PATTERN"),
		RunE: r.each(&asJSON, "not ignored any more", func(ctx context.Context, c *client.Client, arg string) (any, error) {
			p, err := parsePattern(arg)
			if err != nil {
				return nil, err
			}
			return nil, c.Unignore(ctx, p)
		}),
		ValidArgsFunction: r.complete(ignoredPatterns),
	}
	bindJSON(cmd, &asJSON)
	return cmd
}

func newMachinesIgnoredCommand(r *remote, now clock) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ignored",
		Short: "Show the ignore list",
		RunE: r.ask(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			list, err := collect(c.Ignored(cmd.Context()), nil)
			switch out := cmd.OutOrStdout(); {
			case err != nil:
				return err
			case asJSON:
				return printItems(out, list)
			case len(list) == 0:
				_, err := fmt.Fprintln(out, "the ignore list is empty")
				return err
			default:
				return writeTable(out, "", ignoredRows(list, now()))
			}
		}),
	}
	bindJSON(cmd, &asJSON)
	return cmd
}

func printMachine(out io.Writer, m *api.Machine, now time.Time) error {
	fmt.Fprintf(out, "machine %s\n", m.ID)
	if !m.Recorded {
		fmt.Fprintln(out, "  not recorded: no operator has named it, and no rule holds unknown machines of its kind")
	}
	err := writeTable(out, "  ", machineFacts(&m.MachineStatus, now))
	if len(m.Deployments) > 0 {
		fmt.Fprintln(out, "\nDEPLOYMENTS")
		err = errors.Join(err, writeTable(out, "  ", deploymentRows(m.Deployments, now)))
	}
	if len(m.Timeline) > 0 {
		fmt.Fprintln(out, "\nTIMELINE, newest last")
		err = errors.Join(err, writeTable(out, "  ", timelineRows(m.Timeline, now)))
	}
	return err
}
