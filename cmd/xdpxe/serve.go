package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/cmd/internal/build"
	"github.com/xdpxe/xdpxe/cmd/xdpxe/internal/fdstore"
	"github.com/xdpxe/xdpxe/responder/config"
)

const serveLong = `Answer PXE clients on the given interfaces and serve their boot files by TFTP.

With -c, a configuration file says who boots what; SIGHUP and changes of the
file reload it. SIGTERM and SIGINT end it and remove all that it made; SIGUSR2
ends it for a successor that starts at once: the XDP program stays meanwhile. Without, --root names a directory: boot programs found in it by
their usual names are served to the clients that they are for.`

func newServeCommand() *cobra.Command {
	var src source
	cmd := &cobra.Command{
		Use:   "serve (-c FILE | -i IFACE --root DIR)",
		Short: "Run the boot server",
		Long:  serveLong,
		Example: `  xdpxe serve -i eth0 --root /srv/boot
  xdpxe serve -c /etc/xdpxe/xdpxe.yaml`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), &src, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	src.bind(cmd)
	return cmd
}

// serve runs the daemon until ctx ends.
func serve(ctx context.Context, src *source, stdout, stderr io.Writer) error {
	// Before the first look at the file, so that no change is missed.
	edited := make(chan struct{}, 1)
	var watchErr error
	if src.file != "" {
		watchErr = config.Watch(ctx, src.file, func() { poke(edited) })
	}
	cfg, found, err := loadComplete(src)
	if err != nil {
		return err
	}
	log, level, err := newLogger(cfg.Log, stderr)
	if err != nil {
		return err
	}
	defer log.Sync()
	printFound(stdout, cfg, found)
	for _, w := range cfg.Warnings {
		log.Warn(w.Error())
	}
	if watchErr != nil {
		log.Warn("the configuration file is not watched; reload by SIGHUP", zap.Error(watchErr))
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	handOver := make(chan os.Signal, 1)
	signal.Notify(handOver, syscall.SIGUSR2)
	defer signal.Stop(handOver)

	store := fdstore.Open()
	d, err := newDaemon(ctx, cfg, store, func() (*config.Config, error) {
		cfg, _, err := loadComplete(src)
		return cfg, err
	}, log, level)
	if err != nil {
		return err
	}
	if store != nil {
		if err := store.Discard(); err != nil {
			log.Warn("what a former process stored", zap.Error(err))
		}
	}
	log.Info("xdpxe starts", zap.String("version", build.Version()), zap.String("config", cfg.File), zap.String("root", cfg.Root))
	ctx, end := context.WithCancel(ctx)
	defer end()
	go func() {
		select {
		case <-handOver:
			log.Info("handing over to a successor")
			d.leaving.Store(true)
			end()
		case <-ctx.Done():
		}
	}()
	if err := d.run(ctx, hup, edited); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	log.Info("xdpxe ends")
	return nil
}

// loadComplete returns a configuration that lacks nothing that a daemon needs.
func loadComplete(src *source) (*config.Config, []config.Found, error) {
	cfg, found, err := src.load()
	if err != nil {
		return nil, nil, err
	}
	if err := join(cfg.Complete(), checkFiles(cfg)); err != nil {
		return nil, nil, err
	}
	return cfg, found, nil
}

// printFound says which client gets which file, where no configuration does.
func printFound(w io.Writer, cfg *config.Config, found []config.Found) {
	if len(found) == 0 {
		return
	}
	fmt.Fprintf(w, "serving from %s:\n", cfg.Root)
	for _, f := range found {
		fmt.Fprintf(w, "  %s\n", f)
	}
}
