package main

import (
	"context"
	"reflect"
	"slices"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/xdpxe/xdpxe/cmd/xdpxe/internal/notify"
	"github.com/xdpxe/xdpxe/responder/config"
)

// reloadState is how reloads went.
type reloadState struct {
	loaded      time.Time // of the configuration in force
	ok, failed  uint64
	lastError   string
	lastErrorAt time.Time
}

// reload puts the configuration as it is now in force, all or nothing: with
// any mistake in it everything stays as it was.
func (d *daemon) reload(ctx context.Context) {
	notifyOr(d.log, notify.Reloading())
	err := d.tryReload(ctx)
	d.mu.Lock()
	if err != nil {
		d.reloads.failed++
		d.reloads.lastError, d.reloads.lastErrorAt = err.Error(), time.Now()
	} else {
		d.reloads.ok++
		d.reloads.loaded, d.reloads.lastError = time.Now(), ""
	}
	d.mu.Unlock()
	if err != nil {
		d.log.Error("the new configuration is not used, the last good one stays in force", zap.Error(err))
	} else {
		d.log.Info("configuration reloaded")
	}
	notifyOr(d.log, notify.Ready(d.summary()))
}

func (d *daemon) tryReload(ctx context.Context) error {
	cfg, err := d.load()
	if err != nil {
		return err
	}
	if cfg.Store != nil && d.kept == nil {
		return cfg.Problem("store", errNoStore, "restart it")
	}
	hooks, err := openHooks(cfg, d.name, d.hooks, d.log)
	if err != nil {
		return err
	}
	root, err := openRoot(cfg)
	if err == nil && d.api != nil {
		err = d.api.Reload() // its certificate and token
	}
	if err != nil {
		if root != nil {
			root.Close()
		}
		closeHooks(hooks, d.hooks)
		return err
	}
	// A file server neither comes nor goes while the daemon runs (needRestart
	// says so): without a new root it keeps the one that it has.
	switch {
	case d.tftp == nil && root != nil:
		root.Close()
		root = nil
	case root == nil:
		root = d.root
	}
	d.mu.Lock()
	keys := needRestart(d.config, cfg)
	if key := remembers(cfg, root); d.memory == nil && key != "" && !slices.Contains(keys, "tftp") {
		keys = append(keys, key)
	}
	for _, key := range keys {
		d.log.Warn("takes effect at the next start only", zap.String("key", key))
	}
	former := d.hooks
	d.adopt(cfg, root, hooks)
	d.mu.Unlock()
	closeHooks(former, hooks)
	if level, err := zapcore.ParseLevel(cfg.Log.Level); err == nil {
		d.level.SetLevel(level)
	}
	for _, w := range cfg.Warnings {
		d.log.Warn(w.Error())
	}
	d.matchPorts(ctx, cfg)
	return nil
}

// sameTFTP compares all but what a running file server takes.
func sameTFTP(a, b config.TFTP) bool {
	a.Networks, b.Networks = nil, nil
	return reflect.DeepEqual(a, b)
}

// needRestart returns the keys whose new values a running daemon cannot take.
func needRestart(was, is *config.Config) (keys []string) {
	for key, same := range map[string]bool{
		"tftp":    sameTFTP(was.TFTP, is.TFTP),
		"metrics": was.Metrics == is.Metrics,
		"control": was.Control == is.Control,
		"api":     was.API == is.API,
		"store":   reflect.DeepEqual(was.Store, is.Store),
		"server":  was.Server == is.Server,
		"log":     was.Log.Format == is.Log.Format,
		"root":    (was.Root == "") == (is.Root == ""),
	} {
		if !same {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
