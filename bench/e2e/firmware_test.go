package e2e

import (
	"fmt"
	"testing"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/client"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
)

// Unmodified firmware reaches a running boot program, which gets its script,
// on the server's own network and behind a router.
func TestFirmware(t *testing.T) {
	labtest.Need(t, true)
	for _, topology := range []lab.Topology{lab.Flat, lab.Relayed} {
		for _, firmware := range []lab.Firmware{lab.UEFI, lab.BIOS} {
			t.Run(fmt.Sprintf("%v/%v", topology, firmware), func(t *testing.T) {
				t.Parallel()
				ctx := labtest.Context(t, patience)
				r, daemons := rack(ctx, t, topology, lab.DaemonConfig{})
				boot(ctx, t, r, firmware)
				checkAnswered(t, daemons[0])
			})
		}
	}
}

// Every datapath boots real firmware, both kinds of simulated clients agree,
// and it is really that datapath which answers.
func TestDatapaths(t *testing.T) {
	labtest.Need(t, true)
	for _, datapath := range []string{"native", "generic", "socket"} {
		t.Run(datapath, func(t *testing.T) {
			t.Parallel()
			ctx := labtest.Context(t, patience)
			r, daemons := rack(ctx, t, lab.Flat, lab.DaemonConfig{Datapath: datapath})
			checkTier(ctx, t, daemons[0], datapath, "")
			simulate(ctx, t, r, "edk2", client.EDK2)
			simulate(ctx, t, r, "ipxe", client.IPXE)
			boot(ctx, t, r, lab.UEFI)
			checkAnswered(t, daemons[0])
		})
	}
}

// Beside a DHCP server on the same host and port 67, xdpxe leaves it its
// requests: `auto` sees it and takes copies.
func TestTeeBesideDHCPServer(t *testing.T) {
	labtest.Need(t, true)
	t.Parallel()
	ctx := labtest.Context(t, patience)
	r, node, root := labtest.BootServer(ctx, t)
	dhcp, err := r.StartDHCP(ctx, node, nil)
	if err != nil {
		t.Fatal(err)
	}
	labtest.ShowOnFailure(t, dhcp)
	d := start(ctx, t, node, lab.DaemonConfig{Root: root})
	checkTier(ctx, t, d, "ringbuf", "tee")

	out := simulate(ctx, t, r, "edk2", client.EDK2)
	if out.DHCPServer != node.Addr || out.BootServer != node.Addr {
		t.Errorf("lease from %v, boot file from %v; want both from %v", out.DHCPServer, out.BootServer, node.Addr)
	}
	simulate(ctx, t, r, "ipxe", client.IPXE)
	boot(ctx, t, r, lab.UEFI)
	checkAnswered(t, d)
}

// checkAnswered looks at the daemon's own count: what booted must have been answered by it.
func checkAnswered(t *testing.T, d *lab.Daemon) {
	t.Helper()
	s, err := d.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := s.Count("answered"); n < 2 {
		t.Errorf("%s counts %d answered requests, want the firmware's and the boot program's: %+v", d.Name, n, s.Requests)
	}
}
