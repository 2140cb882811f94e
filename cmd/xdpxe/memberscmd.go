package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/api/client"
)

const membersLong = `Show the boot servers that have a store in common. Each machine is one server's;
when that dies or drains, the others have its machines.`

func newMembersCommand(now clock) *cobra.Command {
	var r remote
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "members",
		Short: "Show the fleet of boot servers; drain one of them",
		Long:  membersLong,
		RunE: r.ask(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			m, err := c.Members(cmd.Context())
			if err != nil {
				return err
			}
			return printMembers(cmd, m, asJSON, now())
		}),
	}
	r.bind(cmd)
	bindJSON(cmd, &asJSON)
	cmd.AddCommand(
		newMembersChangeCommand(&r, now, "drain", "Have the others take over this server's machines, before it is stopped", (*client.Client).Drain),
		newMembersChangeCommand(&r, now, "resume", "Undo drain", (*client.Client).Resume))
	return cmd
}

func newMembersChangeCommand(r *remote, now clock, verb, short string, change func(*client.Client, context.Context) (*api.Members, error)) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   verb,
		Short: short,
		RunE: r.ask(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			m, err := change(c, cmd.Context())
			if err != nil {
				return err
			}
			return printMembers(cmd, m, asJSON, now())
		}),
	}
	bindJSON(cmd, &asJSON)
	return cmd
}

func printMembers(cmd *cobra.Command, m *api.Members, asJSON bool, now time.Time) error {
	out := cmd.OutOrStdout()
	if asJSON {
		return printJSON(out, m)
	}
	rows := [][]string{{"MEMBER", "STATE", "ADDRESSES", "VERSION", "SINCE"}}
	for i := range m.Items {
		s := &m.Items[i]
		name, state := s.Name, "serves"
		if s.Name == m.Self {
			name += " (asked)"
		}
		if s.Draining {
			state = "draining"
		}
		rows = append(rows, []string{name, state, orDash(strings.Join(s.Addresses, " ")), orDash(s.Version), ago(now, s.Since)})
	}
	err := writeTable(out, "", rows)
	switch {
	case err != nil:
	case !m.Fleet:
		_, err = fmt.Fprintln(out, "alone: it has no store in common with others (store: etcd: in its configuration)")
	case !m.Member:
		_, err = fmt.Fprintf(out, "%s is no member, the others do not know of it: %s\n", m.Self, clean(orNone(m.Problem)))
	case m.Problem != "":
		_, err = fmt.Fprintf(out, "%s: last trouble: %s\n", m.Self, clean(m.Problem))
	}
	return err
}
