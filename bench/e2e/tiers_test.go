package e2e

import (
	"bytes"
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/client"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
	"github.com/xdpxe/xdpxe/bench/lab/wire"
)

// Every datapath answers the same request with the same bytes, to the same
// place, and once: one brain decides, whoever carries.
func TestDatapathsGiveTheSameBytes(t *testing.T) {
	labtest.Need(t, false)
	ctx := labtest.Context(t, patience)
	r, root := labtest.Rack(ctx, t, lab.Flat)
	server, err := r.AddBootServer()
	if err != nil {
		t.Fatal(err)
	}
	serverMAC, err := server.MAC(lab.Iface)
	if err != nil {
		t.Fatal(err)
	}
	node, err := r.AddClient("probe")
	if err != nil {
		t.Fatal(err)
	}
	port, err := wire.Open(node.Namespace, lab.Iface)
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	// As a relay and on 4011 the client needs an address that the server's
	// stack can find: the socket tier sends through it.
	own := server.Addr
	for range 100 {
		own = own.Next()
	}
	if err := node.IP("addr", "add", netip.PrefixFrom(own, 24).String(), "dev", lab.Iface); err != nil {
		t.Fatal(err)
	}

	everyone := wire.Datagram{DstMAC: wire.Broadcast, Src: netip.MustParseAddrPort("0.0.0.0:68"), Dst: netip.MustParseAddrPort("255.255.255.255:67")}
	relayed := wire.Datagram{DstMAC: serverMAC, Src: netip.AddrPortFrom(own, 67), Dst: netip.AddrPortFrom(server.Addr, 67)}
	bootServer := wire.Datagram{DstMAC: serverMAC, Src: netip.AddrPortFrom(own, 4011), Dst: netip.AddrPortFrom(server.Addr, 4011)}
	giaddr := func(m *dhcpv4.DHCPv4) {
		m.GatewayIPAddr = own.AsSlice()
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionRelayAgentInformation, []byte{1, 4, 'e', 't', 'h', '7'}))
	}
	asks := []struct {
		name  string
		style client.Style
		arch  uint16
		boot  bool // a boot server request
		to    wire.Datagram
		edit  func(*dhcpv4.DHCPv4)
	}{
		{name: "UEFI DISCOVER", arch: 7, to: everyone},
		{name: "BIOS DISCOVER", arch: 0, to: everyone},
		{name: "iPXE DISCOVER", style: client.IPXE, arch: 7, to: everyone},
		{name: "relayed DISCOVER", arch: 7, to: relayed, edit: giaddr},
		{name: "boot server request", arch: 7, boot: true, to: bootServer},
	}
	type answer struct {
		payload  []byte
		src, dst netip.AddrPort
	}
	first := make(map[string]answer)
	for _, tier := range []struct{ datapath, deliver string }{
		{"native", "steal"}, {"generic", "steal"}, {"ringbuf", "steal"}, {"ringbuf", "tee"}, {"socket", "auto"},
	} {
		t.Run(tier.datapath+" "+tier.deliver, func(t *testing.T) {
			d := start(ctx, t, server, lab.DaemonConfig{Datapath: tier.datapath, Deliver: tier.deliver, Root: root})
			checkTier(ctx, t, d, tier.datapath, "")
			answered := make(map[dhcpv4.TransactionID]bool)
			// The last request is there to see whether the one before it is answered again.
			for i, ask := range append(asks, asks[0]) {
				style := ask.style
				if style == 0 {
					style = client.EDK2
				}
				c := client.Client{Style: style, Arch: ask.arch, UUID: [16]byte{3: 7}}
				m, err := c.Discover(port.MAC)
				if ask.boot {
					m, err = c.BootRequest(port.MAC, own)
				}
				if err != nil {
					t.Fatal(err)
				}
				m.TransactionID = dhcpv4.TransactionID{0xab, 0xcd, 0, byte(i)}
				again := i == len(asks)
				if ask.edit != nil {
					ask.edit(m)
				}
				to := ask.to
				to.SrcMAC, to.Payload = port.MAC, m.ToBytes()
				if err := port.Send(to); err != nil {
					t.Fatal(err)
				}
				got := awaitReply(ctx, t, port, m, answered)
				is := answer{got.Payload, got.Src, got.Dst}
				want, known := first[ask.name]
				if again {
					continue
				}
				if !known {
					first[ask.name] = is
					continue
				}
				if !bytes.Equal(is.payload, want.payload) {
					t.Errorf("%s: payload\n% x\nand the first tier's\n% x", ask.name, is.payload, want.payload)
				}
				if is.src != want.src || is.dst != want.dst {
					t.Errorf("%s: from %v to %v, the first tier's from %v to %v", ask.name, is.src, is.dst, want.src, want.dst)
				}
			}
		})
	}
}

// awaitReply returns the answer to m, and fails the test if there is none, or
// if meanwhile an earlier request is answered that had its answer.
func awaitReply(ctx context.Context, t *testing.T, port *wire.Port, m *dhcpv4.DHCPv4, answered map[dhcpv4.TransactionID]bool) wire.Datagram {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		got, err := port.Recv(ctx)
		if err != nil {
			t.Fatalf("no answer to %v: %v", m.MessageType(), err)
		}
		a, err := dhcpv4.FromBytes(got.Payload)
		// A lease is the DHCP server's.
		if err != nil || got.Outgoing || a.OpCode != dhcpv4.OpcodeBootReply || !a.YourIPAddr.IsUnspecified() {
			continue
		}
		if answered[a.TransactionID] {
			t.Errorf("%v is answered twice", a.TransactionID)
		}
		if a.TransactionID == m.TransactionID {
			answered[a.TransactionID] = true
			return got
		}
	}
}
