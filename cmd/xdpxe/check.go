package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/responder/config"
	"github.com/xdpxe/xdpxe/responder/policy"
)

func newCheckCommand() *cobra.Command {
	var src source
	cmd := &cobra.Command{
		Use:   "check -c FILE",
		Short: "Check a configuration and its boot files",
		Long: `Check a configuration without touching the running daemon: its syntax, its
values, whether every boot file that it names exists below the root, and the
templates among those that profiles name.

Each mistake is one line, FILE:LINE:COL: message, and the exit code is 1.`,
		Example: "  xdpxe check -c /etc/xdpxe/xdpxe.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, found, err := src.load()
			if err != nil {
				return err
			}
			for _, w := range cfg.Warnings {
				fmt.Fprintf(cmd.ErrOrStderr(), "warning: %v\n", w)
			}
			if err := join(complete(cfg), checkFiles(cfg), checkUploads(cfg), checkTemplates(cfg), checkEtcd(cfg)); err != nil {
				return err
			}
			return printSummary(cmd.OutOrStdout(), cfg, found)
		},
	}
	src.bind(cmd)
	return cmd
}

// complete is Config.Complete, but for the interfaces, which -i of serve may give.
func complete(cfg *config.Config) error {
	c := *cfg
	c.Auto = c.Auto || len(c.Interfaces) == 0
	return c.Complete()
}

// join puts mistakes of two searches into one list.
func join(errs ...error) error {
	var all config.Errors
	for _, err := range errs {
		switch e := err.(type) {
		case nil:
		case config.Errors:
			all = append(all, e...)
		case *config.Error:
			all = append(all, e)
		default:
			return err
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// printSummary says what a right configuration does.
func printSummary(w io.Writer, cfg *config.Config, found []config.Found) error {
	name := cfg.File
	if name == "" {
		name = cfg.Root
	}
	ifaces := strings.Join(cfg.Interfaces, ", ")
	switch {
	case cfg.Auto:
		ifaces = "auto"
	case ifaces == "":
		ifaces = "given by -i"
	}
	fallback := cfg.Spec.Default
	if fallback == "" {
		fallback = policy.Ignore
	}
	files, urls := 0, 0
	for _, f := range cfg.Policy.Files() {
		if policy.IsURL(f.File) {
			urls++
		} else {
			files++
		}
	}
	_, err := fmt.Fprintf(w, "%s: ok\n  interfaces %s; datapath %s, deliver %s\n  %s, default %s; %s, %s and %s\n",
		name, ifaces, cfg.Datapath, cfg.Deliver,
		count(len(cfg.Spec.Rules), "rule"), fallback, count(len(cfg.Spec.Profiles), "profile"), count(files, "boot file"), count(urls, "URL"))
	for _, f := range found {
		fmt.Fprintf(w, "  %v\n", f)
	}
	return err
}

// count is n things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
