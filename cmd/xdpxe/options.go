package main

import (
	"path/filepath"

	"github.com/xdpxe/xdpxe/loader"
	"github.com/xdpxe/xdpxe/responder/config"
)

// portOptionsOf returns what a port is opened with.
func portOptionsOf(cfg *config.Config, iface string) portOptions {
	return portOptions{
		Options: loader.Options{
			Iface:         iface,
			Datapath:      loader.Tier(cfg.Datapath),
			Deliver:       loader.Deliver(cfg.Deliver),
			VendorClasses: cfg.VendorClasses,
			Stale:         cfg.Heartbeat,
			ZeroCopy:      cfg.ZeroCopy,
			GuardFilter:   int(cfg.Guard.Memory),
			GuardSources:  cfg.Guard.Clients,
			RunDir:        filepath.Dir(cfg.Control.Socket),
			PinDir:        cfg.BPFFS,
			External:      cfg.Attach == config.AttachExternal,
		},
		Address:       cfg.Address,
		KernelAnswers: cfg.Kernel.Answers == config.KernelAuto,
	}
}
