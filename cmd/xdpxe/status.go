package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/responder/control"
)

func newStatusCommand() *cobra.Command {
	var socket string
	var asJSON bool
	var recent, transfers int
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what the running daemon does",
		Long: `Show what the running daemon does: the datapath of each interface and why it is
not a better one, requests and answers by reason, clients that got no answer
lately, and file transfers. Counters count since the daemon started.`,
		Example: "  xdpxe status\n  xdpxe status --json | jq '.interfaces[].tier'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			client := control.NewClient(socket)
			if asJSON {
				text, err := client.StatusJSON(cmd.Context())
				if err != nil {
					return daemonError(err)
				}
				_, err = cmd.OutOrStdout().Write(text)
				return err
			}
			st, err := client.Status(cmd.Context())
			if err != nil {
				return daemonError(err)
			}
			return printStatus(cmd.OutOrStdout(), st, recent, transfers)
		},
	}
	bindSocket(cmd, &socket)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().IntVar(&transfers, "transfers", 20, "show the `N` transfers that have run longest; --json has all")
	cmd.Flags().IntVar(&recent, "recent", 10, "show the last `N` clients without an answer, and the last N answers")
	return cmd
}

// bindSocket adds --socket to cmd.
func bindSocket(cmd *cobra.Command, socket *string) {
	cmd.Flags().StringVar(socket, "socket", control.DefaultPath, "control socket of the daemon, `PATH`")
	cmd.MarkFlagFilename("socket")
}

// daemonError says what to do when the control socket does not answer.
func daemonError(err error) error {
	switch {
	case errors.Is(err, control.ErrNoDaemon):
		return machineError(err, "is \"xdpxe serve\" running? --socket names another socket (control: in its configuration)")
	case errors.Is(err, fs.ErrPermission):
		return machineError(err, "the socket is for its owner and group; try sudo")
	}
	return machineError(fmt.Errorf("ask the daemon: %w", err), "")
}
