package guard_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/xdpxe/xdpxe/bench/guard"
	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
)

// refused holds an answer of the guard against what it should be: "" for yes,
// else a part of the refusal's text.
func refused(t *testing.T, what string, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	var r *guard.Refusal
	if !errors.As(err, &r) {
		t.Errorf("%s: not refused, but %v; want %q", what, err, want)
	} else if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--i-own-this-network") {
		t.Errorf("%s: refused by %q, want %q and how to say that it is mine", what, err, want)
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func namespaces(t *testing.T, l *lab.Lab, roles ...string) (all []*lab.Namespace) {
	t.Helper()
	for _, role := range roles {
		ns, err := l.Namespace(role)
		must(t, err)
		all = append(all, ns)
	}
	return all
}

// inside asks the guard from within a namespace, and checks that the thread
// stayed there.
func inside(t *testing.T, ns *lab.Namespace, ask func() error) (answer error) {
	t.Helper()
	must(t, ns.Do(func() error {
		before, err := os.Readlink("/proc/thread-self/ns/net")
		if err != nil {
			return err
		}
		answer = ask()
		after, err := os.Readlink("/proc/thread-self/ns/net")
		if before != after {
			t.Errorf("the thread went from %s to %s", before, after)
		}
		return err
	}))
	return answer
}

func interfaces(t *testing.T, ns *lab.Namespace, want map[string]string) {
	t.Helper()
	for ifname, why := range want {
		refused(t, ns.Role+" "+ifname, inside(t, ns, func() error { return guard.Interface(ifname, false) }), why)
	}
}

func TestInterface(t *testing.T) {
	labtest.Need(t, false)
	l := labtest.New(t)
	n := namespaces(t, l, "client", "switch", "server", "guest", "uplink")
	client, sw, server, guest, uplink := n[0], n[1], n[2], n[3], n[4]
	must(t,
		// client and server on a switch; a macvlan of the server's end in a namespace of its own.
		sw.Bridge("br0"), client.Veth("eth0", sw, "p0"), server.Veth("eth0", sw, "p1"),
		sw.IP("link", "set", "p0", "master", "br0"), sw.IP("link", "set", "p1", "master", "br0"),
		server.IP("link", "add", "mv0", "link", "eth0", "type", "macvlan", "mode", "bridge"),
		server.IP("link", "set", "mv0", "netns", guest.Name()),
		sw.IP("tuntap", "add", "tap0", "mode", "tap"), sw.IP("link", "set", "tap0", "up", "master", "br0"),
		// A switch of its own with a tunnel as its uplink.
		uplink.Bridge("br0"), uplink.IP("link", "add", "local0", "type", "veth", "peer", "name", "local1"),
		uplink.IP("link", "set", "local0", "master", "br0"),
		uplink.IP("link", "add", "vx0", "type", "vxlan", "id", "7", "dstport", "4789", "local", "127.0.0.1"),
		uplink.IP("link", "add", "ifb7", "type", "ifb"),
		uplink.IP("tuntap", "add", "tun0", "mode", "tun"),
	)
	interfaces(t, client, map[string]string{"lo": "", "eth0": ""})
	interfaces(t, sw, map[string]string{"br0": "", "p0": "", "tap0": ""})
	interfaces(t, guest, map[string]string{"mv0": ""})
	interfaces(t, uplink, map[string]string{"br0": "", "local1": "", "vx0": "kind vxlan", "ifb7": "kind ifb", "tun0": "kind tun,"})

	must(t, uplink.IP("link", "set", "vx0", "master", "br0"))
	interfaces(t, uplink, map[string]string{"br0": "vx0 is a link of kind vxlan", "local1": "vx0 is a link of kind vxlan"})

	// A cable between the switches takes the tunnel to everybody. The macvlan
	// sees it through its parent, in whose namespace it is not.
	must(t, sw.Veth("up0", uplink, "down0"), sw.IP("link", "set", "up0", "master", "br0"), uplink.IP("link", "set", "down0", "master", "br0"))
	for ns, ifname := range map[*lab.Namespace]string{client: "eth0", sw: "tap0", guest: "mv0"} {
		interfaces(t, ns, map[string]string{ifname: "vx0 in network namespace " + uplink.Name()})
	}
	if err := inside(t, client, func() error { return guard.Interface("eth0", true) }); err != nil {
		t.Errorf("eth0 that is mine: %v", err)
	}

	err := inside(t, client, func() error { return guard.Interface("eth9", false) })
	if err == nil || errors.As(err, new(*guard.Refusal)) || !strings.Contains(err.Error(), "no interface eth9") {
		t.Errorf("an interface that is not there: %v", err)
	}
}

// A peer whose namespace has neither a name nor a process.
func TestInterfaceOfHiddenNamespace(t *testing.T) {
	labtest.Need(t, false)
	n := namespaces(t, labtest.New(t), "seen", "hidden")
	seen, hidden := n[0], n[1]
	must(t, seen.Veth("eth0", hidden, "eth0"))
	interfaces(t, seen, map[string]string{"eth0": ""})
	// A socket holds the namespace when its name is gone.
	var holder net.PacketConn
	must(t, hidden.Do(func() (err error) {
		holder, err = net.ListenPacket("udp4", "127.0.0.1:0")
		return err
	}))
	defer holder.Close()
	must(t, exec.Command("ip", "netns", "del", hidden.Name()).Run())
	interfaces(t, seen, map[string]string{"eth0": "the other side of eth0 is in a network namespace that cannot be seen"})
	must(t, exec.Command("ip", "netns", "add", hidden.Name()).Run()) // for the lab to delete
}

// A device is refused where the machine has one; not all have.
func TestInterfaceOfThisMachine(t *testing.T) {
	links, err := netlink.LinkList()
	must(t, err)
	for _, link := range links {
		err := guard.Interface(link.Attrs().Name, false)
		switch {
		case link.Attrs().Flags&net.FlagLoopback != 0:
			refused(t, "loopback", err, "")
		case link.Type() == "device":
			refused(t, link.Attrs().Name, err, link.Attrs().Name+" is a device")
		}
	}
}

func TestInterfaceOfTap(t *testing.T) {
	labtest.Need(t, true)
	l := labtest.New(t)
	ns := namespaces(t, l, "host")[0]
	must(t, ns.IP("tuntap", "add", "tap0", "mode", "tap"), ns.IP("link", "set", "tap0", "up"))
	interfaces(t, ns, map[string]string{"tap0": ""})

	hold := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "tap0"}, Mode: netlink.TUNTAP_MODE_TAP, NonPersist: true, Flags: netlink.TUNTAP_NO_PI, Queues: 1}
	must(t, ns.Do(func() error { return netlink.LinkAdd(hold) }))
	interfaces(t, ns, map[string]string{"tap0": "the tap tap0 is held by process"})
	for _, fd := range hold.Fds {
		must(t, fd.Close())
	}
	must(t, ns.IP("tuntap", "add", "tap1", "mode", "tap"), ns.IP("link", "set", "tap1", "up"))
	vm, err := ns.Start(lab.Command{Args: []string{"qemu-system-x86_64", "-machine", "none", "-nodefaults", "-display", "none", "-S",
		"-qmp", "stdio", "-netdev", "tap,id=n,ifname=tap1,script=no,downscript=no"}, Stdin: blocked(t)})
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := vm.Log.Wait(ctx, "QMP"); err != nil {
		t.Fatal(err)
	}
	interfaces(t, ns, map[string]string{"tap1": ""})
}

