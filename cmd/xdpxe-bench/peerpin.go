package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/bench/peers/pintftp"
	"github.com/xdpxe/xdpxe/cmd/internal/fault"
)

// newPeerPinCommand is the server of the pin/tftp recipe. It is not for people.
func newPeerPinCommand() *cobra.Command {
	var listen, root string
	var version bool
	cmd := &cobra.Command{
		Use:    "peer-pin --listen ADDRESS:PORT --root DIR",
		Short:  "Serve a directory by github.com/pin/tftp",
		Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if version {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), pintftp.Version())
				return err
			}
			if listen == "" || root == "" {
				return fault.User(errors.New("both --listen and --root are needed"), "")
			}
			return pintftp.Serve(cmd.Context(), listen, root)
		},
	}
	f := cmd.Flags()
	f.StringVar(&listen, "listen", "", "`ADDRESS:PORT` to serve on")
	f.StringVar(&root, "root", "", "`DIR` to serve")
	f.BoolVar(&version, "version", false, "print the library's version")
	return cmd
}
