package e2e

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/client"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
	"github.com/xdpxe/xdpxe/bench/lab/wire"
)

// Requests with VLAN tags in the frame are answered with the same tags, by
// every datapath that sees frames. There is no VLAN device: the boot server
// address comes from the configuration.
func TestVLANTags(t *testing.T) {
	labtest.Need(t, false)
	for _, datapath := range []string{"native", "generic", "ringbuf"} {
		t.Run(datapath, func(t *testing.T) {
			ctx := labtest.Context(t, patience)
			r, root := labtest.Rack(ctx, t, lab.Flat)
			server, err := r.AddBootServer()
			if err != nil {
				t.Fatal(err)
			}
			machine, err := r.Namespace("tagged")
			if err != nil {
				t.Fatal(err)
			}
			// A cable of their own: a bridge would take the outer tag into the metadata.
			const trunk = "trunk"
			if err := machine.Veth(trunk, server.Namespace, trunk); err != nil {
				t.Fatal(err)
			}
			for _, end := range []*lab.Namespace{machine, server.Namespace} {
				if err := end.OffloadsOff(trunk, "rxvlan", "txvlan"); err != nil {
					t.Fatal(err)
				}
			}
			start(ctx, t, server, lab.DaemonConfig{
				Interface: trunk, Datapath: datapath, Deliver: "steal", Address: server.Addr, Root: root,
			})
			serverMAC, err := server.MAC(trunk)
			if err != nil {
				t.Fatal(err)
			}
			port, err := wire.Open(machine, trunk)
			if err != nil {
				t.Fatal(err)
			}
			defer port.Close()
			for _, tags := range [][]uint16{nil, {100}, {200, 30}} {
				x := exchange{port: port, server: server.Addr, serverMAC: serverMAC, tags: tags}
				t.Run(fmt.Sprintf("tags %v", tags), func(t *testing.T) { x.run(ctx, t) })
			}
		})
	}
}

// exchange is a DISCOVER and a boot server request on a tagged network.
type exchange struct {
	port      *wire.Port
	server    netip.Addr
	serverMAC net.HardwareAddr
	tags      []uint16
}

func (x *exchange) run(ctx context.Context, t *testing.T) {
	c := client.Client{Style: client.EDK2, Arch: archX64}
	discover, err := c.Discover(x.port.MAC)
	if err != nil {
		t.Fatal(err)
	}
	offer := x.ask(ctx, t, wire.Datagram{
		DstMAC: wire.Broadcast,
		Src:    netip.MustParseAddrPort("0.0.0.0:68"), Dst: netip.MustParseAddrPort("255.255.255.255:67"),
	}, discover)
	if offer.Src != netip.AddrPortFrom(x.server, 67) || offer.Dst.Port() != 68 {
		t.Errorf("OFFER goes from %v to %v", offer.Src, offer.Dst)
	}

	own := netip.AddrPortFrom(x.server.Next(), 4011)
	request, err := c.BootRequest(x.port.MAC, own.Addr())
	if err != nil {
		t.Fatal(err)
	}
	ack := x.ask(ctx, t, wire.Datagram{DstMAC: x.serverMAC, Src: own, Dst: netip.AddrPortFrom(x.server, 4011)}, request)
	if ack.Src != netip.AddrPortFrom(x.server, 4011) || ack.Dst != own || ack.DstMAC.String() != x.port.MAC.String() {
		t.Errorf("ACK goes from %v to %v at %v, want %v at %v", ack.Src, ack.Dst, ack.DstMAC, own, x.port.MAC)
	}
	if m, err := dhcpv4.FromBytes(ack.Payload); err != nil || m.BootFileName != lab.UEFIProgram {
		t.Errorf("ACK names %q (%v), want %q", m.BootFileName, err, lab.UEFIProgram)
	}
}

// ask sends a request with the tags and returns its answer, which must have the same.
func (x *exchange) ask(ctx context.Context, t *testing.T, d wire.Datagram, m *dhcpv4.DHCPv4) wire.Datagram {
	t.Helper()
	d.SrcMAC, d.VLANs, d.Payload = x.port.MAC, x.tags, m.ToBytes()
	if err := x.port.Send(d); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		got, err := x.port.Recv(ctx)
		if err != nil {
			t.Fatalf("no answer to %v on port %d with tags %v: %v", m.MessageType(), d.Dst.Port(), x.tags, err)
		}
		answer, err := dhcpv4.FromBytes(got.Payload)
		if err != nil || got.Outgoing || answer.TransactionID != m.TransactionID {
			continue
		}
		if !slices.Equal(got.VLANs, x.tags) {
			t.Errorf("answer to %v has tags %v, want %v", m.MessageType(), got.VLANs, x.tags)
		}
		return got
	}
}
