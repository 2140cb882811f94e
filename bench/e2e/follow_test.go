package e2e

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/client"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
	"github.com/xdpxe/xdpxe/bench/lab/wire"
)

const cable = "cable0"

// cabled is a client and a boot server with a cable between them that a test may cut.
type cabled struct {
	t      *testing.T
	client *lab.Namespace
	server *lab.Node
	port   *wire.Port
	root   string
	daemon *lab.Daemon
	asked  byte
}

var cableNet = netip.MustParsePrefix("198.51.100.1/24")

func newCabled(ctx context.Context, t *testing.T, datapath string, queues int) *cabled {
	t.Helper()
	r, root := labtest.Rack(ctx, t, lab.Flat)
	server, err := r.AddBootServer()
	if err != nil {
		t.Fatal(err)
	}
	ns, err := r.Namespace("machine")
	if err != nil {
		t.Fatal(err)
	}
	c := &cabled{t: t, client: ns, server: server, root: root}
	c.plug(queues)
	c.daemon = start(ctx, t, server, lab.DaemonConfig{Interface: cable, Datapath: datapath, Deliver: "auto", Root: root})
	return c
}

// plug lays the cable.
func (c *cabled) plug(queues int) {
	c.t.Helper()
	const most = "4"
	c.must(c.client.IP("link", "add", cable, "numrxqueues", most, "numtxqueues", most, "type", "veth",
		"peer", "name", cable, "numrxqueues", most, "numtxqueues", most, "netns", c.server.Name()))
	c.setQueues(queues)
	c.must(c.client.IP("link", "set", cable, "up"))
	c.must(c.server.IP("addr", "add", cableNet.String(), "dev", cable))
	c.must(c.server.IP("link", "set", cable, "up"))
	if c.port != nil {
		c.port.Close()
	}
	var err error
	if c.port, err = wire.Open(c.client, cable); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { c.port.Close() })
}

// setQueues sets how many queues both ends use.
func (c *cabled) setQueues(n int) {
	c.t.Helper()
	for _, end := range []*lab.Namespace{c.server.Namespace, c.client} {
		c.must(end.Run("ethtool", "-L", cable, "rx", fmt.Sprint(n), "tx", fmt.Sprint(n)))
	}
}

func (c *cabled) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// ask repeats a DISCOVER, as firmware does, until an OFFER is as wanted.
func (c *cabled) ask(ctx context.Context, what string, want func(*dhcpv4.DHCPv4) bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var last *dhcpv4.DHCPv4
	for ctx.Err() == nil {
		m, err := (&client.Client{Style: client.EDK2, Arch: archX64}).Discover(c.port.MAC)
		c.must(err)
		c.asked++
		m.TransactionID = dhcpv4.TransactionID{1, 2, 3, c.asked}
		d := wire.Datagram{
			SrcMAC: c.port.MAC, DstMAC: wire.Broadcast, Payload: m.ToBytes(),
			Src: netip.MustParseAddrPort("0.0.0.0:68"), Dst: netip.MustParseAddrPort("255.255.255.255:67"),
		}
		// While the link is down the kernel may refuse it: that is a lost DISCOVER.
		_ = c.port.Send(d)
		try, stop := context.WithTimeout(ctx, 250*time.Millisecond)
		for {
			got, err := c.port.Recv(try)
			if err != nil {
				break
			}
			if a, err := dhcpv4.FromBytes(got.Payload); err == nil && a.OpCode == dhcpv4.OpcodeBootReply && a.TransactionID == m.TransactionID {
				if last = a; want(a) {
					stop()
					return
				}
			}
		}
		stop()
	}
	c.t.Fatalf("%s: no such OFFER; the last one was %v", what, last)
}

// answered asks for an OFFER of this boot server address.
func (c *cabled) answered(ctx context.Context, what string, from netip.Addr) {
	c.t.Helper()
	c.ask(ctx, what, func(a *dhcpv4.DHCPv4) bool {
		id, _ := netip.AddrFromSlice(a.ServerIdentifier().To4())
		next, _ := netip.AddrFromSlice(a.ServerIPAddr.To4())
		return id == from && next == from
	})
}

