package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/cmd/internal/fault"
	"github.com/xdpxe/xdpxe/responder/control"
	"github.com/xdpxe/xdpxe/responder/pcapfile"
)

// pretender stands in for the daemon on a control socket.
type pretender struct {
	st     control.Status
	mu     sync.Mutex
	sink   func(control.Frame)
	joined chan struct{} // closed when a capture has subscribed
}

func (p *pretender) Snapshot() control.Status { return p.st }

func (p *pretender) Transfers(context.Context) []control.TFTPTransfer { return p.st.TFTP.Transfers }

func (p *pretender) Subscribe(_ string, sink func(control.Frame)) func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sink = sink
	close(p.joined)
	return func() {}
}

// feed shows frames to the capture, once there is one.
func (p *pretender) feed(frames [][]byte) {
	<-p.joined
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, f := range frames {
		p.sink(control.Frame{Time: start.Add(time.Duration(i)), Iface: "eth0", Data: f})
	}
}

// serve runs the pretender and returns its socket and a stop function.
func (p *pretender) serve(t *testing.T) (socket string, stop func()) {
	t.Helper()
	p.joined = make(chan struct{})
	socket = filepath.Join(t.TempDir(), "c.sock")
	s, err := control.Listen(socket, control.Options{Source: p, Tap: p, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return socket, stop
}

// busy is the status of a daemon with something in every section.
func busy() control.Status {
	now := start
	return control.Status{
		Version: "v1.2.3", PID: 4711, Time: now, Started: now.Add(-26 * time.Hour),
		Config: control.Config{
			File: "/etc/xdpxe/xdpxe.yaml", Root: "/srv/boot", Loaded: now.Add(-3 * time.Hour), ReloadsOK: 2, ReloadsFailed: 1,
			LastError: "/etc/xdpxe/xdpxe.yaml:3:1: unknown key \"rooot\" (did you mean root?)", LastErrorAt: now.Add(-90 * time.Second),
		},
		Interfaces: []control.Interface{
			{
				Name: "eth0", Index: 2, MAC: "02:00:00:00:00:01", State: control.StateServing, Alive: true,
				Tier: "native", Attach: "native", Deliver: "steal", ZeroCopy: true, Queues: 4, BeatAge: 0.31,
				Networks: []control.Network{{Device: "eth0", Prefix: "198.51.100.2/24"}, {Device: "eth0.10", VLAN: "10", Prefix: "203.0.113.2/24"}},
				Kernel: &control.Kernel{Active: true, Patterns: 3, MaxPatterns: 4096, Machines: 17, MaxMachines: 65536, EventsDropped: 9,
					Why: []string{"DISCOVER: deliver is tee, so that others see DISCOVERs, too"}},
				XDP:  []control.XDPCount{{Reason: "xsk", Packets: 120}, {Reason: "not_pxe", Packets: 34567}},
				Wire: control.Wire{Received: 120, Sent: 118, BadFrames: 1, Dropped: 2},
				Floods: []control.Flood{
					{Reason: "guard_requests", Packets: 28_999_000, Rate: 483317, MAC: "02:00:00:00:00:01", VLAN: "10", Relay: "198.51.100.1", Address: "198.51.100.1", Clients: 1190, Samples: 1198},
					{Reason: "guard_source", Packets: 6000, Rate: 100, MAC: "52:54:00:00:00:09", Client: "52:54:00:00:00:09", Clients: 1, Samples: 2},
				},
			},
			{
				Name: "eth1", Index: 3, State: control.StateServing, Tier: "ringbuf", Attach: "generic", Deliver: "tee", Queues: 1, BeatAge: 1.5,
				Why: []string{"native AF_XDP: dnsmasq holds UDP 67, so requests must reach it too"},
			},
			{Name: "eth2", State: "interface gone", BeatAge: -1},
		},
		Coverage: []control.Coverage{
			{Rule: "lab", Profile: "linux", Iface: "eth0", Stage: "discover", Result: "answered", Why: []string{"deliver is tee, so that others see DISCOVERs, too"}},
			{Rule: "lab", Profile: "linux", Iface: "eth0", Stage: "boot_server", Result: "answered", Answers: true, Patterns: 1, Machines: 17, Why: []string{"something is noted of such requests (see NOTED OF REQUESTS)"}},
			{Rule: "servers", Iface: "eth0", Stage: "discover", Result: "rule_ignore", Answers: true, Patterns: 2},
			{Profile: "linux", Iface: "eth0", Why: []string{nothingYet}},
		},
		CoverageMore: 3,
		Requests: []control.Requests{
			{Iface: "eth0", Tier: "native", Stage: "discover", Reason: "answered", Count: 100},
			{Iface: "eth0", Tier: "native", Stage: "discover", Reason: "default_ignore", Count: 2},
		},
		Notes:     []control.Note{{Iface: "eth0", Note: "relay_info_dropped", Count: 2}},
		Diagnoses: []control.Diagnosis{{Kind: "server_claims_pxe", Server: "198.51.100.1", Count: 3, LastSeen: now.Add(-time.Minute), Advice: "a DHCP server claims PXEClient"}},
		Recent: []control.Outcome{
			{Time: now.Add(-5 * time.Second), Client: "52:54:00:00:00:01", Stage: "discover", Iface: "eth0", Reason: "default_ignore", Arch: "x64-uefi", Relay: "203.0.113.1"},
			{Time: now.Add(-7 * time.Second), Client: "52:54:00:00:00:02", Stage: "boot_server", Iface: "eth0", Reason: "answered", Arch: "x64-uefi", Rule: "lab", File: "snponly.efi"},
			{Time: now.Add(-9 * time.Second), Client: "52:54:00:00:00:03", Stage: "discover", Iface: "eth0", Reason: "unknown_arch"},
			{Time: now.Add(-11 * time.Second), Client: "52:54:00:00:00:04", Stage: "discover", Iface: "eth0", Reason: "rule_ignore", Arch: "bios", Rule: "servers"},
		},
		Store: &control.Store{
			Kind: "etcd", Where: "https://192.0.2.1:2379", Loaded: true, Since: now.Add(-20 * time.Second), Error: "etcd https://192.0.2.1:2379: store unavailable",
			Problems: []string{"deploy/d/x: unexpected end of JSON input"},
		},
		Deployments: &control.Deployments{
			States:   []control.DeploymentState{{State: "failed", Count: 1}, {State: "waiting", Count: 12}},
			Machines: 20, Held: 4, Groups: 2, Ignored: 1, EventsLost: 5, SeenLost: 6, SeenWait: 8,
			Duplicates: []control.DuplicateUUID{{UUID: "4c4c4544-0044-4810-8031-b4c04f4a4e31", Machines: []string{"52:54:00:00:00:01", "52:54:00:00:00:02"}}},
		},
		Memory: &control.Memory{Bindings: 9, Addresses: 7, Contested: 2, Pushed: 3, Timelines: 11, Forgotten: 4, EventsDropped: 5},
		Fleet: &control.Fleet{Name: "boot1", Member: true, Members: []control.Member{
			{Name: "boot1", Addresses: []string{"198.51.100.2/24", "203.0.113.2/24"}, Version: "v1.2.3", Since: now.Add(-26 * time.Hour)},
			{Name: "boot2", Draining: true, Since: now.Add(-time.Hour)},
		}},
		Webhooks: []control.Webhook{{Name: "cmdb", Answers: 9, Failures: 2, Busy: 1, Waiting: 4, Kept: 11, Error: "status 500"}},
		TFTP: control.TFTP{
			Listen: []string{"0.0.0.0:69", "[::]:69"}, Active: 1, Queued: 2, Requests: 300, Waited: 5, Capped: 6, BytesSent: 5 << 30, Retransmissions: 17,
			Unconfirmed: 3, Uploads: 4, BytesReceived: 5 << 20,
			Outcomes: []control.TFTPOutcome{
				{Outcome: "complete", Kind: "finished", Count: 260}, {Outcome: "probe", Kind: "finished", Count: 20}, {Outcome: "timed_out", Kind: "failed", Count: 2},
				{Outcome: "not_found", Kind: "refused", Count: 19}, {Outcome: "client_not_allowed", Kind: "silent", Count: 7}, {Outcome: "full", Kind: "silent", Count: 1},
			},
			Transfers: []control.TFTPTransfer{
				{Client: "198.51.100.50:2070", Server: "198.51.100.2:40000", File: "boot.wim", Size: 400 << 20, Acked: 100 << 20, Rate: 50 << 20,
					BlockSize: 1468, WindowSize: 16, RTT: 0.0012345678, Again: 5, Started: now.Add(-2 * time.Second)},
				{Client: "198.51.100.51:2071", Server: "198.51.100.2:40001", File: "log", Upload: true, Acked: 5000, Rate: 5000, BlockSize: 512, WindowSize: 1, Started: now.Add(-time.Second)},
				{Client: "198.51.100.52:2072", Server: "198.51.100.2:40000", BlockSize: 1468, WindowSize: 1, Started: now},
			},
		},
	}
}

func TestStatus(t *testing.T) {
	p := &pretender{st: busy()}
	socket, _ := p.serve(t)
	r := xdpxe(t, "status", "--socket", socket, "--recent", "2", "--transfers", "2")
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("%+v", r)
	}
	golden(t, "status", r.stdout)
}

func TestStatusJSON(t *testing.T) {
	p := &pretender{st: busy()}
	socket, _ := p.serve(t)
	r := xdpxe(t, "status", "--socket", socket, "--json")
	golden(t, "status-json", r.stdout)
	var st control.Status
	if err := json.Unmarshal([]byte(r.stdout), &st); err != nil || st.Interfaces[0].Tier != "native" {
		t.Errorf("%v: %+v", err, st)
	}
}

// A daemon that has just started has nothing to tell yet.
func TestStatusEmpty(t *testing.T) {
	p := &pretender{st: control.Status{Version: "v1", Time: start, Started: start}}
	socket, _ := p.serve(t)
	if r := xdpxe(t, "status", "--socket", socket); r.code != 0 || !strings.Contains(r.stdout, "configuration of the command line, loaded never; root none") {
		t.Errorf("%+v", r)
	}
}

func TestCaptureToFile(t *testing.T) {
	p := &pretender{st: busy()}
	socket, _ := p.serve(t)
	frames := labFrames(t)[1:3]
	go p.feed(frames)
	path := filepath.Join(t.TempDir(), "out.pcap")
	r := xdpxe(t, "capture", "--socket", socket, "-i", "eth0", "-w", path, "--count", "2")
	if r.code != 0 || r.stdout != "" || r.stderr != "2 frames captured, 0 dropped\n" {
		t.Fatalf("%+v", r)
	}
	got, err := pcapfile.Read(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range got {
		if string(c.Data) != string(frames[i]) || !c.Timestamp.Equal(start.Add(time.Duration(i))) {
			t.Errorf("frame %d: %v %x", i, c.Timestamp, c.Data)
		}
	}
	if len(got) != 2 {
		t.Errorf("%d frames", len(got))
	}
}

// Frames are shown as they come, and Ctrl-C ends the capture in order.
func TestCaptureText(t *testing.T) {
	p := &pretender{st: busy()}
	socket, _ := p.serve(t)
	cmd := command(t, "capture", "--socket", socket, "-i", "eth0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	frames := labFrames(t)
	p.feed([][]byte{frames[1], frames[2], frames[6], frames[0]})
	var lines strings.Builder
	in := bufio.NewScanner(out)
	for range 4 {
		if !in.Scan() {
			t.Fatalf("%v; stderr %s", in.Err(), &stderr)
		}
		_, line, _ := strings.Cut(in.Text(), "  ") // without the local time
		lines.WriteString(line + "\n")
	}
	golden(t, "capture", lines.String())
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(out)
	if err := cmd.Wait(); err != nil || len(rest) != 0 || stderr.String() != "4 frames captured, 0 dropped\n" {
		t.Errorf("%v; %q, stderr %q", err, rest, stderr.String())
	}
}

func TestCapturePipe(t *testing.T) {
	p := &pretender{st: busy()}
	socket, _ := p.serve(t)
	cmd := command(t, "capture", "--socket", socket, "-i", "eth0", "-w", "-")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewReader(out) // the header comes before the first frame
	if err != nil {
		t.Fatal(err)
	}
	p.feed(labFrames(t)[:1])
	if _, _, err := r.ReadPacketData(); err != nil {
		t.Error(err)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if _, _, err := r.ReadPacketData(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestCaptureRefused(t *testing.T) {
	p := &pretender{st: busy()}
	socket, stop := p.serve(t)
	if r := xdpxe(t, "capture", "--socket", socket, "-i", "eth7"); r.code != 2 || !strings.Contains(r.stderr, `does not serve interface "eth7"`) {
		t.Errorf("unknown interface: %+v", r)
	}
	if r := xdpxe(t, "capture", "--socket", socket, "-i", "eth0", "-w", "/nonexistent/x.pcap"); r.code != 2 || !strings.Contains(r.stderr, "/nonexistent/x.pcap") {
		t.Errorf("bad file: %+v", r)
	}
	stop()
}

func TestCaptureDaemonStops(t *testing.T) {
	p := &pretender{st: busy()}
	socket, stop := p.serve(t)
	go func() {
		p.feed(labFrames(t)[1:2])
		stop()
	}()
	r := xdpxe(t, "capture", "--socket", socket, "-i", "eth0")
	if r.code != 2 || !strings.Contains(r.stderr, "the daemon ended it") || !strings.Contains(r.stdout, "DISCOVER") {
		t.Errorf("%+v", r)
	}
}

func TestStatusNeedsPermission(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: to run the program as a user who may not open the socket")
	}
	p := &pretender{st: busy()}
	socket, _ := p.serve(t)
	open := filepath.Dir(socket)
	for ; len(open) > len(os.TempDir()); open = filepath.Dir(open) {
		if err := os.Chmod(open, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := command(t, "status", "--socket", socket)
	cmd.Path = publicCopy(t, cmd.Path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != fault.MachineCode || !strings.Contains(string(out), "try sudo") {
		t.Errorf("%v: %s", err, out)
	}
}

// publicCopy puts a program where any user may execute it.
func publicCopy(t *testing.T, path string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "xdpxe-cmd-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "xdpxe")
	if err := os.WriteFile(name, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(name, 0o755)); err != nil {
		t.Fatal(err)
	}
	return name
}
