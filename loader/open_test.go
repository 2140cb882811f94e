package loader

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bpf"
	"github.com/xdpxe/xdpxe/loader/netdev"
	"github.com/xdpxe/xdpxe/loader/xsk"
	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
)

func TestAutoTakesTheBest(t *testing.T) {
	r := newRig(t, 1)
	d := r.open(t, Options{})
	i := d.Info()
	if i.Tier != Native || i.Mode != ModeNative || i.Deliver != Steal || len(i.Why) != 0 || len(i.Notes) != 0 {
		t.Errorf("%+v", i)
	}
	if i.Driver != "veth" || i.MTU != 1500 || i.IfIndex != r.near.Index || i.ProgramID == 0 || i.LinkID == 0 || len(i.ProgramTag) != 16 {
		t.Errorf("%+v", i)
	}
	r.redirected(t, d, discover(1))
}

// veth refuses native XDP where its peer may send by more queues than it has.
func TestAutoWithoutNativeXDP(t *testing.T) {
	xsktest.Namespace(t)
	ip(t, "link", "add", "near", "numrxqueues", "1", "type", "veth", "peer", "name", "far", "numtxqueues", "4")
	run(t, "ethtool", "-L", "far", "tx", "4")
	ip(t, "link", "set", "near", "up")
	ip(t, "link", "set", "far", "up")
	r := &rig{near: xsktest.End{Name: "near"}}
	d := r.open(t, Options{})
	i := d.Info()
	if i.Tier != Generic || i.Mode != ModeGeneric || len(i.Why) != 1 {
		t.Fatalf("%+v", i)
	}
	mustContain(t, i.Why[0], "native AF_XDP", "veth", "RX queues (1 here)", "no space left")
	d.Close()

	_, err := Open(Options{Iface: "near", Datapath: Native})
	if !errors.Is(err, ErrUnusable) {
		t.Fatalf("forced native: %v", err)
	}
	mustContain(t, err.Error(), "near", "native AF_XDP", "RX queues (1 here)")

	d = r.open(t, Options{Datapath: Ringbuf})
	if i := d.Info(); i.Tier != Ringbuf || i.Mode != ModeGeneric || len(i.Why) != 1 {
		t.Errorf("ring buffer: %+v", i)
	}
}

// A queue that another AF_XDP socket has stops both AF_XDP tiers, not the ring buffer.
func TestAutoWithoutAFXDP(t *testing.T) {
	r := newRig(t, 2)
	s, err := xsk.Open(xsk.Config{IfIndex: r.near.Index, Queue: 1, Frames: 64})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	d := r.open(t, Options{})
	i := d.Info()
	if i.Tier != Ringbuf || i.Mode != ModeNative || len(i.Why) != 2 || len(d.Sockets()) != 0 {
		t.Fatalf("%+v", i)
	}
	mustContain(t, i.Why[0], "native AF_XDP", "queue 1", "taken by another AF_XDP socket")
	mustContain(t, i.Why[1], "generic AF_XDP", "queue 1")
	r.recorded(t, d, discover(1))
}

func TestZeroCopyWish(t *testing.T) {
	r := newRig(t, 1)
	d := r.open(t, Options{ZeroCopy: true})
	i := d.Info()
	if i.Tier != Native || i.ZeroCopy || len(i.Notes) != 1 {
		t.Fatalf("%+v", i)
	}
	mustContain(t, i.Notes[0], "zero-copy", "driver")
	r.redirected(t, d, discover(1))
}

func TestSocketTier(t *testing.T) {
	r := newRig(t, 1)
	d := r.open(t, Options{Datapath: Socket})
	i := d.Info()
	if i.Tier != Socket || i.Mode != ModeNone || i.ProgramID != 0 || d.Ring() != nil || len(d.Sockets()) != 0 {
		t.Errorf("%+v", i)
	}
	if line := linkLine(t, "near"); strings.Contains(line, "xdp") {
		t.Errorf("attached: %s", line)
	}
	d.StopBeat()
	if err := errors.Join(d.SetDeliver(Tee, ""), d.Quiesce()); err != nil {
		t.Error(err)
	}
	if c, err := d.Counters(); err != nil || len(c) != 0 {
		t.Errorf("counters %v, %v", c, err)
	}
	if why := d.Check(facts(t, "near")); why != "" {
		t.Errorf("check: %s", why)
	}
	r.passes(t, discover(1))
}

