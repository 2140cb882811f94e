package bpf

import (
	"errors"
	"runtime"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestClassList runs one class against different lists.
func TestClassList(t *testing.T) {
	k := loadKernel(t, testStale, testRing)
	rd := k.records(t)
	k.steer(t, Settings{Deliver67: DeliverRingTee, Deliver4011: DeliverRingTee})
	long := "0123456789abcdef0123456789ABCDEF" // MaxClassLen
	for _, c := range []struct {
		name  string
		list  []string
		class string
		want  Reason
	}{
		{"empty list", nil, "PXEClient", OtherClass},
		{"another word", []string{"AAPLBSDPC"}, "PXEClient", OtherClass},
		{"own word", []string{"AAPLBSDPC"}, "AAPLBSDPC/i386", Teed},
		{"last of eight", []string{"a", "b", "c", "d", "e", "f", "g", "PXE"}, "PXEClient", Teed},
		{"none of eight", []string{"a", "b", "c", "d", "e", "f", "g", "h"}, "PXEClient", OtherClass},
		{"an earlier list is gone", []string{"a"}, "PXEClient", OtherClass},
		{"longest prefix", []string{long}, long, Teed},
		{"longest prefix, longer class", []string{long}, long + "x", Teed},
		{"longest prefix, last byte differs", []string{long}, long[:31] + "x", OtherClass},
		{"longest prefix, shorter class", []string{long}, long[:31], OtherClass},
		{"a zero is a byte", []string{"PXE\x00"}, "PXE", OtherClass},
		{"a zero is a byte, and there", []string{"PXE\x00"}, "PXE\x00x", Teed},
		{"one byte", []string{"P"}, "PXEClient", Teed},
	} {
		t.Run(c.name, func(t *testing.T) {
			k.classes(t, c.list...)
			k.beat(t, 0)
			f := discover()
			class(c.class)(f)
			if got := k.run(t, f.bytes(), nil); got != c.want {
				t.Errorf("ended in %v, want %v", got, c.want)
			}
			drain(t, rd)
		})
	}
}

// inNetNS runs the rest of the test on a thread in a network namespace of its
// own. The thread is never unlocked, so it ends with the test's goroutine, and
// the namespace with it.
func inNetNS(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		needRoot(t, err)
	}
}

// TestQueues runs the program as if frames came in on each of two RX queues of
// a device: sockets and records follow the queue and the device.
func TestQueues(t *testing.T) {
	k := loadKernel(t, testStale, testRing)
	rd := k.records(t)
	inNetNS(t)
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "a", NumRxQueues: 2, NumTxQueues: 2}, PeerName: "b", PeerNumRxQueues: 2, PeerNumTxQueues: 2}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	ifindex := veth.Attrs().Index
	// BPF_PROG_RUN takes only devices that have XDP set up, and are up.
	l, err := link.AttachXDP(link.XDPOptions{Program: k.prog, Interface: ifindex, Flags: link.XDPDriverMode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	// The peer stays down, so that no frame but the test's is counted.
	if err := netlink.LinkSetUp(veth); err != nil {
		t.Fatal(err)
	}

	in := discover().bytes()
	on := func(queue int) *xdpContext {
		return &xdpContext{DataEnd: uint32(len(in)), IfIndex: uint32(ifindex), RXQueue: uint32(queue)}
	}
	k.steer(t, Settings{Deliver67: DeliverXSK, Deliver4011: DeliverXSK})
	k.put(t, XSKsMap, uint32(1), uint32(openXSK(t)))
	for queue, want := range []Reason{NoSocket, Redirected} {
		k.beat(t, 0)
		if got := k.run(t, in, on(queue)); got != want {
			t.Errorf("queue %d: ended in %v, want %v", queue, got, want)
		}
	}

	k.steer(t, Settings{Deliver67: DeliverRingSteal, Deliver4011: DeliverNone})
	k.beat(t, 0)
	if got := k.run(t, in, on(1)); got != Stolen {
		t.Fatalf("ended in %v", got)
	}
	records := drain(t, rd)
	if len(records) != 1 {
		t.Fatalf("%d records", len(records))
	}
	h, _, err := ParseRequest(records[0])
	if err != nil || int(h.IfIndex) != ifindex {
		t.Errorf("record of device %d, want %d (%v)", h.IfIndex, ifindex, err)
	}
}

// TestNeverBeaten: a heartbeat of 0 is none, also while the machine has been
// up for less than stale_ns.
func TestNeverBeaten(t *testing.T) {
	k := loadKernel(t, 1<<62, testRing)
	k.steer(t, Settings{Deliver67: DeliverRingSteal, Deliver4011: DeliverRingSteal})
	k.put(t, HeartbeatMap, uint32(0), uint64(0))
	if got := k.run(t, discover().bytes(), nil); got != HeartbeatStale {
		t.Errorf("ended in %v", got)
	}
}

// TestClosedSocketLeaves: a socket that closes takes itself out of xsks_map,
// and requests go to the kernel again.
func TestClosedSocketLeaves(t *testing.T) {
	k := loadKernel(t, testStale, testRing)
	k.steer(t, Settings{Deliver67: DeliverXSK, Deliver4011: DeliverXSK})
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	k.put(t, XSKsMap, uint32(0), uint32(fd))
	in := discover().bytes()
	k.beat(t, 0)
	if got := k.run(t, in, nil); got != Redirected {
		t.Fatalf("ended in %v", got)
	}
	unix.Close(fd)
	if got := k.run(t, in, nil); got != NoSocket {
		t.Fatalf("ended in %v", got)
	}
}

// TestCapabilities loads the program with no more than CAP_BPF and
// CAP_NET_ADMIN: without CAP_PERFMON the verifier allows no pointer arithmetic
// that could leak an address.
func TestCapabilities(t *testing.T) {
	// The thread is not unlocked: it ends with the goroutine.
	runtime.LockOSThread()
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		t.Fatal(err)
	}
	have := data
	want := [2]uint32{1 << unix.CAP_NET_ADMIN, 1 << (unix.CAP_BPF - 32)}
	for i := range data {
		if have[i].Permitted&want[i] != want[i] {
			t.Skip("needs root: CAP_BPF and CAP_NET_ADMIN are not permitted")
		}
		data[i] = unix.CapUserData{Effective: want[i], Permitted: have[i].Permitted}
	}
	if err := unix.Capset(&hdr, &data[0]); err != nil {
		t.Fatal(err)
	}
	spec, err := LoadSpec()
	if err != nil {
		t.Fatal(err)
	}
	coll, err := ebpf.NewCollection(spec)
	var refused *ebpf.VerifierError
	if errors.As(err, &refused) {
		t.Fatalf("%+v", refused)
	}
	if err != nil {
		t.Fatal(err)
	}
	coll.Close()
}
