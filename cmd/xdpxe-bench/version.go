package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/cmd/internal/build"
)

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "xdpxe-bench %s, result schema %d\n", build.Version(), result.Schema)
			return err
		},
	}
}
