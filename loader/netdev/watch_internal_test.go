package netdev

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
)

// More notifications than the socket holds, before anyone reads: the kernel
// drops some and says so (ENOBUFS), which is a notice like any other.
func TestListenSurvivesOverrun(t *testing.T) {
	xsktest.Namespace(t)
	s, err := subscribe(unix.NETLINK_ROUTE, unix.RTMGRP_LINK|unix.RTMGRP_IPV4_IFADDR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	raw, err := s.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	change := func(n int) {
		t.Helper()
		var batch strings.Builder
		for i := range n {
			fmt.Fprintf(&batch, "addr add 10.0.%d.%d/32 dev lo\naddr del 10.0.%d.%d/32 dev lo\n", i/250, i%250, i/250, i%250)
		}
		cmd := exec.Command("ip", "-batch", "-")
		cmd.Stdin = strings.NewReader(batch.String())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("ip: %v: %s", err, out)
		}
	}
	if err := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1) }); err != nil {
		t.Fatal(err)
	}
	change(100)
	// The next read gets an error: that of the overrun.
	set := []unix.PollFd{{Events: unix.POLLIN}}
	if err := raw.Control(func(fd uintptr) { set[0].Fd = int32(fd); _, err = unix.Poll(set, 0) }); err != nil {
		t.Fatal(err)
	}
	if err != nil || set[0].Revents&unix.POLLERR == 0 {
		t.Fatalf("no overrun: %v, events %#x", err, set[0].Revents)
	}
	events := make(chan struct{}, 1)
	go listen(s, events)
	notice := func() {
		t.Helper()
		select {
		case <-events:
		case <-time.After(10 * time.Second):
			t.Fatal("no notice")
		}
	}
	notice()
	change(1)
	notice()
}
