// Package notify tells the service manager how the daemon fares (sd_notify(3)).
// Without NOTIFY_SOCKET in the environment every call does nothing.
package notify

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Ready says that requests are being answered, after start or after a reload,
// and shows status in `systemctl status`.
func Ready(status string) error { return send(daemon.SdNotifyReady + statusLine(status)) }

// Status replaces the text in `systemctl status`.
func Status(status string) error { return send(strings.TrimPrefix(statusLine(status), "\n")) }

// Reloading says that a reload began; Ready must follow, also when it failed.
// The time is what Type=notify-reload matches with its own SIGHUP.
func Reloading() error {
	return send(daemon.SdNotifyReloading + "\n" + daemon.SdNotifyMonotonicUsec())
}

// Stopping says that the daemon is on its way out.
func Stopping() error { return send(daemon.SdNotifyStopping) }

// statusLine keeps text from setting other fields.
func statusLine(text string) string {
	return "\nSTATUS=" + strings.NewReplacer("\n", " ", "\r", " ").Replace(text)
}

func send(state string) error {
	if _, err := daemon.SdNotify(false, state); err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	return nil
}

// Watchdog tells the service manager at half of its interval (WATCHDOG_USEC)
// that the daemon lives, as long as alive says so, until ctx ends. Where no
// watchdog is asked for it returns at once. That a sign of life could not be
// sent is no error: if the manager misses it, it acts.
func Watchdog(ctx context.Context, alive func() bool) error {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("watchdog: %w", err)
	}
	if interval == 0 {
		return nil
	}
	t := time.NewTicker(max(interval/2, time.Millisecond))
	defer t.Stop()
	watch(ctx, t.C, alive)
	return nil
}

func watch(ctx context.Context, tick <-chan time.Time, alive func() bool) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
			// Silence is the message: the manager then restarts us.
			if alive() {
				_ = send(daemon.SdNotifyWatchdog)
			}
		}
	}
}
