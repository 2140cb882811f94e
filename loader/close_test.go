package loader

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

func descriptors(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join("/proc/self/fd", e.Name())); err == nil {
			out = append(out, e.Name()+" "+target)
		}
	}
	return out
}

func TestCloseLeavesNothing(t *testing.T) {
	for _, tier := range []Tier{Native, Generic, Ringbuf, Socket} {
		t.Run(string(tier), func(t *testing.T) {
			r := newRig(t, 2)
			dir := t.TempDir()
			line := linkLine(t, "near")
			d, err := Open(Options{Iface: "near", Datapath: tier, RunDir: dir}) // the runtime's own descriptors, once
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			before := len(descriptors(t))
			d, err = Open(Options{Iface: "near", Datapath: tier, RunDir: dir})
			if err != nil {
				t.Fatal(err)
			}
			d.Beat()
			own := d.Info()
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			if err := d.Close(); err != nil {
				t.Errorf("twice: %v", err)
			}
			d.Beat() // does no harm
			if after := descriptors(t); len(after) != before {
				t.Errorf("%d descriptors, were %d: %v", len(after), before, after)
			}
			if got := linkLine(t, "near"); got != line {
				t.Errorf("interface: %s\nwas: %s", got, line)
			}
			gone(t, own)
			if left, _ := filepath.Glob(dir + "/*"); len(left) != 0 {
				t.Errorf("files left: %v", left)
			}
			if !rxvlan(t, "near") {
				t.Error("rxvlan is off")
			}
			r.passes(t, discover(1))
		})
	}
}

// gone wants the kernel to have nothing of a closed datapath. Objects are
// looked up by id: interface numbers repeat in the namespaces of other tests.
func gone(t *testing.T, i Info) {
	t.Helper()
	if i.Tier == Socket {
		return
	}
	if p, err := ebpf.NewProgramFromID(i.ProgramID); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("program id %d is still there: %v", i.ProgramID, err)
		p.Close()
	}
	if l, err := link.NewFromID(i.LinkID); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("link id %d is still there: %v", i.LinkID, err)
		l.Close()
	}
}

// A failed Open leaves nothing either.
func TestFailedOpenLeavesNothing(t *testing.T) {
	r := newRig(t, 1)
	r.stack.Close()
	before := len(descriptors(t))
	dir := t.TempDir()
	for range 3 {
		if _, err := Open(Options{Iface: "near", Datapath: Native, Frames: 1, RunDir: dir}); err == nil {
			t.Fatal("one frame is enough?")
		}
	}
	if after := descriptors(t); len(after) != before {
		t.Errorf("%d descriptors, were %d: %v", len(after), before, after)
	}
	noProgramOn(t, "near")
	if !rxvlan(t, "near") {
		t.Error("rxvlan is off")
	}
}

// The interface goes while we have it: everything still closes, and says so.
func TestInterfaceDeleted(t *testing.T) {
	for _, tier := range []Tier{Native, Generic, Ringbuf} {
		t.Run(string(tier), func(t *testing.T) {
			r := newRig(t, 1)
			dir := t.TempDir()
			d, err := Open(Options{Iface: "near", Datapath: tier, RunDir: dir})
			if err != nil {
				t.Fatal(err)
			}
			d.Beat()
			old := facts(t, "near")
			r.near.Delete(t)
			if why := d.Check(old); why == "" {
				t.Error("check sees nothing")
			}
			if err := d.SetAddrs([]Addr{{IP: netip.MustParseAddr("192.0.2.1")}}); err != nil {
				t.Errorf("addresses: %v", err)
			}
			if err := d.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			if left, _ := filepath.Glob(dir + "/*"); len(left) != 0 {
				t.Errorf("files left: %v", left)
			}
			ip(t, "link", "add", "near", "up", "type", "veth", "peer", "name", "far")
			ip(t, "link", "set", "far", "up")
			mustContain(t, d.Check(facts(t, "near")), "made again")
			d, err = Open(Options{Iface: "near", Datapath: tier, RunDir: dir})
			if err != nil {
				t.Fatal(err)
			}
			d.Close()
		})
	}
}
