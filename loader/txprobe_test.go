package loader

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bpf"
	"github.com/xdpxe/xdpxe/loader/netdev"
	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
)

// probe asks whether XDP_TX works and wants an answer.
func probe(t *testing.T, d *Datapath) TX {
	t.Helper()
	tx, err := d.ProbeTX()
	if err != nil {
		t.Fatal(err)
	}
	if tx.Why == "" {
		t.Errorf("%+v: no reason", tx)
	}
	return tx
}

// gro switches on or off what makes a veth poll.
func gro(t *testing.T, name string, on bool) {
	t.Helper()
	if err := netdev.SetFeatures(name, on, "rx-gro"); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) isProbe(frame []byte) bool { return bytes.HasPrefix(frame, probeFrame(r.near.MAC)[:16]) }

// The answer follows the other end, and is what happens to the frames.
func TestProbeTXOfVeth(t *testing.T) {
	for _, tier := range []Tier{Native, Ringbuf} {
		t.Run(string(tier), func(t *testing.T) {
			r := newRig(t, 2)
			d := r.open(t, Options{Datapath: tier})
			is := func(when string, want bool) {
				t.Helper()
				r.client.Pending(t, r.isProbe)
				tx := probe(t, d)
				if tx.OK != want {
					t.Errorf("%s: %+v, want %v", when, tx, want)
				}
				if tx.OK {
					r.client.Next(t, r.isProbe)
				} else if !strings.Contains(tx.Why, "gro on") {
					t.Errorf("%s: %q says nothing that helps", when, tx.Why)
				}
				if n := r.stack.Pending(t, r.isProbe); n != 0 {
					t.Errorf("%s: our own stack got %d frames of a probe", when, n)
				}
			}
			gro(t, "far", false)
			is("without NAPI", false)
			gro(t, "far", true)
			is("GRO on", true)
			r.far.Down(t)
			is("the other end down", false)
			r.far.Up(t)
			is("up again", true)
			gro(t, "far", false)
			is("GRO off", false)
			if n := r.client.Pending(t, r.isProbe); n != 0 {
				t.Errorf("%d frames of a probe arrived that are said to be lost", n)
			}

			pass, err := ebpf.NewProgram(passProgram("pass"))
			if err != nil {
				t.Fatal(err)
			}
			defer pass.Close()
			l, err := link.AttachXDP(link.XDPOptions{Program: pass, Interface: r.far.Index, Flags: link.XDPDriverMode})
			if err != nil {
				t.Fatal(err)
			}
			is("with an XDP program", true)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			is("without the program", false)
		})
	}
}

// Frames of a probe stay on the cable: a bridge at the other end does not pass them on.
func TestProbeTXIsNotForwarded(t *testing.T) {
	r := newRig(t, 1)
	third := xsktest.Bridge(t, r.far)
	beyond := xsktest.OpenTap(t, third)
	gro(t, "far", true)
	d := r.open(t, Options{Datapath: Native})
	for range 3 {
		if tx := probe(t, d); !tx.OK {
			t.Fatalf("%+v", tx)
		}
		r.client.Next(t, r.isProbe)
	}
	// What the bridge does pass on comes after them.
	marker := bytes.Repeat([]byte{0xff}, 6)
	marker = append(append(marker, r.near.MAC[:]...), 0x88, 0xb6)
	marker = append(marker, make([]byte, 46)...)
	r.stack.Send(t, marker)
	beyond.Next(t, func(f []byte) bool { return bytes.Equal(f, marker) || r.fails(t, f) })
}

// fails fails the test for a frame of a probe.
func (r *rig) fails(t *testing.T, frame []byte) bool {
	if r.isProbe(frame) {
		t.Errorf("the bridge passed %x on", frame)
	}
	return false
}

