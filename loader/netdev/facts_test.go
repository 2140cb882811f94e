package netdev_test

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/xdpxe/xdpxe/loader/netdev"
	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
)

// ip runs iproute2 in the namespace of the test's thread.
func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

func read(t *testing.T, name string) *netdev.Facts {
	t.Helper()
	f, err := netdev.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestReadVeth(t *testing.T) {
	xsktest.Namespace(t)
	near, _ := xsktest.Veth(t, 4)
	ip(t, "link", "set", "near", "mtu", "1400")
	ip(t, "addr", "add", "192.0.2.10/24", "brd", "+", "dev", "near")
	ip(t, "addr", "add", "198.51.100.1/25", "dev", "near") // without a broadcast address of its own
	ip(t, "addr", "add", "203.0.113.0/31", "dev", "near")
	f := read(t, "near")
	if f.Index != near.Index || f.MAC != near.MAC || f.MTU != 1400 || f.Kind != "veth" || f.Driver != "veth" {
		t.Errorf("identity: %+v", f)
	}
	if !f.Ethernet || !f.Up || !f.Carrier {
		t.Errorf("state: %+v", f)
	}
	if f.RXQueues != 4 || f.TXQueues != 4 {
		t.Errorf("%d RX and %d TX queues, want 4", f.RXQueues, f.TXQueues)
	}
	want := []netdev.Addr{
		{netip.MustParseAddr("192.0.2.10"), netip.MustParsePrefix("192.0.2.0/24"), netip.MustParseAddr("192.0.2.255")},
		{netip.MustParseAddr("198.51.100.1"), netip.MustParsePrefix("198.51.100.0/25"), netip.MustParseAddr("198.51.100.127")},
		{netip.MustParseAddr("203.0.113.0"), netip.MustParsePrefix("203.0.113.0/31"), netip.Addr{}},
	}
	if len(f.Addrs) != len(want) {
		t.Fatalf("addresses %v", f.Addrs)
	}
	for i := range want {
		if f.Addrs[i] != want[i] {
			t.Errorf("address %d: %v, want %v", i, f.Addrs[i], want[i])
		}
	}

	ip(t, "link", "set", "near", "down")
	if f := read(t, "near"); f.Up || f.Carrier {
		t.Errorf("down, but %+v", f)
	}
}

func TestReadQueuesInUse(t *testing.T) {
	xsktest.Namespace(t)
	xsktest.Veth(t, 4)
	if out, err := exec.Command("ethtool", "-L", "near", "rx", "2", "tx", "3").CombinedOutput(); err != nil {
		t.Fatalf("ethtool: %v: %s", err, out)
	}
	if f := read(t, "near"); f.RXQueues != 2 || f.TXQueues != 3 {
		t.Errorf("%d RX and %d TX queues, want 2 and 3", f.RXQueues, f.TXQueues)
	}
}

// sysfs of this process shows another namespace: an interface there of the
// same name must not be taken for ours.
func TestReadQueuesWithoutChannels(t *testing.T) {
	xsktest.Namespace(t)
	ip(t, "link", "add", "br0", "type", "bridge")
	if f := read(t, "br0"); f.RXQueues != 1 || f.TXQueues != 1 {
		t.Errorf("%d RX and %d TX queues, want 1", f.RXQueues, f.TXQueues)
	}
}

func TestReadBridgePort(t *testing.T) {
	xsktest.Namespace(t)
	xsktest.Veth(t, 1)
	ip(t, "link", "add", "br0", "address", "02:00:5e:00:00:99", "type", "bridge")
	ip(t, "addr", "add", "192.0.2.1/24", "dev", "br0")
	ip(t, "link", "set", "near", "master", "br0")
	f := read(t, "near")
	if f.Bridge != "br0" || f.Bond != "" || f.BridgeMAC != [6]byte{2, 0, 0x5e, 0, 0, 0x99} {
		t.Errorf("%+v", f)
	}
	if len(f.BridgeAddrs) != 1 || f.BridgeAddrs[0].IP != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("addresses of the bridge: %v", f.BridgeAddrs)
	}
	if f := read(t, "br0"); f.Bridge != "" || f.Kind != "bridge" {
		t.Errorf("%+v", f)
	}
}

