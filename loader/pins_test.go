package loader

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bpf"
	"github.com/xdpxe/xdpxe/loader/xsk"
	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
)

// bpffs returns a directory in a bpffs of the test's own, which is not there yet.
func bpffs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("bpf", dir, "bpf", 0, "mode=0755"); err != nil {
		t.Fatalf("mount a bpffs: %v", err)
	}
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "xdpxe")
}

// pinned lists what is pinned below dir, without the part that differs each time.
func pinned(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(dir + "/*/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		names = append(names, filepath.Base(f))
	}
	return names
}

// abandon starts a daemon that pins and ends without a word.
func abandon(t *testing.T, o Options) Info {
	t.Helper()
	o.Iface, o.Stale = "near", testStale
	p := startOther(t, o)
	if p.report.Err != "" {
		t.Fatal(p.report.Err)
	}
	p.kill(t)
	return p.report.Info
}

func attachedID(t *testing.T) ebpf.ProgramID {
	t.Helper()
	a, err := inspect("near", facts(t, "near").Index)
	if err != nil {
		t.Fatal(err)
	}
	if a == nil {
		return 0
	}
	defer a.close()
	return a.id
}

func mapID(t *testing.T, d *Datapath, name string) ebpf.MapID {
	t.Helper()
	info, err := d.coll.Maps[name].Info()
	if err != nil {
		t.Fatal(err)
	}
	id, _ := info.ID()
	return id
}

