package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/loader"
	"github.com/xdpxe/xdpxe/responder/config"
	"github.com/xdpxe/xdpxe/responder/control"
)

func newDetachCommand() *cobra.Command {
	var ifaces []string
	var all bool
	var runDir, pinDir string
	cmd := &cobra.Command{
		Use:   "detach (-i INTERFACE | --all)",
		Short: "Remove what a crashed daemon left on an interface",
		Long: `Remove what a daemon that was killed left on an interface: its XDP program, if
anything still holds it, what it pinned, and VLAN offloads that were turned off
for it. Such a program does no harm, it passes everything; the next "xdpxe serve"
takes it over or removes it. --all also removes the pins of interfaces that are no more. Programs of others, and of a daemon that lives, are left alone.`,
		Example: "  xdpxe detach -i eth0\n  xdpxe detach --all",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if all == (len(ifaces) > 0) {
				return userError(errors.New("no interface"), "give either -i INTERFACE or --all")
			}
			if all {
				return detachAll(cmd.OutOrStdout(), runDir, pinDir)
			}
			var errs []error
			for _, name := range ifaces {
				removed, err := loader.Detach(name, runDir, pinDir)
				if !printRemoved(cmd.OutOrStdout(), name, &removed) && err == nil {
					fmt.Fprintf(cmd.OutOrStdout(), "%s: nothing to remove\n", name)
				}
				errs = append(errs, err)
			}
			return detachError(errors.Join(errs...))
		},
	}
	fl := cmd.Flags()
	fl.StringSliceVarP(&ifaces, "interface", "i", nil, "`INTERFACE`, repeatable")
	fl.BoolVar(&all, "all", false, "all interfaces of this network namespace")
	fl.StringVar(&runDir, "run-dir", filepath.Dir(control.DefaultPath), "`DIRECTORY` of the daemon's control socket, where it notes what to restore")
	fl.StringVar(&pinDir, "bpffs", config.Default().BPFFS, "`DIRECTORY` of the daemon's pins")
	cmd.MarkFlagDirname("run-dir")
	cmd.MarkFlagDirname("bpffs")
	return cmd
}

// detachAll looks at every interface. What is not for us to remove is no error here.
func detachAll(w io.Writer, runDir, pinDir string) error {
	list, err := net.Interfaces()
	if err != nil {
		return err
	}
	var errs []error
	said := false
	for _, ifi := range list {
		removed, err := loader.Detach(ifi.Name, runDir, pinDir)
		said = printRemoved(w, ifi.Name, &removed) || said
		if errors.Is(err, loader.ErrBusy) {
			fmt.Fprintf(w, "%s: left alone: %v\n", ifi.Name, err)
			said = true
			continue
		}
		errs = append(errs, err)
	}
	gone, err := loader.DetachGone(pinDir)
	if gone > 0 {
		fmt.Fprintf(w, "removed the pins of %d interfaces that are no more\n", gone)
		said = true
	}
	err = errors.Join(append(errs, err)...)
	if !said && err == nil {
		fmt.Fprintln(w, "nothing to remove")
	}
	return detachError(err)
}

// printRemoved says what was removed, if anything.
func printRemoved(w io.Writer, iface string, r *loader.Removed) bool {
	if r.Program != 0 {
		fmt.Fprintf(w, "%s: removed XDP program id %d (%s)\n", iface, r.Program, r.Mode)
	}
	if len(r.Offloads) > 0 {
		fmt.Fprintf(w, "%s: turned on again: %s\n", iface, strings.Join(r.Offloads, ", "))
	}
	return r.Program != 0 || len(r.Offloads) > 0
}

// detachError says what to do about a refusal.
func detachError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return machineError(err, "this takes root, or CAP_SYS_ADMIN and CAP_NET_ADMIN")
	}
	return machineError(err, "")
}
