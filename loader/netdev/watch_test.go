package netdev_test

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/loader/netdev"
	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
)

// within is longer than anything here takes; it is never waited out in a test that passes.
const within = 10 * time.Second

func watch(t *testing.T) <-chan struct{} {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	changes := make(chan struct{}, 1024)
	if err := netdev.Watch(ctx, func() { changes <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	return changes
}

// until waits for changes until the facts are as wanted.
func until(t *testing.T, changes <-chan struct{}, name string, want func(*netdev.Facts) bool) {
	t.Helper()
	end := time.After(within)
	for {
		select {
		case <-changes:
			if f, err := netdev.Read(name); err == nil && want(f) {
				return
			}
		case <-end:
			t.Fatal("no notice of the change")
		}
	}
}

func TestWatch(t *testing.T) {
	xsktest.Namespace(t)
	xsktest.Veth(t, 2)
	changes := watch(t)
	ip(t, "addr", "add", "192.0.2.10/24", "dev", "near")
	until(t, changes, "near", func(f *netdev.Facts) bool { return len(f.Addrs) == 1 })
	ip(t, "addr", "del", "192.0.2.10/24", "dev", "near")
	until(t, changes, "near", func(f *netdev.Facts) bool { return len(f.Addrs) == 0 })
	ip(t, "link", "set", "near", "down")
	until(t, changes, "near", func(f *netdev.Facts) bool { return !f.Up })
	ip(t, "link", "set", "near", "up")
	until(t, changes, "near", func(f *netdev.Facts) bool { return f.Up && f.Carrier })
	if out, err := exec.Command("ethtool", "-L", "near", "rx", "1").CombinedOutput(); err != nil {
		t.Fatalf("ethtool -L: %v: %s", err, out)
	}
	until(t, changes, "near", func(f *netdev.Facts) bool { return f.RXQueues == 1 })
	ip(t, "link", "add", "br0", "type", "bridge")
	ip(t, "link", "set", "near", "master", "br0")
	until(t, changes, "near", func(f *netdev.Facts) bool { return f.Bridge == "br0" })
	ip(t, "link", "del", "near")
	ip(t, "link", "add", "near", "type", "veth", "peer", "name", "far")
	until(t, changes, "near", func(f *netdev.Facts) bool { return f.Bridge == "" })
}

func TestWatchEnds(t *testing.T) {
	xsktest.Namespace(t)
	ctx, cancel := context.WithCancel(context.Background())
	changes := make(chan struct{}, 1024)
	if err := netdev.Watch(ctx, func() { changes <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	ip(t, "link", "set", "lo", "up")
	select {
	case <-changes:
	case <-time.After(within):
		t.Fatal("no notice")
	}
	cancel()
	// After the end nobody calls any more: a watch that began later sees this change, ours does not.
	later := watch(t)
	for len(changes) > 0 {
		<-changes
	}
	ip(t, "link", "set", "lo", "down")
	select {
	case <-later:
	case <-time.After(within):
		t.Fatal("no notice")
	}
	if len(changes) > 0 {
		t.Error("notices after the end")
	}
}
