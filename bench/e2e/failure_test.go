package e2e

import (
	"errors"
	"syscall"
	"testing"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/client"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
)

// Two xdpxe answer the same clients. One is killed: the next clients boot from
// the other, and its host hears DHCP again, as if xdpxe had never been there.
func TestSideBySide(t *testing.T) {
	labtest.Need(t, true)
	for _, datapath := range []string{"native", "generic", "ringbuf"} {
		t.Run(datapath, func(t *testing.T) {
			t.Parallel()
			ctx := labtest.Context(t, patience)
			// Both take requests away from their hosts, which is the worst case for what comes after.
			config := lab.DaemonConfig{Datapath: datapath, Deliver: "steal"}
			r, daemons := rack(ctx, t, lab.Flat, config, config)
			dead, alive := daemons[0], daemons[1]

			out := simulate(ctx, t, r, "before", client.EDK2)
			if out.BootServer != dead.Node.Addr && out.BootServer != alive.Node.Addr {
				t.Errorf("booted from %v", out.BootServer)
			}
			if err := dead.Kill(); err != nil {
				t.Fatal(err)
			}

			// The DHCP server that was there all the time goes; the dead one's host has the only one.
			dhcp, err := r.StartDHCP(ctx, dead.Node, nil)
			if err != nil {
				t.Fatal(err)
			}
			labtest.ShowOnFailure(t, dhcp)
			if err := r.DHCPServer.Stop(); err != nil {
				t.Fatal(err)
			}
			out = simulate(ctx, t, r, "after", client.EDK2)
			if out.DHCPServer != dead.Node.Addr || out.BootServer != alive.Node.Addr {
				t.Errorf("lease from %v, boot file from %v; want them from the dead one's host %v and from %v",
					out.DHCPServer, out.BootServer, dead.Node.Addr, alive.Node.Addr)
			}
			if datapath == "native" {
				boot(ctx, t, r, lab.UEFI)
			}

			// What the killed one left is no obstacle to the next start.
			if err := dhcp.Stop(); err != nil {
				t.Fatal(err)
			}
			if err := dead.Restart(ctx, binary(t), nil); err != nil {
				t.Fatal(err)
			}
			checkTier(ctx, t, dead, datapath, "steal")
		})
	}
}

// A daemon that hangs takes nothing from its host either: when its heartbeat
// stops, requests pass to the DHCP server there, and they are its own again
// when it goes on.
func TestHungDaemonPassesDHCP(t *testing.T) {
	labtest.Need(t, false)
	for _, datapath := range []string{"native", "generic", "ringbuf"} {
		t.Run(datapath, func(t *testing.T) {
			t.Parallel()
			ctx := labtest.Context(t, patience)
			r, root := labtest.Rack(ctx, t, lab.Flat)
			server, err := r.AddBootServer()
			if err != nil {
				t.Fatal(err)
			}
			dhcp, err := r.StartDHCP(ctx, server, nil)
			if err != nil {
				t.Fatal(err)
			}
			labtest.ShowOnFailure(t, dhcp)
			if err := r.DHCPServer.Stop(); err != nil {
				t.Fatal(err)
			}
			d := start(ctx, t, server, lab.DaemonConfig{Datapath: datapath, Deliver: "steal", Root: root})

			if err := d.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			node, err := r.AddClient("hung")
			if err != nil {
				t.Fatal(err)
			}
			// Its first DISCOVERs may come before the heartbeat is found stale, its last one does not.
			out, err := (&client.Client{Node: node, Arch: archX64}).Boot(ctx)
			if !errors.Is(err, client.ErrNoBootServer) {
				t.Errorf("with xdpxe hung: %+v, %v; want the host's DHCP server to answer and nobody else", out, err)
			}

			// Its requests are stolen from it again, at a moment that nobody knows.
			if err := dhcp.Stop(); err != nil {
				t.Fatal(err)
			}
			if err := d.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			if _, err := r.StartDHCP(ctx, r.DHCP, nil); err != nil {
				t.Fatal(err)
			}
			out = simulate(ctx, t, r, "again", client.EDK2)
			if out.DHCPServer != r.DHCP.Addr || out.BootServer != d.Node.Addr {
				t.Errorf("lease from %v, boot file from %v; want them from %v and %v",
					out.DHCPServer, out.BootServer, r.DHCP.Addr, d.Node.Addr)
			}
		})
	}
}