func TestTeeOnBridgePort(t *testing.T) {
	r := newRig(t, 1)
	ip(t, "link", "add", "br0", "up", "type", "bridge")
	ip(t, "link", "set", "near", "master", "br0")
	d := r.open(t, Options{})
	i := d.Info()
	if i.Tier != Ringbuf || i.Deliver != Tee || len(i.Why) != 1 {
		t.Fatalf("%+v", i)
	}
	mustContain(t, i.DeliverWhy, "port of bridge br0")
	mustContain(t, i.Why[0], "AF_XDP", "br0")
	bridge := xsktest.OpenTap(t, xsktest.End{Name: "br0", Index: facts(t, "br0").Index})
	r.recorded(t, d, discover(1))
	bridge.Next(t, func(f []byte) bool { xid, ok := xidOf(f); return ok && xid == 1 })
}

func TestTeeBesideDHCPServer(t *testing.T) {
	r := newRig(t, 1)
	other := holdPort(t, ":67")
	d := r.open(t, Options{})
	i := d.Info()
	if i.Tier != Ringbuf || i.Mode != ModeNative || i.Deliver != Tee {
		t.Fatalf("%+v", i)
	}
	mustContain(t, i.DeliverWhy, "UDP port 67", other)
	since := monotonic()
	r.passes(t, discover(1))
	r.record(t, d, discover(1), since)
	d.Close()

	// A forced AF_XDP datapath tees on its attach mode.
	d = r.open(t, Options{Datapath: Generic})
	if i := d.Info(); i.Tier != Ringbuf || i.Mode != ModeGeneric || i.Deliver != Tee {
		t.Errorf("%+v", i)
	}
	d.Close()
	// Who says steal gets it.
	d = r.open(t, Options{Deliver: Steal})
	if i := d.Info(); i.Tier != Native || i.Deliver != Steal {
		t.Errorf("%+v", i)
	}
	d.Close()

	_, inUse := net.ListenPacket("udp4", ":67")
	if err := PortTaken(67, inUse); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("port 67: %v", err)
	} else {
		mustContain(t, err.Error(), "UDP port 67", other)
	}
}

