package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/cmd/internal/fault"
	"github.com/xdpxe/xdpxe/cmd/xdpxe/internal/keeper"
)

// maxKept is the default size of the store: six sockets for each of 64 workers, and some.
const maxKept = 512

func newKeepCommand() *cobra.Command {
	max := maxKept
	cmd := &cobra.Command{
		Use:   "keep [--max-sockets N] -- xdpxe serve ...",
		Short: "Run the boot server, and keep its transfers going across its restarts",
		Long: `Run a program, start it again when it ends, and keep its sockets open meanwhile,
as systemd does with FileDescriptorStoreMax=: for containers and other init
systems. Clients that download notice nothing of a crash or a new version.

SIGTERM and SIGINT end both, SIGHUP is passed on. SIGUSR2 makes the program hand
over to a successor (the one that is in its place on disk then).`,
		Example: "  xdpxe keep -- xdpxe serve -c /etc/xdpxe/xdpxe.yaml",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return userError(errors.New("nothing to run"), "as in: xdpxe keep -- xdpxe serve -c FILE")
			}
			if max < 1 {
				return userError(fmt.Errorf("--max-sockets %d", max), "it must be at least 1")
			}
			signals := make(chan os.Signal, 8)
			signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR2)
			defer signal.Stop(signals)
			stderr := cmd.ErrOrStderr()
			code, err := keeper.Run(cmd.Context(), keeper.Options{
				Args: args, MaxSockets: max, Signals: signals, Stdout: cmd.OutOrStdout(), Stderr: stderr,
				Log: func(format string, args ...any) { fmt.Fprintf(stderr, "xdpxe keep: "+format+"\n", args...) },
			})
			switch {
			case err != nil:
				return machineError(err, "")
			case code != 0:
				return &fault.Error{Err: fmt.Errorf("%s ended with exit code %d", args[0], code), Code: code}
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&max, "max-sockets", max, "keep at most `N` sockets")
	cmd.Flags().SetInterspersed(false)
	return cmd
}
