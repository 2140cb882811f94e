package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/api/client"
	"github.com/xdpxe/xdpxe/responder/deploy"
)

// completeWithin is how long somebody who has typed TAB waits for the daemon.
const completeWithin = 500 * time.Millisecond

// maxCompletions bounds what is offered; nobody reads more. Of deployments the
// last ones count.
const maxCompletions = 200

// completer tells words that can stand there, with a description.
type completer func(ctx context.Context, c *client.Client, offer func(word, description string)) error

// complete offers the words that the daemon knows. Without one, or when it is
// slow, there are none, or fewer: an error message has no place in a prompt.
func (r *remote) complete(words completer) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		c, err := r.client()
		if err != nil {
			return nil, directive
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
		defer cancel()
		given := make(map[string]bool)
		for _, arg := range args {
			given[arg] = true
		}
		var offers []cobra.Completion
		_ = words(ctx, c, func(word, description string) {
			if strings.HasPrefix(word, begun) && !given[word] {
				offers = append(offers, cobra.CompletionWithDesc(word, clean(description)))
			}
		})
		return offers[max(0, len(offers)-maxCompletions):], directive
	}
}

// completeOne is complete for the first argument only.
func (r *remote) completeOne(words completer) cobra.CompletionFunc {
	some := r.complete(words)
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return some(cmd, args, begun)
	}
}

// all is the filter of those who want any deployment.
func all(*deploy.Status) bool { return true }

// deploymentIDs are those of deployments that pass.
func deploymentIDs(pass func(*deploy.Status) bool) completer {
	return func(ctx context.Context, c *client.Client, offer func(word, description string)) error {
		for st, err := range c.Deployments(ctx, api.DeploymentFilter{}) {
			if err != nil {
				return err
			}
			if pass(&st) {
				offer(st.ID, st.Profile+" for "+forText(&st)+", "+stateText(&st))
			}
		}
		return nil
	}
}

// machineIDs are those of recorded machines.
func machineIDs(f api.MachineFilter) completer {
	return func(ctx context.Context, c *client.Client, offer func(word, description string)) error {
		for m, err := range c.Machines(ctx, f) {
			if err != nil {
				return err
			}
			words := strings.TrimLeft(strings.Join([]string{m.Name, m.Arch, viaText(&m.Machine)}, " "), " ")
			offer(m.ID.String(), words)
		}
		return nil
	}
}

func groupNames(ctx context.Context, c *client.Client, offer func(word, description string)) error {
	for g, err := range c.Groups(ctx) {
		if err != nil {
			return err
		}
		offer(g.Name, count(g.Machines, "machine")+" "+g.Note)
	}
	return nil
}

func profileNames(ctx context.Context, c *client.Client, offer func(word, description string)) error {
	profiles, err := c.Profiles(ctx)
	for _, p := range profiles {
		offer(p.Name, "")
	}
	return err
}

func ignoredPatterns(ctx context.Context, c *client.Client, offer func(word, description string)) error {
	for p, err := range c.Ignored(ctx) {
		if err != nil {
			return err
		}
		offer(p.Pattern.String(), p.Reason)
	}
	return nil
}

func stateNames() []string {
	var names []string
	for _, s := range attention {
		names = append(names, string(s))
	}
	return names
}

// completeMembers offers a group, then machines for it.
func (r *remote) completeMembers(f api.MachineFilter) cobra.CompletionFunc {
	groups, machines := r.complete(groupNames), r.complete(machineIDs(f))
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return groups(cmd, args, begun)
		}
		return machines(cmd, args, begun)
	}
}
