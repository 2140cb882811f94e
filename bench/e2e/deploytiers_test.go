package e2e

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/client"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
	"github.com/xdpxe/xdpxe/bench/lab/wire"
)

// asker is a machine that can ask with single DISCOVERs.
type asker struct {
	client.Client
	daemon *lab.Daemon
}

// ask sends a DISCOVER and returns the boot file that the daemon answers with;
// empty: it has decided not to.
func (a *asker) ask(ctx context.Context, t *testing.T) (file string) {
	t.Helper()
	port, err := wire.Open(a.Node.Namespace, lab.Iface)
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	m, err := a.Discover(port.MAC)
	if err != nil {
		t.Fatal(err)
	}
	silences := func() uint64 {
		st, err := a.daemon.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return st.Count("nothing_deployed")
	}
	before := silences()
	if err := port.Send(wire.Datagram{
		SrcMAC: port.MAC, DstMAC: wire.Broadcast,
		Src: netip.MustParseAddrPort("0.0.0.0:68"), Dst: netip.MustParseAddrPort("255.255.255.255:67"), Payload: m.ToBytes(),
	}); err != nil {
		t.Fatal(err)
	}
	for {
		silent := silences() > before
		if offer := bootOffer(ctx, t, port, m.TransactionID); offer != nil {
			return offer.BootFileName
		}
		if silent {
			return ""
		}
		if ctx.Err() != nil {
			t.Fatal("the daemon neither answers nor says that nothing is deployed")
		}
	}
}

// bootOffer is a boot server's offer that is there, or comes soon.
func bootOffer(ctx context.Context, t *testing.T, port *wire.Port, xid dhcpv4.TransactionID) *dhcpv4.DHCPv4 {
	t.Helper()
	soon, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	for {
		d, err := port.Recv(soon)
		if errors.Is(err, context.DeadlineExceeded) {
			return nil
		}
		if err != nil {
			t.Fatal(err)
		}
		m, err := dhcpv4.FromBytes(d.Payload)
		if err == nil && !d.Outgoing && m.OpCode == dhcpv4.OpcodeBootReply && m.TransactionID == xid && m.YourIPAddr.IsUnspecified() {
			return m
		}
	}
}

// On every tier, when `deploy add` has returned, the machine's next DISCOVER is
// answered; when it has fetched what the deployment for once ends with, its next
// one is not; nor is it when a standing deployment was cancelled.
func TestDeploymentsOnEveryTier(t *testing.T) {
	labtest.Need(t, false)
	for _, tier := range []string{"kernel", "native", "generic", "ringbuf", "socket"} {
		t.Run(tier, func(t *testing.T) {
			t.Parallel()
			ctx := labtest.Context(t, patience)
			r, root := labtest.Rack(ctx, t, lab.Flat)
			server, err := r.AddBootServer()
			if err != nil {
				t.Fatal(err)
			}
			c := lab.DaemonConfig{Root: root, Datapath: tier, Policy: onlyDeployed, More: storeFile(r.Lab)}
			if tier == "kernel" { // a cable that does not poll has no answers by the kernel
				c.Datapath = "native"
				labtest.Polls(t, server)
			}
			d := start(ctx, t, server, c)
			checkTier(ctx, t, d, c.Datapath, "")
			node, err := r.AddClient("asker")
			if err != nil {
				t.Fatal(err)
			}
			mac, err := node.MAC(lab.Iface)
			if err != nil {
				t.Fatal(err)
			}
			a := asker{client.Client{Node: node, Style: client.EDK2, Arch: archX64, UUID: [16]byte{5: 1}}, d}
			check := func(when, want string) {
				t.Helper()
				if got := a.ask(ctx, t); got != want {
					t.Fatalf("%s the machine is answered with %q, want %q", when, got, want)
				}
			}
			answered := func(when string) {
				t.Helper()
				check(when, lab.UEFIProgram)
				for before := fromKernel(ctx, t, d); tier == "kernel" && fromKernel(ctx, t, d) == before; {
					check("again", lab.UEFIProgram)
				}
			}
			check("before", "")
			id := deploy(ctx, t, d, "--mac", mac.String(), "--profile", "lab", "--once")
			answered("deployed once")
			if _, err := a.Boot(ctx); err != nil {
				t.Fatal(err)
			}
			check("after it has booted", "")
			awaitState(ctx, t, d, id, "done")
			id = deploy(ctx, t, d, "--mac", mac.String(), "--profile", "lab")
			answered("deployed")
			if _, err := d.Tell(ctx, "deploy", "cancel", id); err != nil {
				t.Fatal(err)
			}
			check("cancelled", "")
		})
	}
}

// fromKernel is how many requests the kernel has answered.
func fromKernel(ctx context.Context, t *testing.T, d *lab.Daemon) uint64 {
	t.Helper()
	st, err := d.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return answeredBy(st, "kernel")
}