// What a killed daemon pinned is taken over at once, though its heartbeat is
// fresh, and a stop removes all of it.
func TestTakeOver(t *testing.T) {
	for _, tier := range []Tier{Native, Generic, Ringbuf} {
		t.Run(string(tier), func(t *testing.T) {
			r := newRig(t, 2)
			dir := bpffs(t)
			run := t.TempDir()
			o := Options{Datapath: tier, PinDir: dir, RunDir: run}
			was := abandon(t, o)
			if was.Pinned == "" || was.TookOver {
				t.Fatalf("%+v", was)
			}
			if got := attachedID(t); got != was.ProgramID {
				t.Fatalf("program id %d is attached after the crash, was %d", got, was.ProgramID)
			}
			if tier != Ringbuf {
				r.passes(t, discover(1)) // no socket
			}
			d := r.open(t, o)
			i := d.Info()
			if !i.TookOver || i.Pinned != was.Pinned || i.LinkID != was.LinkID || i.ProgramID == was.ProgramID || i.Tier != tier || len(i.Notes) != 0 {
				t.Errorf("%+v, was %+v", i, was)
			}
			if got := attachedID(t); got != i.ProgramID {
				t.Errorf("program id %d is attached, want %d", got, i.ProgramID)
			}
			if c := counts(t, d); tier != Ringbuf && c["no_socket"] != 1 {
				t.Errorf("counters %v: not the former ones", c)
			}
			if tier == Ringbuf {
				r.recorded(t, d, discover(2))
			} else {
				r.redirected(t, d, discover(2))
			}
			if st, err := os.Stat(i.Pinned); err != nil || st.Mode().Perm() != 0o700 {
				t.Errorf("%v, %v", st.Mode(), err)
			}
			if got := pinned(t, dir); len(got) != 3 || !slices.Contains(got, pinnedLink) || !slices.Contains(got, pinnedProgram) {
				t.Errorf("pinned: %v", got)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			noProgramOn(t, "near")
			if left, _ := filepath.Glob(dir + "/*"); len(left) != 0 {
				t.Errorf("pins left: %v", left)
			}
			if !rxvlan(t, "near") {
				t.Error("rxvlan is off")
			}
		})
	}
}

// No request of a hand-over is lost, doubled, or seen by the stack: the ring
// buffer goes on through it, and there is no moment without a program.
func TestHandOverLosesNothing(t *testing.T) {
	r := newRig(t, 1)
	o := Options{Datapath: Ringbuf, Deliver: Steal, PinDir: bpffs(t), RunDir: t.TempDir()}
	d := r.open(t, o)
	const lives = 8
	sent := make(chan uint32)
	stop := make(chan struct{})
	go func() {
		n := uint32(0)
		defer func() { sent <- n }()
		tick := time.NewTicker(200 * time.Microsecond)
		defer tick.Stop()
		for n < 5000 { // what the ring buffer holds
			select {
			case <-stop:
				return
			case <-tick.C:
				n++
				r.client.Send(t, discover(n).frame())
			}
		}
	}()
	for range lives {
		if err := d.HandOver(); err != nil {
			t.Fatal(err)
		}
		d = r.open(t, o)
		if !d.Info().TookOver {
			t.Fatalf("%+v", d.Info())
		}
	}
	close(stop)
	n := <-sent
	since := uint64(0)
	for xid := range n {
		r.record(t, d, discover(xid+1), since)
	}
	if got := r.stack.Pending(t, func(f []byte) bool { _, ok := xidOf(f); return ok }); got != 0 || n < lives {
		t.Errorf("the stack saw %d of %d requests", got, n)
	}
	if c := counts(t, d); c["stolen"] != uint64(n) {
		t.Errorf("counters %v of %d requests", c, n)
	}
}

// After Yield the stack has what the sockets would have had, and what they have stays readable.
func TestYield(t *testing.T) {
	r := newRig(t, 1)
	d := r.open(t, Options{Datapath: Native})
	r.client.Send(t, discover(1).frame())
	if err := d.Yield(); err != nil {
		t.Fatal(err)
	}
	r.passes(t, discover(2))
	r.hidden(t, 1)
	socket := d.sockets[0]
	buf, err := received(socket, 1)
	if err != nil || string(buf) != string(discover(1).frame()) {
		t.Errorf("%x, %v", buf, err)
	}
	if err := d.Yield(); err != nil {
		t.Errorf("twice: %v", err)
	}
}

// Whatever of the pins is missing, of another version or somebody else's, a
// start ends with one program, ours, and working pins.
func TestDamagedPins(t *testing.T) {
	maps := func(dir string) string {
		found, _ := filepath.Glob(filepath.Join(dir, pinnedMaps+"*"))
		return found[0]
	}
	foreignMap := func(t *testing.T, path string) {
		m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 24, MaxEntries: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if err := errors.Join(os.Remove(path), m.Pin(path)); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		damage   func(t *testing.T, dir string)
		tookOver bool // the link
		fresh    bool // the maps
	}{
		"none": {func(*testing.T, string) {}, true, false},
		"maps of another layout": {func(t *testing.T, dir string) {
			os.Rename(maps(dir), filepath.Join(dir, pinnedMaps+"0123456789abcdef"))
		}, true, true},
		"a map is missing": {func(t *testing.T, dir string) { os.Remove(filepath.Join(maps(dir), bpf.AddrsMap)) }, true, true},
		"a map of another size": {func(t *testing.T, dir string) {
			foreignMap(t, filepath.Join(maps(dir), bpf.SettingsMap))
		}, true, true},
		"a program in the place of a map": {func(t *testing.T, dir string) {
			path := filepath.Join(maps(dir), bpf.ClassesMap)
			if err := errors.Join(os.Remove(path), foreign(t, "other").Pin(path)); err != nil {
				t.Fatal(err)
			}
		}, true, true},
		"no maps":                {func(t *testing.T, dir string) { os.RemoveAll(maps(dir)) }, true, true},
		"between pin and update": {func(t *testing.T, dir string) { foreign(t, bpf.ProgramName).Pin(filepath.Join(dir, nextProgram)) }, true, false},
		"between update and rename": {func(t *testing.T, dir string) {
			os.Rename(filepath.Join(dir, pinnedProgram), filepath.Join(dir, nextProgram))
			foreign(t, bpf.ProgramName).Pin(filepath.Join(dir, pinnedProgram))
		}, true, false},
		"a directory in the place of the link": {func(t *testing.T, dir string) {
			l, err := link.LoadPinnedLink(filepath.Join(dir, pinnedLink), nil)
			if err != nil {
				t.Fatal(err)
			}
			l.Detach()
			l.Close()
			if err := errors.Join(os.Remove(filepath.Join(dir, pinnedLink)), os.Mkdir(filepath.Join(dir, pinnedLink), 0o700)); err != nil {
				t.Fatal(err)
			}
		}, false, true},
		"a link that holds nothing": {func(t *testing.T, dir string) {
			l, err := link.LoadPinnedLink(filepath.Join(dir, pinnedLink), nil)
			if err != nil {
				t.Fatal(err)
			}
			l.Detach()
			l.Close()
		}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1)
			o := Options{Datapath: Native, PinDir: bpffs(t), RunDir: t.TempDir()}
			was := abandon(t, o)
			heartbeat, err := ebpf.LoadPinnedMap(filepath.Join(maps(was.Pinned), bpf.HeartbeatMap), nil)
			if err != nil {
				t.Fatal(err)
			}
			info, err := heartbeat.Info()
			heartbeat.Close()
			if err != nil {
				t.Fatal(err)
			}
			before, _ := info.ID()
			c.damage(t, was.Pinned)
			for life := range 2 { // the pins of the first serve the second
				d := r.open(t, o)
				if i := d.Info(); i.TookOver != (c.tookOver || life > 0) || i.Pinned == "" || attachedID(t) != i.ProgramID {
					t.Errorf("life %d: %+v", life, i)
				}
				if fresh := mapID(t, d, bpf.HeartbeatMap) != before; fresh != c.fresh {
					t.Errorf("life %d: new maps: %v, want %v", life, fresh, c.fresh)
				}
				if got := pinned(t, o.PinDir); len(got) != 3 {
					t.Errorf("life %d: pinned: %v", life, got)
				}
				r.redirected(t, d, discover(uint32(life+1)))
				if life == 0 {
					if err := d.HandOver(); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

// A link of somebody else in our place is not ours to update or remove.
func TestForeignLinkInPins(t *testing.T) {
	r := newRig(t, 1)
	o := Options{Iface: "near", Datapath: Native, PinDir: bpffs(t), RunDir: t.TempDir()}
	path, err := pinPath(o.PinDir, r.near.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	prog := foreign(t, "firewall")
	l, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: r.near.Index, Flags: link.XDPDriverMode})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Pin(filepath.Join(path, pinnedLink)); err != nil {
		t.Fatal(err)
	}
	var busy *BusyError
	if _, err := Open(o); !errors.As(err, &busy) || busy.Ours {
		t.Errorf("open: %v", err)
	}
	if _, err := Detach("near", o.RunDir, o.PinDir); !errors.As(err, &busy) || busy.Ours {
		t.Errorf("detach: %v", err)
	}
	if got := attachedID(t); got != id(t, prog) {
		t.Errorf("program id %d is attached, want %d", got, id(t, prog))
	}
}

// Another mode, or none, is another attachment: the former one goes.
func TestTakeOverInAnotherMode(t *testing.T) {
	r := newRig(t, 1)
	o := Options{Datapath: Native, PinDir: bpffs(t), RunDir: t.TempDir()}
	abandon(t, o)
	o.Datapath = Generic
	d := r.open(t, o)
	if i := d.Info(); i.TookOver || i.Mode != ModeGeneric || i.Pinned == "" || attachedID(t) != i.ProgramID {
		t.Errorf("%+v", i)
	}
	r.redirected(t, d, discover(1))
	if err := d.HandOver(); err != nil {
		t.Fatal(err)
	}
	o.Datapath = Socket
	d = r.open(t, o)
	noProgramOn(t, "near")
	if left, _ := filepath.Glob(o.PinDir + "/*"); len(left) != 0 || d.Info().Pinned != "" || !rxvlan(t, "near") {
		t.Errorf("%v, %+v", left, d.Info())
	}
}

// Who lives is known by the lock, whatever the heartbeat says.
func TestLockedIsRunning(t *testing.T) {
	r := newRig(t, 1)
	o := Options{PinDir: bpffs(t), RunDir: t.TempDir()}
	d := r.open(t, o)
	d.StopBeat()
	for _, tier := range []Tier{Auto, Native, Socket} {
		o.Iface, o.Datapath = "near", tier
		if _, err := Open(o); !errors.Is(err, ErrRunning) {
			t.Errorf("%s: %v", tier, err)
		}
	}
	if _, err := Detach("near", o.RunDir, o.PinDir); !errors.Is(err, ErrRunning) {
		t.Errorf("detach: %v", err)
	}
	if n, err := DetachGone(o.PinDir); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	d.Beat()
	r.redirected(t, d, discover(1))
}

// Where nothing can be pinned everything works as without.
func TestNoBPFFS(t *testing.T) {
	r := newRig(t, 1)
	d := r.open(t, Options{Datapath: Native, PinDir: filepath.Join(t.TempDir(), "xdpxe")})
	i := d.Info()
	if i.Pinned != "" || len(i.Notes) != 1 {
		t.Fatalf("%+v", i)
	}
	mustContain(t, i.Notes[0], "nothing is pinned", "bpffs")
	r.redirected(t, d, discover(1))
	if err := d.HandOver(); err != nil {
		t.Fatal(err)
	}
	noProgramOn(t, "near")
}

func TestDetachPinned(t *testing.T) {
	newRig(t, 1)
	o := Options{Datapath: Generic, PinDir: bpffs(t), RunDir: t.TempDir()}
	was := abandon(t, o)
	removed, err := Detach("near", o.RunDir, o.PinDir)
	if err != nil || removed.Program != was.ProgramID || removed.LinkID != was.LinkID || removed.Mode != ModeGeneric || len(removed.Offloads) != 2 {
		t.Errorf("%+v, %v", removed, err)
	}
	noProgramOn(t, "near")
	if left, _ := filepath.Glob(o.PinDir + "/*"); len(left) != 0 {
		t.Errorf("pins left: %v", left)
	}
}

// An interface goes after its daemon: its pins are nobody's.
func TestDetachGone(t *testing.T) {
	r := newRig(t, 1)
	o := Options{PinDir: bpffs(t), RunDir: t.TempDir()}
	abandon(t, o)
	if n, err := DetachGone(o.PinDir); n != 0 || err != nil {
		t.Errorf("of one that is there: %d, %v", n, err)
	}
	r.near.Delete(t)
	if n, err := DetachGone(o.PinDir); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if left, _ := filepath.Glob(o.PinDir + "/*"); len(left) != 0 {
		t.Errorf("pins left: %v", left)
	}
	if n, err := DetachGone(o.PinDir + "/none"); n != 0 || err != nil {
		t.Errorf("no directory: %d, %v", n, err)
	}
}

// Two namespaces share a bpffs and the numbers of their interfaces.
func TestPinsOfTwoNamespaces(t *testing.T) {
	dir := bpffs(t)
	var paths []string
	for range 2 {
		xsktest.Namespace(t)
		path, err := pinPath(dir, 7)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	if paths[0] == paths[1] {
		t.Error(paths)
	}
}

// Taking over needs no more than serving.
func TestTakeOverCapabilities(t *testing.T) {
	xsktest.Namespace(t)
	near, _ := xsktest.Veth(t, 1)
	near.Address(t, netip.PrefixFrom(ourIP, 24))
	o := Options{Iface: "near", Datapath: Native, Stale: testStale, RunDir: t.TempDir(), PinDir: bpffs(t)}
	was := abandon(t, o)
	got := withCaps(t, o, unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_NET_RAW)
	if got.Err != "" || !got.Info.TookOver || got.Info.LinkID != was.LinkID || len(got.Info.Notes) != 0 {
		t.Errorf("%+v", got)
	}
	noProgramOn(t, "near")
}

// received returns a copy of the next frame of a socket.
func received(s *xsk.Socket, n int) ([]byte, error) {
	var frames [8]xsk.Frame
	got, err := s.Recv(frames[:n], patience)
	if got == 0 || err != nil {
		return nil, err
	}
	defer s.Release(frames[:got])
	return slices.Clone(frames[0].Data()), nil
}
