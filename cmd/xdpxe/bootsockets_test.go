package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/cmd/xdpxe/internal/fdstore"
)

// A device that was made anew gets a socket of its own; that of a port which is
// served no more is closed.
func TestBootSockets(t *testing.T) {
	ns := newNamespace(t)
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	store := fdstore.Open()
	b := newBootSockets(store, zap.NewNop())
	said := func(want string) {
		t.Helper()
		buf := make([]byte, 512)
		n, err := manager.Read(buf)
		if err != nil || !strings.Contains(string(buf[:n]), want) {
			t.Errorf("said %q, %v; want %s", buf[:n], err, want)
		}
	}
	// listen opens the port's socket and closes it again, as a port that is opened anew does.
	listen := func() {
		t.Helper()
		ns.inside(t, func() error {
			i, err := net.InterfaceByName("v0")
			if err != nil {
				return err
			}
			c, err := b.listen("v0", "v0", i.Index, 4011)
			if err != nil {
				return err
			}
			return c.Close()
		})
	}
	holders := func() int {
		return strings.Count(ns.run(t, "cat", "/proc/net/udp"), ":0FAB ")
	}

	listen()
	said("FDSTORE=1\nFDPOLL=0\nFDNAME=boot-v0")
	listen() // the same socket
	if n := holders(); n != 1 {
		t.Errorf("%d sockets on 4011, want the one that is kept", n)
	}
	ns.run(t, "ip", "link", "del", "v0")
	ns.plug(t)
	listen()
	said("FDSTOREREMOVE=1\nFDNAME=boot-v0")
	said("FDSTORE=1\nFDPOLL=0\nFDNAME=boot-v0")
	b.release("")
	b.release("v1")
	if n := holders(); n != 1 {
		t.Errorf("%d sockets on 4011, want the new device's", n)
	}
	b.release("v0")
	said("FDSTOREREMOVE=1\nFDNAME=boot-v0")
	if n := holders(); n != 0 {
		t.Errorf("%d sockets on 4011 are left", n)
	}

	b = newBootSockets(nil, zap.NewNop())
	listen()
	if n := holders(); n != 0 {
		t.Errorf("%d sockets on 4011 are left without a store", n)
	}
}
