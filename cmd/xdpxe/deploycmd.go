package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/api/client"
	"github.com/xdpxe/xdpxe/responder/deploy"
)

const deployLong = `Say what machines boot. A rule with "boot: deployed" answers a machine only if
something is deployed to it: once, or whenever it asks.`

const deployExample = `  xdpxe deploy add --mac 52:54:00:12:34:56 --profile linux --once
  xdpxe deploy list --open
  xdpxe deploy show d-06fsbk3h1q0g0000000000000`

func newDeployCommand(now clock) *cobra.Command {
	var r remote
	cmd := &cobra.Command{Use: "deploy", Short: "Deploy profiles to machines", Long: deployLong, Example: deployExample}
	r.bind(cmd)
	cmd.AddCommand(newDeployAddCommand(&r, now), newDeployListCommand(&r, now), newDeployShowCommand(&r, now),
		newDeployCancelCommand(&r), newDeployArmCommand(&r), newDeployDeleteCommand(&r))
	return cmd
}

func newDeployListCommand(r *remote, now clock) *cobra.Command {
	var f api.DeploymentFilter
	var state, machine string
	var open, asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List deployments, the newest last",
		Example: "  xdpxe deploy list --state failed\n  xdpxe deploy list --machine 52:54:00:12:34:56\n  xdpxe deploy list --json | jq -r '.items[].id'",
		RunE: r.ask(func(cmd *cobra.Command, c *client.Client, _ []string) (err error) {
			f.State = deploy.State(state)
			if f.Machine, err = machineFlag(cmd.Context(), c, "machine", machine); err != nil {
				return err
			}
			list, err := collect(c.Deployments(cmd.Context(), f), func(st deploy.Status) bool { return !open || !closed(&st) })
			switch out := cmd.OutOrStdout(); {
			case err != nil:
				return err
			case asJSON:
				return printItems(out, list)
			case len(list) == 0:
				_, err := fmt.Fprintln(out, "no deployments")
				return err
			default:
				return writeTable(out, "", deploymentRows(list, now()))
			}
		}),
	}
	fl := cmd.Flags()
	fl.StringVar(&state, "state", "", "only those in `STATE`: waiting, offered, loading, booted, done, failed, cancelled, expired")
	fl.StringVar(&machine, "machine", "", "only those for this `MACHINE`, by itself or by its groups")
	fl.StringVar(&f.Group, "group", "", "only those for this `GROUP`")
	fl.StringVar(&f.Profile, "profile", "", "only those of this `PROFILE`")
	fl.BoolVar(&open, "open", false, "leave out what is done, cancelled or expired")
	bindJSON(cmd, &asJSON)
	cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(stateNames(), cobra.ShellCompDirectiveNoFileComp))
	cmd.RegisterFlagCompletionFunc("machine", r.complete(machineIDs(api.MachineFilter{})))
	cmd.RegisterFlagCompletionFunc("group", r.complete(groupNames))
	cmd.RegisterFlagCompletionFunc("profile", r.complete(profileNames))
	return cmd
}

func newDeployShowCommand(r *remote, now clock) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show all of a deployment, and how far its machines are",
		Args:  oneArg("ID"),
		RunE: r.ask(func(cmd *cobra.Command, c *client.Client, args []string) error {
			st, err := c.Deployment(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if asJSON && st.Target.Group == "" {
				return printJSON(out, st)
			}
			var runs []deploy.GroupRun
			if st.Target.Group != "" {
				if runs, err = collect(c.Runs(cmd.Context(), args[0]), nil); err != nil {
					return err
				}
			}
			if asJSON {
				return printJSON(out, struct {
					*deploy.Status
					Runs []deploy.GroupRun `json:"runs"`
				}{st, runs})
			}
			return printDeployment(out, st, runs, now())
		}),
		ValidArgsFunction: r.completeOne(deploymentIDs(all)),
	}
	bindJSON(cmd, &asJSON)
	return cmd
}

func newDeployCancelCommand(r *remote) *cobra.Command {
	var reason string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "cancel ID...",
		Short:   "Withdraw deployments",
		Example: "  xdpxe deploy cancel d-06fsbk3h1q0g0000000000000 --reason 'wrong rack'",
		Args:    someArgs("ID"),
		RunE: r.each(&asJSON, "cancelled", func(ctx context.Context, c *client.Client, id string) (any, error) {
			return c.Cancel(ctx, id, 0, reason)
		}),
		ValidArgsFunction: r.complete(deploymentIDs(func(st *deploy.Status) bool { return !closed(st) && st.Run.State != deploy.Failed })),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for people: `TEXT`")
	bindJSON(cmd, &asJSON)
	return cmd
}

func newDeployArmCommand(r *remote) *cobra.Command {
	var machine string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "arm ID...",
		Short: "Let deployments that failed or are used up run again",
		Args:  someArgs("ID"),
		RunE: r.each(&asJSON, "armed: waits for the next network boot", func(ctx context.Context, c *client.Client, id string) (any, error) {
			m, err := machineFlag(ctx, c, "machine", machine)
			if err != nil {
				return nil, err
			}
			return c.Arm(ctx, id, m, 0)
		}),
		ValidArgsFunction: r.complete(deploymentIDs(func(st *deploy.Status) bool {
			return st.Run.State == deploy.Failed || st.Run.State == deploy.Done
		})),
	}
	cmd.Flags().StringVar(&machine, "machine", "", "the `MACHINE` of a group's deployment that may run again")
	cmd.RegisterFlagCompletionFunc("machine", r.complete(machineIDs(api.MachineFilter{})))
	bindJSON(cmd, &asJSON)
	return cmd
}

func newDeployDeleteCommand(r *remote) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "delete ID...",
		Short: "Forget deployments that are over",
		Args:  someArgs("ID"),
		RunE: r.each(&asJSON, "deleted", func(ctx context.Context, c *client.Client, id string) (any, error) {
			return nil, c.Delete(ctx, id, 0)
		}),
		ValidArgsFunction: r.complete(deploymentIDs(func(st *deploy.Status) bool { return closed(st) || st.Run.State == deploy.Failed })),
	}
	bindJSON(cmd, &asJSON)
	return cmd
}

// closed reports that nothing more comes of a deployment and nobody has to look at it.
func closed(st *deploy.Status) bool {
	switch st.Run.State {
	case deploy.Done:
		return st.Once
	case deploy.Cancelled, deploy.Expired:
		return true
	}
	return false
}

func printDeployment(out io.Writer, st *deploy.Status, runs []deploy.GroupRun, now time.Time) error {
	fmt.Fprintf(out, "deployment %s\n", st.ID)
	if err := writeTable(out, "  ", deploymentFacts(st, now)); err != nil {
		return err
	}
	if st.Target.Group == "" || len(runs) == 0 {
		return nil
	}
	fmt.Fprintln(out, "\nMACHINES")
	return writeTable(out, "  ", groupRunRows(runs, now))
}
