package main

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/client"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
	"github.com/xdpxe/xdpxe/bench/lab/wire"
	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// ran is what one command line came to.
type ran struct {
	code           int
	stdout, stderr string
}

// bench runs xdpxe-bench in a namespace.
func bench(t *testing.T, ns *lab.Namespace, args ...string) (r ran) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err := ns.Do(func() error {
		r.code = run(args, &stdout, &stderr)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.stdout, r.stderr = stdout.String(), stderr.String()
	return r
}

// replayed is bench's JSON.
func replayed(t *testing.T, r ran) *result.Run {
	t.Helper()
	var run result.Run
	if err := json.Unmarshal([]byte(r.stdout), &run); err != nil || len(run.Rows) != 1 {
		t.Fatalf("%v: %+v", err, r)
	}
	return &run
}

// record boots a machine and writes what it and the servers said to a capture.
func record(ctx context.Context, t *testing.T, c *client.Client) string {
	t.Helper()
	port, err := wire.Open(c.Node.Namespace, lab.Iface)
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	if _, err := c.Boot(ctx); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "boot.pcapng")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := pcapgo.NewNgWriter(f, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	for done := false; !done; { // all of it waits in the port by now
		d, err := port.Recv(ctx)
		if err != nil {
			t.Fatal(err)
		}
		m := packet.Meta{SrcMAC: [6]byte(d.SrcMAC), DstMAC: [6]byte(d.DstMAC), Src: d.Src, Dst: d.Dst}
		frame := make([]byte, packet.MaxHeader+len(d.Payload)+60)
		copy(frame[packet.HeaderLen(&m):], d.Payload)
		n := packet.Build(frame, &m, len(d.Payload))
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: d.At, CaptureLength: n, Length: n}, frame[:n]); err != nil {
			t.Fatal(err)
		}
		done = !d.Outgoing && d.Src.Port() == packet.PortBINL
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return path
}

func buildXDPXE(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "xdpxe")
	cmd := exec.Command("go", "build", "-o", path, "github.com/xdpxe/xdpxe/cmd/xdpxe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build xdpxe: %v\n%s", err, out)
	}
	return path
}

// A boot of a machine by xdpxe, replayed as twenty: xdpxe answers as it did, dnsmasq does not.
func TestPcapReplay(t *testing.T) {
	labtest.Need(t, false)
	binary := buildXDPXE(t)
	ctx := labtest.Context(t, 2*time.Minute)
	r, root := labtest.Rack(ctx, t, lab.Flat)
	node := func(n *lab.Node, err error) *lab.Node {
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	xdpxe, dnsmasq := node(r.AddBootServer()), node(r.AddBootServer())
	d, err := xdpxe.StartDaemon(ctx, binary, lab.DaemonConfig{Root: root}, nil)
	if err != nil {
		t.Fatal(err)
	}
	labtest.ShowOnFailure(t, d.Process)
	capture := record(ctx, t, &client.Client{Node: node(r.AddClient("client")), Arch: 7, UUID: [16]byte{1, 2, 3}})

	gun := node(r.AddClient("gun"))
	if err := gun.IP("addr", "add", "192.0.2.250/24", "dev", lab.Iface); err != nil {
		t.Fatal(err)
	}
	args := []string{"pcap", capture, "-i", lab.Iface, "--json", "--copies", "20", "--spread", "200ms", "--late", "3s"}
	got := bench(t, gun.Namespace, append(args, "--server", xdpxe.Addr.String(), "--require", "alike == 100%", "--require", "sent == 60")...)
	run := replayed(t, got)
	if got.code != 0 || len(run.Rows[0].Failures) != 0 {
		t.Errorf("xdpxe against itself: %+v", got)
	}
	// DISCOVER and 4011 are answered, the DHCP server's REQUEST is not.
	if n, _ := run.Rows[0].Figure("answered"); n.Value != 40 {
		t.Errorf("%g answers, want 40", n.Value)
	}

	if _, err := r.StartDNSMasqBoot(ctx, dnsmasq, root, nil); err != nil {
		t.Fatal(err)
	}
	got = bench(t, gun.Namespace, append(args, "--server", dnsmasq.Addr.String(), "--require", "alike == 100%")...)
	run = replayed(t, got)
	// Its offers name no file for UEFI: that comes on 4011 only.
	want := map[string]uint64{"file differs: " + lab.UEFIProgram + ` != ""`: 20}
	if got.code != 1 || !strings.Contains(got.stderr, `bound "alike == 100%" missed`) || !maps.Equal(run.Rows[0].Failures, want) {
		t.Errorf("dnsmasq against xdpxe's capture: %+v", got)
	}

	if err := gun.IP("link", "add", "vx0", "type", "vxlan", "id", "7", "dstport", "4789", "local", "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ flag, value, want string }{
		{"--relay", "203.0.113.1", "--relay 203.0.113.1 is no address of eth0"},
		{"--max-for", "1ms", "unless --max-for says more"},
	} {
		got := bench(t, gun.Namespace, append(args, "--server", xdpxe.Addr.String(), c.flag, c.value)...)
		if got.code != 1 || !strings.Contains(got.stderr, c.want) {
			t.Errorf("%s %s: %+v", c.flag, c.value, got)
		}
	}
	got = bench(t, gun.Namespace, "pcap", capture, "-i", "vx0", "--server", xdpxe.Addr.String())
	if got.code != 1 || !strings.Contains(got.stderr, "vx0 is a link of kind vxlan") || !strings.Contains(got.stderr, "--i-own-this-network") {
		t.Errorf("a tunnel: %+v", got)
	}
}

// Users' mistakes are theirs, and named.
func TestPcapMistakes(t *testing.T) {
	garbage := filepath.Join(t.TempDir(), "x.pcap")
	if err := os.WriteFile(garbage, []byte("this is no capture at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{garbage, "-i", "lo", "--server", "127.0.0.1"}, "capture " + garbage + ": not a pcap or pcapng file"},
		{[]string{garbage, "-i", "lo", "--server", "boot.example"}, `--server "boot.example": want an IPv4 address`},
		{[]string{garbage, "-i", "lo"}, `"server" not set`},
		{[]string{garbage, "-i", "lo", "--server", "127.0.0.1", "--require", "fast"}, `bound "fast"`},
		{[]string{garbage, "-i", "lo", "--server", "127.0.0.1", "--rate", "20000"}, "--rate 20000: at most 10000 unless --max-rate says more"},
		{[]string{"-i", "lo", "--server", "127.0.0.1"}, "accepts 1 arg"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(append([]string{"pcap"}, c.args...), &stdout, &stderr)
		if code != 1 || stdout.Len() != 0 || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%q: exit code %d, %s%s", c.args, code, &stdout, &stderr)
		}
	}
}