// What happens to an interface while the daemon runs is followed: another
// address, a link that goes and comes, a device that is made again.
func TestFollowsTheInterface(t *testing.T) {
	labtest.Need(t, false)
	for _, datapath := range []string{"native", "generic", "ringbuf", "socket"} {
		t.Run(datapath, func(t *testing.T) {
			ctx := labtest.Context(t, patience)
			c := newCabled(ctx, t, datapath, 1)
			first := cableNet.Addr()
			c.answered(ctx, "at first", first)

			second := netip.MustParsePrefix("203.0.113.77/24")
			c.must(c.server.IP("addr", "add", second.String(), "dev", cable))
			c.must(c.server.IP("addr", "del", cableNet.String(), "dev", cable))
			c.answered(ctx, "after the address changed", second.Addr())

			c.must(c.server.IP("link", "set", cable, "down"))
			c.must(c.server.IP("link", "set", cable, "up"))
			c.answered(ctx, "after the interface was down", second.Addr())

			c.must(c.client.IP("link", "set", cable, "down"))
			c.must(c.client.IP("link", "set", cable, "up"))
			c.answered(ctx, "after the link was down", second.Addr())

			c.must(c.server.IP("link", "del", cable))
			c.plug(1)
			c.answered(ctx, "after the interface was made again", first)
			checkTier(ctx, t, c.daemon, datapath, "")
		})
	}
}

// `interfaces: auto` serves what there is, and what comes.
func TestFollowsAuto(t *testing.T) {
	labtest.Need(t, false)
	ctx := labtest.Context(t, 30*time.Second)
	r, daemons := rack(ctx, t, lab.Flat, lab.DaemonConfig{})
	ns, err := r.Namespace("machine")
	if err != nil {
		t.Fatal(err)
	}
	c := &cabled{t: t, client: ns, server: daemons[0].Node, daemon: daemons[0]}
	text, err := os.ReadFile(c.daemon.Config)
	c.must(err)
	auto := strings.Replace(string(text), "interfaces: [eth0]", "interfaces: auto", 1)
	c.must(os.WriteFile(c.daemon.Config, []byte(auto), 0o644))
	c.plug(1)
	c.answered(ctx, "on an interface that came", cableNet.Addr())
	simulate(ctx, t, r, "before", client.EDK2)
	c.must(c.server.IP("link", "del", cable))
	c.plug(1)
	c.answered(ctx, "after it was made again", cableNet.Addr())
	simulate(ctx, t, r, "after", client.EDK2)
}

const bridge = "br7"

// bridged is a boot server whose end of the cable is the port of a bridge,
// which has the address. behind hears what the bridge passes up.
func bridged(ctx context.Context, t *testing.T) (c *cabled, behind *wire.Port) {
	t.Helper()
	r, root := labtest.Rack(ctx, t, lab.Flat)
	server, err := r.AddBootServer()
	if err != nil {
		t.Fatal(err)
	}
	ns, err := r.Namespace("machine")
	if err != nil {
		t.Fatal(err)
	}
	c = &cabled{t: t, client: ns, server: server, root: root}
	c.plug(1)
	c.must(server.Bridge(bridge))
	c.must(server.IP("addr", "flush", "dev", cable))
	c.must(server.IP("link", "set", cable, "master", bridge))
	c.must(server.IP("addr", "add", cableNet.String(), "dev", bridge))
	behind, err = wire.Open(server.Namespace, bridge)
	c.must(err)
	t.Cleanup(func() { behind.Close() })
	c.daemon = start(ctx, t, server, lab.DaemonConfig{Interface: cable, Root: root})
	return c, behind
}

