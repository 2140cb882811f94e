package e2e

import (
	"context"
	"net/netip"
	"testing"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
)

// From the second boot on the kernel answers all that firmware and its boot
// program ask, whichever machine it is: their DISCOVERs and the request on 4011.
func TestKernelAnswersFirmware(t *testing.T) {
	labtest.Need(t, true)
	for _, topology := range []lab.Topology{lab.Flat, lab.Relayed} {
		t.Run(topology.String(), func(t *testing.T) {
			t.Parallel()
			ctx := labtest.Context(t, patience)
			r, root := labtest.Rack(ctx, t, topology)
			node, err := r.AddBootServer()
			if err != nil {
				t.Fatal(err)
			}
			labtest.Polls(t, node)
			d := start(ctx, t, node, lab.DaemonConfig{Root: root, Datapath: "native"})
			if topology == lab.Relayed {
				relay, err := r.StartRelay(ctx, []netip.Addr{r.DHCP.Addr, node.Addr}, nil)
				if err != nil {
					t.Fatal(err)
				}
				labtest.ShowOnFailure(t, relay)
			}
			boot(ctx, t, r, lab.UEFI)
			first := answers(ctx, t, d)
			boot(ctx, t, r, lab.UEFI)
			second := answers(ctx, t, d)
			for _, stage := range []string{"discover", "boot_server"} {
				if n := second[by{"kernel", stage}] - first[by{"kernel", stage}]; n == 0 {
					t.Errorf("%s: the kernel answered none at the second boot: %v, before %v", stage, second, first)
				}
				if n := second[by{"native", stage}] - first[by{"native", stage}]; n != 0 {
					t.Errorf("%s: the daemon answered %d at the second boot: %v, before %v", stage, n, second, first)
				}
			}
		})
	}
}

// by is who answered what.
type by struct{ tier, stage string }

// answers counts them by the daemon's own account.
func answers(ctx context.Context, t *testing.T, d *lab.Daemon) map[by]uint64 {
	t.Helper()
	s, err := d.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	counts := make(map[by]uint64)
	for _, r := range s.Requests {
		if r.Reason == "answered" {
			counts[by{r.Tier, r.Stage}] += r.Count
		}
	}
	return counts
}
