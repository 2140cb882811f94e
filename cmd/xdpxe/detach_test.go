package main

import (
	"os"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bpf"
)

func TestDetachMistakes(t *testing.T) {
	for _, args := range [][]string{{"detach"}, {"detach", "--all", "-i", "lo"}} {
		if r := xdpxe(t, args...); r.code != 1 || !strings.Contains(r.stderr, "give either -i INTERFACE or --all") {
			t.Errorf("%v: %+v", args, r)
		}
	}
	if r := xdpxe(t, "detach", "-i", "xdpxe-none0", "--run-dir", t.TempDir()); r.code != 2 || !strings.Contains(r.stderr, "xdpxe-none0: no such interface") {
		t.Errorf("%+v", r)
	}
}

// attachByHand puts the program on an interface by netlink, as what is left of a
// daemon whose descriptors something else still holds. (iproute2 would pin the
// object's maps, in whatever BPF file system it finds first.)
func attachByHand(name string) error {
	spec, err := bpf.LoadSpec()
	if err != nil {
		return err
	}
	coll, err := ebpf.NewCollection(spec)
	if err != nil {
		return err
	}
	defer coll.Close()
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetXdpFdWithFlags(l, coll.Programs[bpf.ProgramName].FD(), unix.XDP_FLAGS_SKB_MODE)
}

func TestDetachLeftover(t *testing.T) {
	ns := newNamespace(t)
	attach := func() { ns.inside(t, func() error { return attachByHand("v0") }) }
	runDir := t.TempDir()
	attach()
	r := ns.xdpxe(t, "detach", "-i", "v0", "--run-dir", runDir)
	if r.code != 0 || !strings.HasPrefix(r.stdout, "v0: removed XDP program id ") || r.stderr != "" {
		t.Errorf("%+v", r)
	}
	if link := ns.run(t, "ip", "-details", "link", "show", "v0"); strings.Contains(link, "prog/xdp") {
		t.Errorf("still attached: %s", link)
	}
	if r := ns.xdpxe(t, "detach", "-i", "v0", "--run-dir", runDir); r.code != 0 || r.stdout != "v0: nothing to remove\n" {
		t.Errorf("%+v", r)
	}
	attach()
	if r := ns.xdpxe(t, "detach", "--all", "--run-dir", runDir); r.code != 0 || !strings.HasPrefix(r.stdout, "v0: removed XDP program id ") {
		t.Errorf("%+v", r)
	}
	if r := ns.xdpxe(t, "detach", "--all", "--run-dir", runDir); r.code != 0 || r.stdout != "nothing to remove\n" {
		t.Errorf("%+v", r)
	}
	if entries, err := os.ReadDir(runDir); err != nil || len(entries) != 0 {
		t.Errorf("run directory: %v, %v", entries, err)
	}
}