// A bridge port is served with the bridge's address, and what is behind the
// bridge sees the requests too.
func TestBridgePort(t *testing.T) {
	labtest.Need(t, false)
	ctx := labtest.Context(t, 30*time.Second)
	c, behind := bridged(ctx, t)
	checkTier(ctx, t, c.daemon, "ringbuf", "tee")
	c.answered(ctx, "on the bridge port", cableNet.Addr())
	for {
		got, err := behind.Recv(ctx)
		c.must(err)
		if got.Dst.Port() == 67 {
			break
		}
	}

	mac, err := c.server.MAC(bridge)
	c.must(err)
	own := netip.AddrPortFrom(cableNet.Addr().Next(), 4011)
	m, err := (&client.Client{Style: client.EDK2, Arch: archX64}).BootRequest(c.port.MAC, own.Addr())
	c.must(err)
	c.must(c.port.Send(wire.Datagram{SrcMAC: c.port.MAC, DstMAC: mac, Src: own, Dst: netip.AddrPortFrom(cableNet.Addr(), 4011), Payload: m.ToBytes()}))
	got := awaitReply(ctx, t, c.port, m, map[dhcpv4.TransactionID]bool{})
	if got.Src != netip.AddrPortFrom(cableNet.Addr(), 4011) || got.Dst != own {
		t.Errorf("ACK from %v to %v", got.Src, got.Dst)
	}
}

// What a DHCP server behind a bridge port does to network boot is noticed.
func TestNamesMeddlerBehindBridgePort(t *testing.T) {
	labtest.Need(t, false)
	ctx := labtest.Context(t, 30*time.Second)
	c, _ := bridged(ctx, t)
	server := netip.MustParseAddr("198.51.100.9")
	offer, err := dhcpv4.New(dhcpv4.WithMessageType(dhcpv4.MessageTypeOffer), dhcpv4.WithYourIP(net.IP{198, 51, 100, 50}),
		dhcpv4.WithServerIP(server.AsSlice()), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(server.AsSlice())),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient")))
	c.must(err)
	offer.OpCode = dhcpv4.OpcodeBootReply
	c.must(c.port.Send(wire.Datagram{
		SrcMAC: c.port.MAC, DstMAC: wire.Broadcast, Payload: offer.ToBytes(),
		Src: netip.AddrPortFrom(server, 67), Dst: netip.MustParseAddrPort("255.255.255.255:68"),
	}))
	if _, err := c.daemon.Log.Wait(ctx, `"trouble": "server_claims_pxe", "server": "`+server.String()); err != nil {
		t.Error(err)
	}
}

// Where a bridge and its port are both to be served, the bridge is, alone: it
// sees what comes in at the port too, and nobody is answered twice.
func TestBridgeAndItsPort(t *testing.T) {
	labtest.Need(t, false)
	ctx := labtest.Context(t, 30*time.Second)
	r, root := labtest.Rack(ctx, t, lab.Flat)
	server, err := r.AddBootServer()
	if err != nil {
		t.Fatal(err)
	}
	ns, err := r.Namespace("machine")
	if err != nil {
		t.Fatal(err)
	}
	c := &cabled{t: t, client: ns, server: server, root: root}
	c.plug(1)
	overBridge := netip.MustParsePrefix("203.0.113.77/24")
	c.must(server.Bridge(bridge))
	c.must(server.IP("addr", "add", overBridge.String(), "dev", bridge))
	c.must(server.IP("link", "set", cable, "master", bridge))
	c.daemon = start(ctx, t, server, lab.DaemonConfig{Interface: cable + ", " + bridge, Root: root})
	if _, err := c.daemon.Log.Wait(ctx, `{"iface": "`+cable+`", "by": "`+bridge+`"}`); err != nil {
		t.Error(err)
	}
	checkTier(ctx, t, c.daemon, "generic", "steal")
	c.answered(ctx, "through the bridge", overBridge.Addr())

	c.must(server.IP("link", "set", cable, "nomaster"))
	c.answered(ctx, "out of the bridge", cableNet.Addr())
	c.must(server.IP("link", "set", cable, "master", bridge))
	c.answered(ctx, "in the bridge again", overBridge.Addr())
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for served := 0; served != 1; <-tick.C {
		st, err := c.daemon.Status(ctx) // ends with ctx
		c.must(err)
		served = len(st.Interfaces)
	}
	checkTier(ctx, t, c.daemon, "generic", "steal")
}

// Another number of receive queues gets as many sockets.
func TestFollowsTheQueues(t *testing.T) {
	labtest.Need(t, false)
	ctx := labtest.Context(t, 30*time.Second)
	c := newCabled(ctx, t, "native", 2)
	queues := func(want int) {
		t.Helper()
		_, err := c.daemon.Log.Wait(ctx, fmt.Sprintf(`"queues": %d}`, want))
		c.must(err)
		c.answered(ctx, fmt.Sprintf("with %d queues", want), cableNet.Addr())
	}
	queues(2)
	// The kernel lets no queue go that has a socket, so it is more of them that can come.
	c.setQueues(3)
	queues(3)
}