// Where nothing can be lost, or nothing is sent by XDP, nothing is sent to find out.
func TestProbeTXWithoutFrames(t *testing.T) {
	r := newRig(t, 1)
	gro(t, "far", false)
	for _, c := range []struct {
		tier Tier
		ok   bool
		why  string
	}{{Generic, true, "generic"}, {Socket, false, "no XDP program"}} {
		d := r.open(t, Options{Datapath: c.tier})
		if tx := probe(t, d); tx.OK != c.ok || !strings.Contains(tx.Why, c.why) {
			t.Errorf("%s: %+v", c.tier, tx)
		}
		if why, err := d.WatchTX(0); why != "" || err != nil {
			t.Errorf("%s: %q, %v", c.tier, why, err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.client.Pending(t, r.isProbe); n != 0 {
		t.Errorf("%d frames of a probe", n)
	}
}

// answersAll makes the program on the interface send back all that comes in.
func answersAll(t *testing.T, d *Datapath) {
	t.Helper()
	spec := bpf.Probe()
	spec.AttachType, spec.Flags = ebpf.AttachXDP, unix.BPF_F_XDP_HAS_FRAGS // as the program whose place it takes
	p, err := ebpf.NewProgram(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	if err := d.link.Update(p); err != nil {
		t.Fatal(err)
	}
}

// Replies that a veth throws away are seen, and those that it does not are no reason for alarm.
func TestWatchTX(t *testing.T) {
	r := newRig(t, 1)
	d := r.open(t, Options{Datapath: Native})
	answersAll(t, d)
	gro(t, "far", true)
	frame := discover(1).frame()
	answered := uint64(100) // some were before the first look
	// exchange sends requests, waits until the driver has counted them as what it
	// says, and looks.
	exchange := func(counter string) string {
		t.Helper()
		const n = 20
		before := stat(t, "near", counter)
		for range n {
			r.client.Send(t, frame)
		}
		for end := time.Now().Add(patience); stat(t, "near", counter) < before+n; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s is %d, was %d", counter, stat(t, "near", counter), before)
			}
		}
		answered += n
		why, err := d.WatchTX(answered)
		if err != nil {
			t.Fatal(err)
		}
		return why
	}
	if why, err := d.WatchTX(answered); why != "" || err != nil {
		t.Fatalf("%q, %v", why, err)
	}
	if why := exchange("rx_queue_0_xdp_tx"); why != "" {
		t.Errorf("all arrived: %q", why)
	}
	gro(t, "far", false)
	if why := exchange("rx_queue_0_xdp_tx_errors"); why != "driver veth lost the last 20 replies that XDP sent" {
		t.Errorf("all lost: %q", why)
	}
	if why, err := d.WatchTX(answered); why != "" || err != nil {
		t.Errorf("nothing since: %q, %v", why, err)
	}
	gro(t, "far", true)
	if why := exchange("rx_queue_0_xdp_tx"); why != "" {
		t.Errorf("all arrive again: %q", why)
	}
	// A veth is probed, so what was is forgotten.
	if tx := probe(t, d); !tx.OK {
		t.Errorf("%+v", tx)
	}
}

func stat(t *testing.T, ifname, name string) uint64 {
	t.Helper()
	stats, err := netdev.Stats(ifname)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stats {
		if s.Name == name {
			return s.Value
		}
	}
	t.Fatalf("%s has no %s: %v", ifname, name, stats)
	return 0
}

func TestLook(t *testing.T) {
	var w txWatch
	for i, c := range []struct{ answered, errors, gone uint64 }{
		{1000, 1000, 0}, // before the first look
		{1000, 1000, 0},
		{1010, 1000, 0},
		{1020, 1008, 0}, // a full queue loses some
		{1030, 1018, 10},
		{1040, 1027, 10}, // one was counted after the other was read
		{1040, 1030, 0},  // nothing was sent
		{1140, 1118, 0},
	} {
		if gone := w.look(c.answered, c.errors); gone != c.gone {
			t.Errorf("look %d: %d are gone, want %d", i, gone, c.gone)
		}
	}
}

func TestIsTXError(t *testing.T) {
	for name, want := range map[string]bool{
		"rx_queue_0_xdp_tx_errors": true, "rx_xdp_tx_err": true, "rx_xdp_tx_full": true, "rx3_xdp_tx_drops": true, "tx0_xdp_tx_drops": true,
		"rx_queue_0_xdp_tx": false, "rx_xdp_tx_xmit": false, "rx_xdp_tx_cqe": false, "rx_queue_0_xdp_drops": false,
		"tx_queue_0_xdp_xmit_errors": false, "tx_errors": false, "rx0_xdp_tx": false,
	} {
		if isTXError(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

// tapDevice makes a tap, and returns the descriptor of its other end.
func tapDevice(t *testing.T, name string) *os.File {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("needs /dev/net/tun: %v", err)
	}
	req := struct {
		name  [unix.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}{flags: unix.IFF_TAP | unix.IFF_NO_PI}
	copy(req.name[:], name)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETIFF, uintptr(unsafe.Pointer(&req))); errno != 0 {
		t.Fatalf("TUNSETIFF %s: %v", name, errno)
	}
	f := os.NewFile(uintptr(fd), name)
	t.Cleanup(func() { f.Close() })
	return f
}

// A tap sends what XDP sends, to whoever reads it: it is believed, and no probe reaches a reader.
func TestProbeTXOfTap(t *testing.T) {
	xsktest.Namespace(t)
	tap := tapDevice(t, "tap0")
	xsktest.Named(t, "tap0").Up(t)
	d, err := Open(Options{Iface: "tap0", Datapath: Ringbuf, Stale: testStale})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if d.Mode() != ModeNative {
		t.Fatalf("%+v", d.Info())
	}
	if tx := probe(t, d); !tx.OK || !strings.Contains(tx.Why, "driver tun") {
		t.Errorf("%+v", tx)
	}
	answersAll(t, d)
	frame := discover(7).frame()
	if _, err := tap.Write(frame); err != nil {
		t.Fatal(err)
	}
	if err := tap.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for buf := make([]byte, 2048); ; {
		n, err := tap.Read(buf)
		if err != nil {
			t.Fatalf("nothing comes back: %v", err)
		}
		if bytes.Equal(buf[:n], frame) {
			break
		}
		if bytes.Contains(buf[:n], []byte("xdpxe: does")) {
			t.Errorf("a probe: %x", buf[:n])
		}
	}
	if why, err := d.WatchTX(1); why != "" || err != nil {
		t.Errorf("%q, %v", why, err)
	}
	// What a driver without a probe has lost is not forgotten at once.
	d.tx.why, d.tx.at = "driver tun lost all", time.Now()
	if tx := probe(t, d); tx.OK || tx.Why != "driver tun lost all" {
		t.Errorf("%+v", tx)
	}
	d.tx.at = time.Now().Add(-2 * distrust)
	if tx := probe(t, d); !tx.OK {
		t.Errorf("%+v", tx)
	}
}

// An interface that is gone is an error, and no yes.
func TestProbeTXOfNothing(t *testing.T) {
	r := newRig(t, 1)
	d := r.open(t, Options{Datapath: Native})
	r.near.Delete(t)
	if tx, err := d.ProbeTX(); tx.OK || !errors.Is(err, netdev.ErrNotFound) {
		t.Errorf("%+v, %v", tx, err)
	}
	if _, err := d.WatchTX(0); err == nil {
		t.Error("no error")
	}
}
