package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/bpf"
)

func newObjectCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "object -o FILE",
		Short: "Write the XDP program to a file, for another loader",
		Long: `Write the object file with the XDP program, for those who load it themselves, by
xdp-loader beside other programs for example. The daemon then only opens its maps:
attach: external in the configuration. The program passes everything while no
daemon runs.`,
		Example: `  xdpxe object -o xdpxe.o
  xdp-loader load -n xdpxe -p /sys/fs/bpf/xdpxe/eth0 eth0 xdpxe.o`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return userError(errors.New("no file named"), "as in: xdpxe object -o xdpxe.o; - is the standard output")
			}
			if file == "-" {
				_, err := cmd.OutOrStdout().Write(bpf.Object())
				return err
			}
			return os.WriteFile(file, bpf.Object(), 0o644)
		},
	}
	cmd.Flags().StringVarP(&file, "output", "o", "", "`FILE` to write; - is the standard output")
	cmd.MarkFlagFilename("output", "o")
	return cmd
}
