package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func newDetachCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "detach",
		Short: "Remove what a crashed daemon left on an interface",
		RunE:  func(*cobra.Command, []string) error { return errors.New("not built in yet") },
	}
}