func TestReadNothing(t *testing.T) {
	xsktest.Namespace(t)
	_, err := netdev.Read("nosuch0")
	if !errors.Is(err, netdev.ErrNotFound) || !strings.Contains(err.Error(), "nosuch0") {
		t.Errorf("error %v", err)
	}
	_, err = netdev.Read("a name longer than any interface's")
	if err == nil {
		t.Error("no error")
	}
}

func TestAutoInterfaces(t *testing.T) {
	xsktest.Namespace(t)
	xsktest.Veth(t, 1)
	ip(t, "link", "set", "lo", "up")
	ip(t, "link", "add", "br0", "up", "type", "bridge")
	ip(t, "addr", "add", "192.0.2.1/24", "dev", "br0")
	ip(t, "link", "add", "mv0", "link", "near", "type", "macvlan")
	ip(t, "addr", "add", "192.0.2.2/24", "dev", "mv0") // stays down
	names, err := netdev.AutoInterfaces()
	if err != nil || len(names) != 0 {
		t.Errorf("without addresses: %v, %v", names, err)
	}
	ip(t, "addr", "add", "192.0.2.3/24", "dev", "far")
	names, err = netdev.AutoInterfaces()
	if err != nil || strings.Join(names, " ") != "far" {
		t.Errorf("%v, %v; want far", names, err)
	}
	ip(t, "link", "set", "mv0", "up")
	names, err = netdev.AutoInterfaces()
	if err != nil || strings.Join(names, " ") != "far mv0" {
		t.Errorf("%v, %v; want far mv0", names, err)
	}
}

func TestOffloads(t *testing.T) {
	xsktest.Namespace(t)
	xsktest.Veth(t, 1)
	get := func(name string) map[string]netdev.Feature {
		t.Helper()
		list, err := netdev.Features(name, append(netdev.VLANOffloads, "no-such-feature")...)
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]netdev.Feature{}
		for _, f := range list {
			m[f.Name] = f
		}
		return m
	}
	was := get("near")
	if len(was) != 2 || !was["rx-vlan-hw-parse"].On || was["rx-vlan-hw-parse"].Fixed {
		t.Fatalf("veth has %v", was)
	}
	if err := netdev.SetFeatures("near", false, netdev.VLANOffloads...); err != nil {
		t.Fatal(err)
	}
	if got := get("near"); got["rx-vlan-hw-parse"].On || got["rx-vlan-stag-hw-parse"].On {
		t.Errorf("turned off: %v", got)
	}
	// ethtool agrees.
	out, err := exec.Command("ethtool", "-k", "near").Output()
	if err != nil || !strings.Contains(string(out), "rx-vlan-offload: off\n") {
		t.Errorf("ethtool -k: %v\n%s", err, out)
	}
	if err := netdev.SetFeatures("near", true, "rx-vlan-hw-parse"); err != nil {
		t.Fatal(err)
	}
	if got := get("near"); !got["rx-vlan-hw-parse"].On || got["rx-vlan-stag-hw-parse"].On {
		t.Errorf("one turned on: %v", got)
	}

	tap := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "tap0"}, Mode: netlink.TUNTAP_MODE_TAP}
	if err := netlink.LinkAdd(tap); err != nil {
		t.Fatal(err)
	}
	if f := get("tap0")["rx-vlan-hw-parse"]; f.On || !f.Fixed {
		t.Errorf("tap: %+v", f)
	}
	if err := netdev.SetFeatures("tap0", true, "rx-vlan-hw-parse"); err == nil || !strings.Contains(err.Error(), "rx-vlan-hw-parse") {
		t.Errorf("a feature that a tap cannot have: %v", err)
	}
	if _, err := netdev.Features("nosuch0", netdev.VLANOffloads...); err == nil {
		t.Error("features of no interface")
	}
}

func TestMain(m *testing.M) {
	if os.Getenv(holderMode) != "" {
		os.Exit(holdPort())
	}
	os.Exit(m.Run())
}
