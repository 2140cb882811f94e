package tftpload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	pin "github.com/pin/tftp/v3"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bench/lab/labtest"
	"github.com/xdpxe/xdpxe/bench/tftpc"
	"github.com/xdpxe/xdpxe/responder/content"
	"github.com/xdpxe/xdpxe/responder/tftp"
)

var netipLoopback = netip.MustParseAddr("127.0.0.1")

func udpAddr(sa unix.Sockaddr) net.Addr {
	in := sa.(*unix.SockaddrInet4)
	return &net.UDPAddr{IP: in.Addr[:], Port: in.Port}
}

// never is a server's timeout that no test waits for.
const never = 20 * time.Second

// xdpxe serves one file "f" by xdpxe's own server.
func xdpxe(t testing.TB, file []byte, addr netip.Addr, retransmit time.Duration) netip.AddrPort {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), file, 0o644); err != nil {
		t.Fatal(err)
	}
	root, err := content.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	server, err := tftp.Listen(tftp.Config{Addrs: []netip.Addr{addr}, Workers: 1, GSO: true, InitialTimeout: retransmit}, root)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		root.Close()
	})
	return netip.AddrPortFrom(addr, uint16(server.Port()))
}

func TestXDPXE(t *testing.T) {
	file := Pattern(200<<10 + 77)
	server := xdpxe(t, file, netipLoopback, never)
	for _, gro := range []bool{false, true} {
		for _, c := range []struct{ blksize, window int }{{1468, 16}, {512, 1}, {1468, 64}, {8192, 3}, {0, 0}} {
			t.Run(fmt.Sprintf("%d-%d-%v", c.blksize, c.window, gro), func(t *testing.T) {
				cfg := config(server, file)
				cfg.Transfer.Request.Blksize, cfg.Transfer.Request.Window = c.blksize, c.window
				cfg.GRO, cfg.Clients, cfg.Probe = gro, 8, true
				r := load(t, cfg)
				if r.Completed != 16 || r.Bytes != 16*int64(len(file)) || r.Packets.DuplicateBytes != 0 || r.Packets.Resent != 0 {
					t.Errorf("%v, %+v", r.Failures, r.Packets)
				}
			})
		}
	}
}

// A bad network in both directions: every byte comes all the same.
func TestXDPXEImpaired(t *testing.T) {
	file := Pattern(256<<10 + 5)
	server := xdpxe(t, file, netipLoopback, 50*time.Millisecond)
	bad := Impairment{Loss: 0.02, Duplicate: 0.02, Reorder: 0.02, Jitter: 200 * time.Microsecond}
	for _, gap := range []tftpc.Gap{tftpc.GapEach, tftpc.GapOnce} {
		cfg := config(server, file)
		cfg.Transfer.Request.Blksize, cfg.Transfer.Request.Window = 1468, 16
		cfg.Transfer.Rules.Gap = gap
		cfg.Transfer.Retry = tftpc.Retry{First: 100 * time.Millisecond, Retries: 100}
		cfg.In, cfg.Out, cfg.GRO, cfg.Clients, cfg.Loops = bad, bad, true, 20, 1
		r := load(t, cfg)
		if r.Completed != 20 || r.DroppedIn == 0 || r.DroppedOut == 0 || r.Packets.Duplicates == 0 || r.Packets.Beyond == 0 {
			t.Errorf("gap %v: %v, lost %d and %d, %+v", gap, r.Failures, r.DroppedIn, r.DroppedOut, r.Packets)
		}
	}
}

func TestIPv6(t *testing.T) {
	if c, err := net.ListenPacket("udp6", "[::1]:0"); err != nil {
		t.Skipf("no IPv6 here: %v", err)
	} else {
		c.Close()
	}
	file := Pattern(100 << 10)
	server := xdpxe(t, file, netip.IPv6Loopback(), never)
	cfg := config(server, file)
	cfg.Transfer.Request.Blksize, cfg.GRO = 1448, true
	cfg.Source = netip.MustParsePrefix("::1/128")
	cfg.Clients = 1
	if r := load(t, cfg); r.Completed != 2 {
		t.Errorf("%v", r.Failures)
	}
	cfg.Source = netip.Prefix{}
	cfg.Server = netip.AddrPortFrom(netip.IPv6Loopback(), 1) // nobody
	if r := load(t, cfg); r.Failures["ICMP unreachable"] != 2 {
		t.Errorf("nobody there: %v", r.Failures)
	}
}

// The namespace is the caller's, on all threads and for all loops.
func TestNamespace(t *testing.T) {
	labtest.Need(t, false)
	l := labtest.New(t)
	ns, err := l.Namespace("load")
	if err != nil {
		t.Fatal(err)
	}
	file := Pattern(50 << 10)
	if err := ns.Do(func() error {
		server := xdpxe(t, file, netipLoopback, never) // its sockets are opened here
		cfg := config(server, file)
		r, err := Run(context.Background(), cfg)
		if err == nil && r.Completed != 6 {
			err = fmt.Errorf("%v", r.Failures)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

func TestPinTFTP(t *testing.T) {
	file := Pattern(100<<10 + 1)
	conn := listen(t)
	server := pin.NewServer(func(name string, to io.ReaderFrom) error {
		if name != "f" {
			return errors.New("no such file")
		}
		to.(pin.OutgoingTransfer).SetSize(int64(len(file)))
		_, err := to.ReadFrom(bytes.NewReader(file))
		return err
	}, nil)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(conn) }()
	defer func() {
		server.Shutdown()
		<-ended
	}()
	cfg := config(conn.LocalAddr().(*net.UDPAddr).AddrPort(), file)
	cfg.Transfer.Request.Blksize = 1468
	// It has no windowsize, so it grants none: each block and each OACK is acknowledged.
	if r := load(t, cfg); r.Completed != 6 || r.Packets.Acks != uint64(r.Packets.Blocks)+6 {
		t.Errorf("%v, %+v", r.Failures, r.Packets)
	}
	cfg.Transfer.Request.Name = "g"
	if r := load(t, cfg); r.Failures["ERROR 1 no such file"] != 6 {
		t.Errorf("%v", r.Failures)
	}
}
