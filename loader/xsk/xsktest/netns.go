// Package xsktest gives tests of AF_XDP and of what stands on it a network of
// their own: a namespace with a veth pair, an XDP program that redirects into
// sockets, and a packet socket at the far end. Everything goes with the test.
package xsktest

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Namespace moves the calling test into a new network namespace, or skips it
// where it cannot. The test's goroutine stays locked to its thread, which ends
// with it, and the namespace with the last descriptor from it. Sockets are to
// be opened on this goroutine; they may be used on others.
func Namespace(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs CAP_SYS_ADMIN: makes a network namespace: %v", err)
	}
	// No router solicitations and the like among the frames that tests count.
	for _, key := range []string{"all", "default"} {
		err := os.WriteFile("/proc/sys/net/ipv6/conf/"+key+"/disable_ipv6", []byte("1"), 0)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
}
