package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/bpf"
)

func newObjectCommand() *cobra.Command {
	var file string
	var fixed bool
	cmd := &cobra.Command{
		Use:   "object -o FILE",
		Short: "Write the XDP program to a file, for another loader",
		Long: `Write the object file with the XDP program, for those who load it themselves, by
xdp-loader beside other programs for example. The daemon then only opens its maps:
attach: external in the configuration. The program passes everything while no
daemon runs.

xdp-loader before 1.5.5 cannot load it on newer kernels ("Extension program
changes packet data"). It can with --fixed-length; answers that have not the
length of the request are then the daemon's.`,
		Example: `  xdpxe object -o xdpxe.o
  mkdir -p /sys/fs/bpf/xdpxe
  xdp-loader load -n xdpxe -p /sys/fs/bpf/xdpxe/eth0 eth0 xdpxe.o`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return userError(errors.New("no file named"), "as in: xdpxe object -o xdpxe.o; - is the standard output")
			}
			object := bpf.Object()
			if fixed {
				var err error
				if object, err = bpf.FixedLengthObject(); err != nil {
					return err
				}
			}
			if file == "-" {
				_, err := cmd.OutOrStdout().Write(object)
				return err
			}
			return os.WriteFile(file, object, 0o644)
		},
	}
	cmd.Flags().StringVarP(&file, "output", "o", "", "`FILE` to write; - is the standard output")
	cmd.Flags().BoolVar(&fixed, "fixed-length", false, "leave out what changes a frame's length, for xdp-loader before 1.5.5")
	cmd.MarkFlagFilename("output", "o")
	return cmd
}
