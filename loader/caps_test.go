package loader

import (
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
	"golang.org/x/sys/unix"
)

const allCaps = 64

// withCaps starts a datapath in a process that has only these capabilities.
func withCaps(t *testing.T, o Options, caps ...int) helperReport {
	t.Helper()
	result := make(chan helperReport, 1)
	ns, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ns)
	// The bounding set of a thread cannot grow again: this one ends with its
	// goroutine. What it starts as root has what the set leaves.
	go func() {
		defer close(result)
		runtime.LockOSThread()
		if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		keep := map[int]bool{}
		for _, c := range caps {
			keep[c] = true
		}
		for c := range allCaps {
			if !keep[c] {
				_ = unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0) // EINVAL: this kernel has fewer
			}
		}
		if p := startOther(t, o); p != nil {
			p.stop(t)
			result <- p.report
		}
	}()
	return <-result
}

// The capabilities that doc.go names are needed and enough.
func TestCapabilities(t *testing.T) {
	xsktest.Namespace(t)
	near, _ := xsktest.Veth(t, 1)
	near.Address(t, netip.PrefixFrom(ourIP, 24))
	gro(t, "far", true) // so that XDP_TX works, and a probe can find that
	o := Options{Iface: "near", Stale: testStale, RunDir: t.TempDir()}
	for _, tier := range []Tier{Native, Generic, Ringbuf} {
		o.Datapath = tier
		got := withCaps(t, o, unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_NET_RAW)
		if got.Err != "" || got.Info.Tier != tier || !got.TX.OK {
			t.Errorf("%s: %+v", tier, got)
		}
	}
	for _, c := range []struct {
		caps []int
		why  string
	}{
		{[]int{unix.CAP_NET_ADMIN, unix.CAP_NET_RAW}, "lacks CAP_BPF (to load the XDP program)"},
		{[]int{unix.CAP_BPF, unix.CAP_NET_RAW}, "lacks CAP_NET_ADMIN (to attach it)"},
		{[]int{unix.CAP_BPF, unix.CAP_NET_ADMIN}, "lacks CAP_NET_RAW (to open AF_XDP and packet sockets)"},
		{nil, "lacks CAP_BPF (to load the XDP program), CAP_NET_ADMIN"},
	} {
		o.Datapath = Auto
		got := withCaps(t, o, c.caps...)
		if got.Err != "" || got.Info.Tier != Socket || len(got.Info.Why) != 1 || !strings.Contains(got.Info.Why[0], c.why) {
			t.Errorf("with %v: %+v", c.caps, got)
		}
		o.Datapath = Native
		if got := withCaps(t, o, c.caps...); !strings.Contains(got.Err, c.why) {
			t.Errorf("native with %v: %+v", c.caps, got)
		}
	}
	// CAP_SYS_ADMIN is CAP_BPF's older brother.
	o.Datapath = Native
	if got := withCaps(t, o, unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_NET_RAW); got.Err != "" {
		t.Error(got.Err)
	}
}

// Without CAP_SYS_ADMIN nobody learns what a foreign program is, but it is respected.
func TestForeignProgramWithoutSysAdmin(t *testing.T) {
	newRig(t, 1)
	prog := foreign(t, "firewall")
	attachForeign(t, prog)
	got := withCaps(t, Options{Iface: "near", Datapath: Native, Stale: testStale}, unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_NET_RAW)
	mustContain(t, got.Err, "near", "ip link set dev near xdp off", "bpftool link", "xdpxe detach near")
}

// AF_XDP memory beyond RLIMIT_MEMLOCK without CAP_IPC_LOCK: the ring buffer serves.
func TestMemlock(t *testing.T) {
	newRig(t, 1)
	o := Options{Iface: "near", Stale: testStale, Frames: 1 << 18} // 512 MiB
	t.Setenv(helperMemlock, "1")
	got := withCaps(t, o, unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_NET_RAW)
	if got.Err != "" || got.Info.Tier != Ringbuf || len(got.Info.Why) != 2 {
		t.Fatalf("%+v", got)
	}
	mustContain(t, got.Info.Why[0], "native AF_XDP", "RLIMIT_MEMLOCK")
}