// blocked is an input that stays open and empty for as long as the test.
func blocked(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	return r
}

func TestTarget(t *testing.T) {
	labtest.Need(t, false)
	n := namespaces(t, labtest.New(t), "client", "router", "server")
	client, router, server := n[0], n[1], n[2]
	must(t,
		client.Veth("eth0", router, "in"), server.Veth("eth0", router, "out"),
		client.IP("addr", "add", "192.0.2.2/24", "dev", "eth0"), router.IP("addr", "add", "192.0.2.1/24", "dev", "in"),
		server.IP("addr", "add", "203.0.113.2/24", "dev", "eth0"), router.IP("addr", "add", "203.0.113.1/24", "dev", "out"),
		client.IP("route", "add", "default", "via", "192.0.2.1"),
		client.IP("addr", "add", "fd00::2/64", "dev", "eth0", "nodad"), router.IP("addr", "add", "fd00::1/64", "dev", "in", "nodad"),
		// The router knows more networks, through a tunnel.
		router.IP("link", "add", "vx0", "type", "vxlan", "id", "7", "dstport", "4789", "local", "127.0.0.1"),
		router.IP("link", "set", "vx0", "up"), router.IP("route", "add", "198.51.100.0/24", "dev", "vx0"),
	)
	for _, c := range []struct {
		from *lab.Namespace
		addr string
		why  string
	}{
		{client, "127.0.0.1", ""},
		{client, "::1", ""},
		{client, "192.0.2.2", ""},          // its own
		{client, "192.0.2.1", ""},          // the neighbour's
		{client, "203.0.113.1", ""},        // the neighbour's other one
		{client, "203.0.113.2", ""},        // a hop away
		{client, "::ffff:203.0.113.2", ""}, // as a dual-stack socket writes it
		{client, "fd00::1", ""},
		{client, "192.0.2.9", "the route is out of eth0, and no network namespace of this machine has 192.0.2.9 there"},
		{client, "203.0.113.9", "the route is out of out in network namespace " + router.Name()},
		{client, "198.51.100.1", "vx0 in network namespace " + router.Name() + " is a link of kind vxlan"},
		{router, "198.51.100.1", "the route is out of vx0"},
		{client, "192.0.2.255", "not the address of one machine"},
		{client, "255.255.255.255", "not the address of one machine"},
		{client, "0.0.0.0", "not the address of one machine"},
		{client, "239.1.1.1", "not the address of one machine"},
	} {
		addr := netip.MustParseAddr(c.addr)
		refused(t, c.addr, inside(t, c.from, func() error { return guard.Target(addr, false) }), c.why)
		if err := inside(t, c.from, func() error { return guard.Target(addr, true) }); err != nil {
			t.Errorf("%s that is mine: %v", c.addr, err)
		}
	}
	err := inside(t, server, func() error { return guard.Target(netip.MustParseAddr("192.0.2.2"), false) })
	if err == nil || errors.As(err, new(*guard.Refusal)) || !strings.Contains(err.Error(), "route to 192.0.2.2") {
		t.Errorf("no route: %v", err)
	}
}