// `deliver: auto` makes way for a DHCP server that is started after the daemon,
// and takes over when that is gone.
func TestFollowsTheHolderOfPort67(t *testing.T) {
	labtest.Need(t, false)
	ctx := labtest.Context(t, patience)
	r, daemons := rack(ctx, t, lab.Flat, lab.DaemonConfig{})
	d := daemons[0]
	checkTier(ctx, t, d, "native", "steal")
	dhcp, err := r.StartDHCP(ctx, d.Node, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Log.Wait(ctx, `"deliver": "tee"`); err != nil {
		t.Fatal(err)
	}
	checkTier(ctx, t, d, "ringbuf", "tee")
	simulate(ctx, t, r, "beside", client.EDK2)
	if err := dhcp.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Log.WaitAfter(ctx, `"deliver": "tee"`, `"deliver": "steal"`); err != nil {
		t.Fatal(err)
	}
	checkTier(ctx, t, d, "native", "steal")
}

// An edited configuration is in force at once; one with a mistake changes
// nothing and says where it is wrong; SIGHUP does the same as an edit.
func TestReload(t *testing.T) {
	labtest.Need(t, false)
	ctx := labtest.Context(t, patience)
	c := newCabled(ctx, t, "native", 1)
	good, err := os.ReadFile(c.daemon.Config)
	c.must(err)
	c.must(os.WriteFile(c.root+"/other.efi", []byte("another program"), 0o644))
	c.answered(ctx, "at first", cableNet.Addr())

	edited := strings.ReplaceAll(string(good), lab.UEFIProgram, "other.efi")
	c.must(os.WriteFile(c.daemon.Config, []byte(edited), 0o644))
	c.ask(ctx, "after the edit", func(a *dhcpv4.DHCPv4) bool { return a.BootFileName == "other.efi" })

	broken := strings.Replace(edited, "datapath: native", "datapath: warp", 1)
	c.must(os.WriteFile(c.daemon.Config, []byte(broken), 0o644))
	_, err = c.daemon.Log.WaitAfter(ctx, "last good one stays in force", c.daemon.Config+":2:11: ")
	c.must(err)
	c.ask(ctx, "after a mistake", func(a *dhcpv4.DHCPv4) bool { return a.BootFileName == "other.efi" })

	missing := strings.ReplaceAll(string(good), lab.UEFIProgram, "nowhere.efi")
	c.must(os.WriteFile(c.daemon.Config, []byte(missing), 0o644))
	_, err = c.daemon.Log.Wait(ctx, "boot file nowhere.efi: not found")
	c.must(err)
	c.ask(ctx, "after a missing file", func(a *dhcpv4.DHCPv4) bool { return a.BootFileName == "other.efi" })

	// Without a root the file server, which cannot go, keeps the one it has.
	rootless := strings.Replace(strings.Replace(string(good), "root: "+c.root+"\n", "", 1), lab.ServeEveryone,
		"policy: {default: web}\nprofiles: {web: {files: {ipxe: \"http://198.51.100.1/boot.ipxe\"}}}\n", 1)
	c.must(os.WriteFile(c.daemon.Config, []byte(rootless), 0o644))
	_, err = c.daemon.Log.WaitAfter(ctx, `takes effect at the next start only  {"key": "root"}`, "configuration reloaded")
	c.must(err)
	c.must(c.server.IP("link", "set", "lo", "up"))
	c.must(c.server.Run("curl", "--silent", "--show-error", "--max-time", "10", "--output", "/dev/null",
		"tftp://"+cableNet.Addr().String()+"/"+lab.UEFIProgram))

	c.must(os.WriteFile(c.daemon.Config, good, 0o644))
	c.must(c.daemon.Signal(syscall.SIGHUP))
	c.ask(ctx, "after the repair", func(a *dhcpv4.DHCPv4) bool { return a.BootFileName == lab.UEFIProgram })
}
