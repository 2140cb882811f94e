package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/api/client"
	"github.com/xdpxe/xdpxe/responder/deploy"
)

const groupsExample = `  xdpxe groups add rack7 52:54:00:12:34:56 52:54:00:12:34:57
  xdpxe groups add rack7 --file machines.txt --note 'the new ones'
  xdpxe deploy add --group rack7 --profile linux --once`

func newGroupsCommand(now clock) *cobra.Command {
	var r remote
	cmd := &cobra.Command{Use: "groups", Short: "Name groups of machines, to deploy to all of them", Example: groupsExample}
	r.bind(cmd)
	cmd.AddCommand(newGroupsListCommand(&r, now), newGroupsShowCommand(&r, now), newGroupsAddCommand(&r),
		newGroupsRemoveCommand(&r), newGroupsDeleteCommand(&r))
	return cmd
}

func newGroupsListCommand(r *remote, now clock) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List groups",
		RunE: r.ask(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			list, err := collect(c.Groups(cmd.Context()), nil)
			switch out := cmd.OutOrStdout(); {
			case err != nil:
				return err
			case asJSON:
				return printItems(out, list)
			case len(list) == 0:
				_, err := fmt.Fprintln(out, "no groups")
				return err
			default:
				return writeTable(out, "", groupRows(list, now()))
			}
		}),
	}
	bindJSON(cmd, &asJSON)
	return cmd
}

// groupShown is what groups show tells.
type groupShown struct {
	*deploy.GroupStatus
	Members     []deploy.Identity `json:"members"`
	Deployments []deploy.Status   `json:"deployments"`
}

func newGroupsShowCommand(r *remote, now clock) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show GROUP",
		Short: "Show a group's machines, and what is deployed to it",
		Args:  oneArg("GROUP"),
		RunE: r.ask(func(cmd *cobra.Command, c *client.Client, args []string) (err error) {
			var g groupShown
			if g.GroupStatus, err = c.Group(cmd.Context(), args[0]); err != nil {
				return err
			}
			if g.Members, err = collect(c.GroupMembers(cmd.Context(), args[0]), nil); err != nil {
				return err
			}
			if g.Deployments, err = collect(c.Deployments(cmd.Context(), api.DeploymentFilter{Group: args[0]}), nil); err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if asJSON {
				return printJSON(out, g)
			}
			fmt.Fprintf(out, "group %s\n", g.Name)
			var f facts
			f.add("note", g.Note)
			f.add("created", markText(deploy.Mark{Time: g.Created, By: g.By}, now()))
			f.add("machines", fmt.Sprint(g.Machines))
			if err := writeTable(out, "  ", f); err != nil {
				return err
			}
			if len(g.Deployments) > 0 {
				fmt.Fprintln(out, "\nDEPLOYMENTS")
				if err := writeTable(out, "  ", deploymentRows(g.Deployments, now())); err != nil {
					return err
				}
			}
			if len(g.Members) > 0 {
				fmt.Fprintln(out, "\nMACHINES")
			}
			for _, m := range g.Members {
				fmt.Fprintln(out, "  "+m.String())
			}
			return nil
		}),
		ValidArgsFunction: r.completeOne(groupNames),
	}
	bindJSON(cmd, &asJSON)
	return cmd
}

func newGroupsAddCommand(r *remote) *cobra.Command {
	var note, file string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "add GROUP [MACHINE...]",
		Short:   "Create a group, or add machines to it",
		Example: groupsExample,
		Args:    someArgs("GROUP"),
		RunE: r.ask(func(cmd *cobra.Command, c *client.Client, args []string) error {
			machines, err := machineList(cmd, c, args[1:], file)
			if err != nil {
				return err
			}
			g, err := ensureGroup(cmd.Context(), c, args[0], note, cmd.Flags().Changed("note"))
			if err == nil && len(machines) > 0 {
				g, err = c.ChangeGroupMembers(cmd.Context(), args[0], api.MembersChange{Add: machines})
			}
			if err != nil {
				return err
			}
			return printGroup(cmd, g, asJSON)
		}),
		ValidArgsFunction: r.completeMembers(api.MachineFilter{}),
	}
	cmd.Flags().StringVar(&note, "note", "", "`TEXT` for people")
	cmd.Flags().StringVarP(&file, "file", "f", "", "`FILE` with one machine per line; - is standard input")
	cmd.MarkFlagFilename("file")
	bindJSON(cmd, &asJSON)
	return cmd
}

// ensureGroup returns a group, which it creates if it is not there. A note that
// is not given stays what it is.
func ensureGroup(ctx context.Context, c *client.Client, name, note string, hasNote bool) (*deploy.GroupStatus, error) {
	if !hasNote {
		g, err := c.Group(ctx, name)
		if !isNotFound(err) {
			return g, err
		}
	}
	return c.PutGroup(ctx, name, 0, note)
}

func newGroupsRemoveCommand(r *remote) *cobra.Command {
	var file string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "remove GROUP MACHINE...",
		Short: "Take machines out of a group",
		Args:  someArgs("GROUP"),
		RunE: r.ask(func(cmd *cobra.Command, c *client.Client, args []string) error {
			machines, err := machineList(cmd, c, args[1:], file)
			if err != nil {
				return err
			}
			if len(machines) == 0 {
				return userError(fmt.Errorf("no machine to take out of group %s", args[0]), "name machines, or give --file; \"groups delete\" removes the group")
			}
			g, err := c.ChangeGroupMembers(cmd.Context(), args[0], api.MembersChange{Remove: machines})
			if err != nil {
				return err
			}
			return printGroup(cmd, g, asJSON)
		}),
		ValidArgsFunction: r.completeMembers(api.MachineFilter{}),
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "`FILE` with one machine per line; - is standard input")
	cmd.MarkFlagFilename("file")
	bindJSON(cmd, &asJSON)
	return cmd
}

func newGroupsDeleteCommand(r *remote) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "delete GROUP...",
		Short: "Remove groups to which nothing is deployed any more",
		Args:  someArgs("GROUP"),
		RunE: r.each(&asJSON, "deleted", func(ctx context.Context, c *client.Client, name string) (any, error) {
			return nil, c.DeleteGroup(ctx, name, 0)
		}),
		ValidArgsFunction: r.complete(groupNames),
	}
	bindJSON(cmd, &asJSON)
	return cmd
}

// machineList is the machines of arguments and a file.
func machineList(cmd *cobra.Command, c *client.Client, args []string, file string) ([]deploy.Identity, error) {
	var machines []deploy.Identity
	for _, arg := range args {
		id, err := findMachine(cmd.Context(), c, arg)
		if err != nil {
			return nil, err
		}
		machines = append(machines, id)
	}
	if file == "" {
		return machines, nil
	}
	name, text, err := readInput(file, cmd.InOrStdin())
	if err != nil {
		return nil, err
	}
	targets, err := parseTargets(name, text)
	for _, t := range targets {
		machines = append(machines, t.Machine())
	}
	return machines, err
}

func printGroup(cmd *cobra.Command, g *deploy.GroupStatus, asJSON bool) error {
	if asJSON {
		return printJSON(cmd.OutOrStdout(), g)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", g.Name, count(g.Machines, "machine"))
	return err
}