// holdPort starts a process that holds a UDP port and returns how it is named.
func holdPort(t *testing.T, addr string) string {
	t.Helper()
	c, err := net.ListenPacket("udp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	f, err := c.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	name := startHolder(t, f)
	f.Close()
	c.Close()
	return name
}

// This kernel may have no bonds: what netdev would say of one is made up.
func TestBonds(t *testing.T) {
	bond := &netdev.Facts{Name: "bond0", Kind: "bond", RXQueues: 1}
	l := ladder{o: Options{Datapath: Native}, f: bond, d: &Datapath{}}
	if err := l.bearsXSK(ModeNative); err == nil || !strings.Contains(err.Error(), "members") {
		t.Errorf("native AF_XDP on a bond: %v", err)
	}
	if err := l.bearsXSK(ModeGeneric); err != nil {
		t.Errorf("generic AF_XDP on a bond: %v", err)
	}
	if err := refuse(bond); err != nil {
		t.Errorf("bond: %v", err)
	}
	err := refuse(&netdev.Facts{Name: "eth1", Bond: "bond0"})
	if !errors.Is(err, ErrBondMember) {
		t.Fatalf("member: %v", err)
	}
	mustContain(t, err.Error(), "eth1", "use bond0")
}

// A tag that the kernel took out below a bridge or macvlan is not to be seen
// there: with VLAN devices on it, sockets serve.
func TestTagsBelowUpperDevice(t *testing.T) {
	r := newRig(t, 1)
	ip(t, "link", "add", "br0", "up", "type", "bridge")
	ip(t, "link", "set", "near", "master", "br0")
	d, err := Open(Options{Iface: "br0", Datapath: Ringbuf, Stale: testStale})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.Beat()
	if i := d.Info(); i.Mode != ModeGeneric || len(i.Notes) != 1 || !strings.Contains(i.Notes[0], "bridge") {
		t.Errorf("%+v", i)
	}
	q := discover(7)
	q.vids = []uint16{5}
	r.client.Send(t, q.frame())
	buf := make([]byte, bpf.MaxRecord)
	n, err := d.Ring().Read(buf, patience)
	if err != nil || n == 0 {
		t.Fatalf("%d, %v", n, err)
	}
	if xid, ok := xidOf(buf[bpf.RequestHeaderSize:n]); !ok || xid != 7 {
		t.Error("the tag is there: upperKinds says otherwise")
	}
	// As if there were VLAN devices; this kernel may have none.
	f := facts(t, "br0")
	f.VLANs = []netdev.VLAN{{Name: "br0.5", VIDs: []uint16{5}}}
	mustContain(t, d.Check(f), "VLAN devices", "hands frames to a bridge")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	l := ladder{o: Options{Iface: "br0", Stale: testStale}, f: f, d: &Datapath{info: Info{Iface: "br0", Tier: Socket, Mode: ModeNone, Deliver: Steal}}}
	defer l.d.Close()
	l.o, err = l.o.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	steps, err := plan(Auto, Steal)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.climb(steps); err != nil {
		t.Fatal(err)
	}
	if i := l.d.Info(); i.Tier != Socket || i.ProgramID != 0 || len(i.Why) != 4 || !strings.Contains(i.Why[1], "br0 has VLAN devices") {
		t.Errorf("%+v", i)
	}
	noProgramOn(t, "br0")
}

func TestOpenOtherInterfaces(t *testing.T) {
	xsktest.Namespace(t)
	ip(t, "link", "set", "lo", "up")
	d, err := Open(Options{Iface: "lo"})
	if err != nil {
		t.Fatal(err)
	}
	if i := d.Info(); i.Tier != Socket || len(i.Why) != 1 || !strings.Contains(i.Why[0], "no Ethernet interface") {
		t.Errorf("lo: %+v", i)
	}
	d.Close()

	_, err = Open(Options{Iface: "nosuch0"})
	if !errors.Is(err, netdev.ErrNotFound) {
		t.Errorf("no interface: %v", err)
	}

	ip(t, "link", "add", "near", "type", "veth", "peer", "name", "far")
	_, err = Open(Options{Iface: "near"})
	if !errors.Is(err, ErrDown) {
		t.Errorf("down: %v", err)
	}
	mustContain(t, err.Error(), "near", "ip link set near up")

	for _, o := range []Options{
		{}, {Iface: "near", Datapath: "fast"}, {Iface: "near", Deliver: "both"}, {Iface: "near", Stale: 1},
	} {
		if d, err := Open(o); err == nil {
			d.Close()
			t.Errorf("%+v: no error", o)
		}
	}

	// No native XDP: the generic hook serves a macvlan.
	ip(t, "link", "set", "near", "up")
	ip(t, "link", "set", "far", "up")
	ip(t, "link", "add", "mv0", "link", "near", "up", "type", "macvlan")
	d, err = Open(Options{Iface: "mv0"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if i := d.Info(); i.Tier != Generic || len(i.Why) != 1 || !strings.Contains(i.Why[0], "driver macvlan has no native XDP") {
		t.Errorf("macvlan: %+v", i)
	}
}

// A foreign program stays, whatever attached it, and the error says what it is and how to remove it.
func TestForeignProgram(t *testing.T) {
	r := newRig(t, 1)
	prog := foreign(t, "firewall")
	near, err := netlink.LinkByName("near")
	if err != nil {
		t.Fatal(err)
	}
	check := func(remove string) {
		t.Helper()
		for _, tier := range []Tier{Native, Generic, Ringbuf} {
			_, err := Open(Options{Iface: "near", Datapath: tier})
			var busy *BusyError
			if !errors.Is(err, ErrBusy) || errors.Is(err, ErrRunning) || !errors.As(err, &busy) {
				t.Fatalf("%s: %v", tier, err)
			}
			if busy.ProgramID != id(t, prog) || busy.Name != "firewall" || busy.Iface != "near" {
				t.Errorf("%+v", busy)
			}
			mustContain(t, err.Error(), `"firewall"`, "near", remove)
		}
		if _, err := Detach("near", t.TempDir(), ""); !errors.Is(err, ErrBusy) {
			t.Errorf("detach: %v", err)
		}
		// Sockets do without XDP.
		d := r.open(t, Options{})
		i := d.Info()
		if i.Tier != Socket || len(i.Why) != 1 {
			t.Fatalf("auto: %+v", i)
		}
		mustContain(t, i.Why[0], `"firewall"`, remove)
		d.Close()
		if a, err := inspect("near", r.near.Index); err != nil || a == nil || a.id != id(t, prog) {
			t.Errorf("the foreign program did not stay: %+v, %v", a, err)
		} else {
			a.close()
		}
	}

	for mode, remove := range map[int]string{unix.XDP_FLAGS_DRV_MODE: "ip link set dev near xdp off", unix.XDP_FLAGS_SKB_MODE: "ip link set dev near xdpgeneric off"} {
		if err := netlink.LinkSetXdpFdWithFlags(near, prog.FD(), mode); err != nil {
			t.Fatal(err)
		}
		check("`" + remove + "`")
		// It says the truth.
		ip(t, strings.Fields(remove)[1:]...)
	}

	l, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: r.near.Index, Flags: link.XDPGenericMode})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	check("`bpftool link detach id ")
	l.Close()
	r.open(t, Options{Datapath: Native})
}

// A program with our name that is not ours.
func TestForeignProgramWithOurName(t *testing.T) {
	r := newRig(t, 1)
	prog := foreign(t, "xdpxe")
	l, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: r.near.Index})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Open(Options{Iface: "near", Datapath: Native})
	if !errors.Is(err, ErrBusy) || errors.Is(err, ErrRunning) {
		t.Errorf("%v", err)
	}
}
