package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/bench/xdp"
	"github.com/xdpxe/xdpxe/cmd/internal/fault"
)

const bounceLong = `Sends every UDP datagram that comes in on an interface back to where it came
from, by XDP_TX and untouched but for the MAC addresses: the least that
answering can cost, for "xdpxe-bench dhcp --sender live --bounced" to load.`

func newBounceCommand() *cobra.Command {
	var iface string
	cmd := &cobra.Command{
		Use:   "bounce -i INTERFACE",
		Short: "Send back what comes in, for comparison",
		Long:  bounceLong,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := xdp.OpenBounce(iface)
			if err != nil {
				return fault.Machine(err, "it needs CAP_BPF, CAP_NET_ADMIN and an interface without another XDP program")
			}
			fmt.Fprintln(cmd.OutOrStdout(), "bouncing on", iface)
			<-cmd.Context().Done()
			return b.Close()
		},
	}
	cmd.Flags().StringVarP(&iface, "interface", "i", "", "the `INTERFACE`")
	return cmd
}
