package main

import (
	"github.com/spf13/cobra"
)

const rootLong = `xdpxe tells PXE clients what to boot and sends it to them. It is never a DHCP
server: addresses stay with the one that the site has.

  xdpxe serve -i eth0 --root /srv/boot      a first run, without a configuration
  xdpxe check -c /etc/xdpxe/xdpxe.yaml      is the configuration right?
  xdpxe explain --mac 52:54:00:12:34:56 --arch x64-uefi -c /etc/xdpxe/xdpxe.yaml
                                            what would that machine boot, and why?
  xdpxe status                              what the daemon does now`

// newRootCommand assembles the program.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "xdpxe",
		Short: "PXE boot server on XDP",
		Long:  rootLong,
		// Errors are printed once, by main, in our own words.
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return userError(err, "see "+cmd.CommandPath()+" --help")
	})
	root.AddCommand(newServeCommand(), newCheckCommand(), newExplainCommand(),
		newStatusCommand(), newCaptureCommand(), newDetachCommand(), newVersionCommand())
	// What a command returns without saying whose fault it is, is the
	// machine's; what cobra itself finds wrong before that is the user's.
	for _, cmd := range root.Commands() {
		cmd.Args = cobra.NoArgs
		cmd.DisableFlagsInUseLine = true
		inner := cmd.RunE
		cmd.RunE = func(cmd *cobra.Command, args []string) error { return classify(inner(cmd, args)) }
	}
	return root
}
