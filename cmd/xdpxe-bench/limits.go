package main

import (
	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/bench/limits"
	"github.com/xdpxe/xdpxe/cmd/internal/fault"
)

const limitsLong = `limits measures what this machine can do at all, whatever the server: frames
that an XDP program, an AF_XDP socket and a UDP socket send back, flooded by
live XDP frames, and bytes of UDP_SEGMENT bursts to many sockets that nobody
acknowledges. It runs in network namespaces of its own, and needs root.`

func newLimitsCommand() *cobra.Command {
	var out output
	o := limits.DefaultOptions()
	cmd := &cobra.Command{
		Use:   "limits",
		Short: "Measure what this machine can do at all",
		Long:  limitsLong,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.begin(); err != nil {
				return err
			}
			if err := o.Check(); err != nil {
				return fault.User(err, "")
			}
			o.Progress = func(what string) { out.progress(cmd, "%s", what) }
			run, err := limits.Run(cmd.Context(), o)
			if err != nil {
				return err
			}
			return out.finish(cmd, run)
		},
	}
	f := cmd.Flags()
	f.DurationVar(&o.For, "for", o.For, "length of each flood of frames")
	f.IntSliceVar(&o.Queues, "queues", o.Queues, "measure with so many queues, threads and senders")
	f.IntSliceVar(&o.Blocks, "blocks", o.Blocks, "datagrams of a burst, for the blast")
	f.IntVar(&o.Receivers, "receivers", o.Receivers, "sockets that the blast goes to")
	f.Int64Var(&o.Bytes, "bytes", o.Bytes, "bytes that the blast sends to each")
	out.addFlags(cmd)
	return cmd
}
