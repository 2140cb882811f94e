package netdev_test

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/loader/netdev"
	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
)

func TestStats(t *testing.T) {
	xsktest.Namespace(t)
	_, far := xsktest.Veth(t, 2)
	stats, err := netdev.Stats("near")
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]uint64)
	for _, s := range stats {
		if _, twice := got[s.Name]; twice || s.Name == "" {
			t.Errorf("counter %q twice", s.Name)
		}
		got[s.Name] = s.Value
	}
	// Names that ProbeTX and WatchTX read, and a value that is known.
	for _, name := range []string{"rx_queue_0_xdp_tx_errors", "rx_queue_1_xdp_tx_errors", "tx_queue_0_xdp_xmit", "tx_queue_1_xdp_xmit_errors"} {
		if n, ok := got[name]; !ok || n != 0 {
			t.Errorf("%s is %d, %v", name, n, ok)
		}
	}
	if got["peer_ifindex"] != uint64(far.Index) {
		t.Errorf("peer_ifindex is %d, want %d", got["peer_ifindex"], far.Index)
	}
	if stats, err := netdev.Stats("lo"); err != nil || len(stats) != 0 {
		t.Errorf("lo: %v, %v", stats, err)
	}
	if _, err := netdev.Stats("none"); !errors.Is(err, unix.ENODEV) {
		t.Errorf("none: %v", err)
	}
}
