package e2e

import (
	"testing"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/client"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
)

// A DHCP server that meddles with network boot is named to the operator: it
// keeps clients from us although both sides do their part.
func TestNamesMeddlingDHCPServer(t *testing.T) {
	labtest.Need(t, false)
	for _, datapath := range []string{"native", "socket"} {
		t.Run(datapath, func(t *testing.T) {
			ctx := labtest.Context(t, patience)
			r, daemons := rack(ctx, t, lab.Flat, lab.DaemonConfig{Datapath: datapath})
			if err := r.DHCPServer.Stop(); err != nil {
				t.Fatal(err)
			}
			meddler, err := r.DHCP.Start(lab.Command{Args: []string{
				"dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--log-facility=-", "--log-dhcp", "--port=0", "--user=root", "--no-ping",
				"--interface=" + lab.Iface, "--pid-file=", "--leasefile-ro", "--dhcp-range=192.0.2.100,192.0.2.200,10m",
				"--dhcp-option-force=60,PXEClient", "--dhcp-boot=theirs.efi",
			}})
			if err != nil {
				t.Fatal(err)
			}
			labtest.ShowOnFailure(t, meddler)
			if _, err := meddler.Log.Wait(ctx, "DHCP, IP range"); err != nil {
				t.Fatal(err)
			}
			node, err := r.AddClient("victim")
			if err != nil {
				t.Fatal(err)
			}
			// Whatever becomes of it: its exchange with the DHCP server is what is looked at.
			_, err = (&client.Client{Node: node, Style: client.EDK2, Arch: archX64}).Boot(ctx)
			t.Logf("the client: %v", err)
			for _, want := range []string{`"trouble": "server_claims_pxe", "server": "` + r.DHCP.Addr.String(), `"trouble": "server_fills_boot_file", "server": "` + r.DHCP.Addr.String()} {
				if _, err := daemons[0].Log.Wait(ctx, want); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
