package loader

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bpf"
	"github.com/xdpxe/xdpxe/loader/netdev"
)

// shortStale makes a killed daemon's heartbeat expire soon.
const shortStale = 300 * time.Millisecond

func rxvlan(t *testing.T, name string) bool {
	t.Helper()
	f, err := netdev.Features(name, "rx-vlan-hw-parse")
	if err != nil || len(f) != 1 {
		t.Fatalf("features %v, %v", f, err)
	}
	return f[0].On
}

// noProgramOn wants nothing attached to an interface.
func noProgramOn(t *testing.T, name string) {
	t.Helper()
	a, err := inspect(name, facts(t, name).Index)
	if err != nil || a != nil {
		t.Errorf("attached: %+v, %v", a, err)
		a.close()
	}
}

// A killed daemon's program goes with it; what stays are offloads, until the next start ends.
func TestKilled(t *testing.T) {
	r := newRig(t, 1)
	dir := filepath.Join(t.TempDir(), "run")
	p := startOther(t, Options{Iface: "near", Stale: testStale, RunDir: dir})
	if p.report.Err != "" || p.report.Info.Tier != Native {
		t.Fatalf("%+v", p.report)
	}
	if rxvlan(t, "near") {
		t.Error("VLAN tags are hidden from XDP")
	}
	p.kill(t)
	noProgramOn(t, "near")
	if rxvlan(t, "near") {
		t.Error("the offload is on, without anyone to turn it on")
	}
	r.passes(t, discover(1))

	d := r.open(t, Options{Datapath: Native, RunDir: dir})
	r.redirected(t, d, discover(2))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if !rxvlan(t, "near") {
		t.Error("the next start's end did not restore the offload")
	}
	if left, _ := filepath.Glob(dir + "/*"); len(left) != 0 {
		t.Errorf("records left: %v", left)
	}
}

// A link that outlives its daemon, because another process has its descriptor.
func heldLink(t *testing.T, dir string) (link.Link, Info) {
	t.Helper()
	p := startOther(t, Options{Iface: "near", Stale: shortStale, RunDir: dir})
	if p.report.Err != "" {
		t.Fatal(p.report.Err)
	}
	l, err := link.NewFromID(p.report.Info.LinkID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p.kill(t)
	return l, p.report.Info
}

func TestHeldLinkIsInertAndTakenOver(t *testing.T) {
	r := newRig(t, 1)
	_, info := heldLink(t, t.TempDir())
	d := r.open(t, Options{}) // waits until it is stale
	i := d.Info()
	if i.Tier != Native || len(i.Notes) != 1 {
		t.Fatalf("%+v", i)
	}
	mustContain(t, i.Notes[0], fmt.Sprintf("program id %d", info.ProgramID))
	r.redirected(t, d, discover(1))
}

func TestHeldLinkIsInertAndDetached(t *testing.T) {
	newRig(t, 1)
	dir := t.TempDir()
	_, info := heldLink(t, dir)
	removed, err := Detach("near", dir, "")
	if err != nil || removed.Program != info.ProgramID || removed.LinkID != info.LinkID || removed.Mode != ModeNative {
		t.Errorf("%+v, %v", removed, err)
	}
	if strings.Join(removed.Offloads, " ") != "rx-vlan-hw-parse rx-vlan-stag-hw-parse" || !rxvlan(t, "near") {
		t.Errorf("offloads %v", removed.Offloads)
	}
	noProgramOn(t, "near")
	if removed, err = Detach("near", dir, ""); err != nil || removed.Program != 0 || len(removed.Offloads) != 0 {
		t.Errorf("again: %+v, %v", removed, err)
	}
}

// A stale program passes everything while it is still there.
func TestHeldLinkPasses(t *testing.T) {
	r := newRig(t, 1)
	heldLink(t, t.TempDir())
	a, err := inspect("near", r.near.Index)
	if err != nil || a == nil || !a.ours {
		t.Fatalf("%+v, %v", a, err)
	}
	defer a.close()
	if dead, err := a.dead(); err != nil || !dead {
		t.Fatalf("dead: %v, %v", dead, err)
	}
	r.passes(t, discover(1))
}

func TestPinnedLinkIsTakenOver(t *testing.T) {
	r := newRig(t, 1)
	d := r.open(t, Options{Datapath: Generic, Stale: shortStale})
	bpffs := t.TempDir()
	if err := unix.Mount("bpf", bpffs, "bpf", 0, ""); err != nil {
		t.Fatalf("mount a bpffs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(bpffs, 0); err != nil {
			t.Error(err)
		}
	})
	if err := d.link.Pin(filepath.Join(bpffs, "link")); err != nil {
		t.Fatal(err)
	}
	d.Close() // the daemon ends, the pin does not
	if a, err := inspect("near", r.near.Index); err != nil || a == nil {
		t.Fatalf("%+v, %v", a, err)
	} else {
		a.close()
	}
	d = r.open(t, Options{})
	if i := d.Info(); i.Tier != Native || len(i.Notes) != 1 {
		t.Errorf("%+v", i)
	}
	r.redirected(t, d, discover(1))
}

