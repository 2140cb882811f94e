package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/api/client"
	"github.com/xdpxe/xdpxe/responder/deploy"
)

func newEventsCommand(now clock) *cobra.Command {
	var r remote
	var machine string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show what happens to machines, as it happens",
		Long: `Show what happens to machines from now on, until Ctrl-C: requests and what became
of them, transfers, steps of deployments. "xdpxe machines show" has what was before.`,
		Example: "  xdpxe events\n  xdpxe events --machine 52:54:00:12:34:56 --json",
		RunE: r.ask(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			id, err := machineFlag(cmd.Context(), c, "machine", machine)
			if err != nil {
				return err
			}
			return followEvents(cmd, c, id, asJSON, now)
		}),
	}
	r.bind(cmd)
	cmd.Flags().StringVar(&machine, "machine", "", "only what happens to this `MACHINE`")
	cmd.RegisterFlagCompletionFunc("machine", r.complete(machineIDs(api.MachineFilter{})))
	bindJSON(cmd, &asJSON)
	return cmd
}

// followEvents shows what happens until the command's context ends. Of one
// machine it is not said whose it is.
func followEvents(cmd *cobra.Command, c *client.Client, machine deploy.Identity, asJSON bool, now clock) error {
	out := cmd.OutOrStdout()
	for e, err := range c.Events(cmd.Context(), machine) {
		switch {
		case err != nil:
			return err
		case e.Dropped > 0 && asJSON:
			err = printLine(out, api.Dropped{Dropped: e.Dropped})
		case e.Dropped > 0:
			_, err = fmt.Fprintf(out, "... %s could not be told here: too many at once\n", count(int(e.Dropped), "event"))
		case asJSON:
			err = printLine(out, e)
		default:
			_, err = fmt.Fprintln(out, eventLine(&e, machine.IsZero(), now()))
		}
		if err != nil {
			return err
		}
	}
	if cmd.Context().Err() != nil {
		return nil
	}
	return machineError(errors.New("the daemon ended the stream of events"), "")
}
