package main

import (
	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/cmd/internal/fault"
)

const rootLong = `xdpxe tells PXE clients what to boot and sends it to them. It is never a DHCP
server: addresses stay with the one that the site has.

  xdpxe serve -i eth0 --root /srv/boot      a first run, without a configuration
  xdpxe check -c /etc/xdpxe/xdpxe.yaml      is the configuration right?
  xdpxe explain --mac 52:54:00:12:34:56 --arch x64-uefi -c /etc/xdpxe/xdpxe.yaml
                                            what would that machine boot, and why?
  xdpxe status                              what the daemon does now
  xdpxe deploy add --mac 52:54:00:12:34:56 --profile linux --once
                                            have that machine boot it, next time only`

// newRootCommand assembles the program. now is the operator's clock.
func newRootCommand(now clock) *cobra.Command {
	return fault.Root(&cobra.Command{Use: "xdpxe", Short: "PXE boot server on XDP", Long: rootLong}, classify,
		newServeCommand(), newKeepCommand(), newCheckCommand(), newExplainCommand(),
		newStatusCommand(), newDeployCommand(now), newMachinesCommand(now), newGroupsCommand(now), newMembersCommand(now), newEventsCommand(now),
		newCaptureCommand(), newDetachCommand(), newObjectCommand(), newVersionCommand())
}