// The operator loaded our object with ip link, or bpftool net attach.
func TestNetlinkAttachedCopyIsTakenOver(t *testing.T) {
	newRig(t, 1)
	near, err := netlink.LinkByName("near")
	if err != nil {
		t.Fatal(err)
	}
	for mode, name := range map[int]Mode{unix.XDP_FLAGS_DRV_MODE: ModeNative, unix.XDP_FLAGS_SKB_MODE: ModeGeneric} {
		spec, err := bpf.LoadSpec()
		if err != nil {
			t.Fatal(err)
		}
		coll, err := ebpf.NewCollection(spec)
		if err != nil {
			t.Fatal(err)
		}
		prog := coll.Programs[bpf.ProgramName]
		want := id(t, prog)
		if err := netlink.LinkSetXdpFdWithFlags(near, prog.FD(), mode); err != nil {
			t.Fatal(err)
		}
		coll.Close()
		removed, err := Detach("near", "", "")
		if err != nil || removed.Program != want || removed.LinkID != 0 || removed.Mode != name {
			t.Errorf("%+v, %v", removed, err)
		}
		noProgramOn(t, "near")
	}
}

// A program that took the place of ours between the look and the removal stays.
func TestRemovalNamesItsProgram(t *testing.T) {
	r := newRig(t, 1)
	near, err := netlink.LinkByName("near")
	if err != nil {
		t.Fatal(err)
	}
	first, second := foreign(t, "first"), foreign(t, "second")
	if err := netlink.LinkSetXdpFdWithFlags(near, first.FD(), unix.XDP_FLAGS_DRV_MODE); err != nil {
		t.Fatal(err)
	}
	a, err := inspect("near", r.near.Index)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	if err := netlink.LinkSetXdpFdWithFlags(near, second.FD(), unix.XDP_FLAGS_DRV_MODE); err != nil {
		t.Fatal(err)
	}
	if err := a.remove(); err == nil {
		t.Error("removed a program that came later")
	}
	b, err := inspect("near", r.near.Index)
	if err != nil || b == nil || b.id != id(t, second) {
		t.Errorf("%+v, %v", b, err)
	}
	b.close()
}

// The one that lives is left alone, with its offloads, by every way to start or detach.
func TestRunningIsLeftAlone(t *testing.T) {
	r := newRig(t, 1)
	dir := t.TempDir()
	p := startOther(t, Options{Iface: "near", Stale: 4 * time.Second, RunDir: dir})
	if p.report.Err != "" {
		t.Fatal(p.report.Err)
	}
	for _, tier := range []Tier{Auto, Native, Generic, Ringbuf, Socket} {
		_, err := Open(Options{Iface: "near", Datapath: tier, RunDir: dir})
		if !errors.Is(err, ErrRunning) || !errors.Is(err, ErrBusy) {
			t.Errorf("%s: %v", tier, err)
		}
	}
	_, err := Detach("near", dir, "")
	if !errors.Is(err, ErrRunning) {
		t.Errorf("detach: %v", err)
	}
	mustContain(t, err.Error(), "near", fmt.Sprint(p.report.Info.ProgramID), "another xdpxe that is running")
	if rxvlan(t, "near") {
		t.Error("its offload was turned on")
	}
	r.client.Send(t, discover(1).frame())
	p.stop(t)
	r.hidden(t, 1)
	noProgramOn(t, "near")
	if !rxvlan(t, "near") {
		t.Error("its stop did not restore the offload")
	}
}

func TestDetachNothing(t *testing.T) {
	newRig(t, 1)
	if removed, err := Detach("near", t.TempDir(), ""); err != nil || removed.Program != 0 || len(removed.Offloads) != 0 {
		t.Errorf("%+v, %v", removed, err)
	}
	if _, err := Detach("nosuch0", t.TempDir(), ""); !errors.Is(err, netdev.ErrNotFound) {
		t.Errorf("no interface: %v", err)
	}
}

// A record is about one interface, not about whatever has its number now.
func TestOffloadRecordOfAnother(t *testing.T) {
	newRig(t, 1)
	dir := t.TempDir()
	f := facts(t, "near")
	o := loadOffloads(dir, f)
	if err := o.disable("near"); err != nil {
		t.Fatal(err)
	}
	if err := netdev.SetFeatures("near", false, "rx-vlan-hw-parse"); err != nil {
		t.Fatal(err)
	}
	ip(t, "link", "set", "near", "address", "02:00:00:00:00:77")
	if got := loadOffloads(dir, facts(t, "near")); len(got.Off) != 0 {
		t.Errorf("%+v", got)
	}
	ip(t, "link", "set", "near", "address", fmt.Sprintf("%x:%x:%x:%x:%x:%x", f.MAC[0], f.MAC[1], f.MAC[2], f.MAC[3], f.MAC[4], f.MAC[5]))
	if got := loadOffloads(dir, facts(t, "near")); len(got.Off) != 2 {
		t.Errorf("%+v", got)
	}
	for _, text := range []string{"", "{", `{"ifindex":0}`, `{"ifindex":1,"off":["tx-nothing"]}`} {
		if err := os.WriteFile(o.path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := loadOffloads(dir, f); len(got.Off) != 0 {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

// Without a record nothing is turned off that a crash would leave off.
func TestOffloadRecordComesFirst(t *testing.T) {
	newRig(t, 1)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := loadOffloads(filepath.Join(file, "run"), facts(t, "near"))
	if err := o.disable("near"); err == nil || !rxvlan(t, "near") {
		t.Errorf("no record, but rxvlan is %v (%v)", rxvlan(t, "near"), err)
	}
}
