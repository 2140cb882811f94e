package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/xdpxe/xdpxe/bpf"
	"github.com/xdpxe/xdpxe/cmd/internal/fault"
	"github.com/xdpxe/xdpxe/responder/packet"
)

// start is when the first frame of each capture was seen.
var start = time.Date(2026, 3, 1, 12, 0, 0, 250_000_000, time.UTC)

// labServer is the server of labYAML.
func labServer() *vantage { return &vantage{given: netip.MustParseAddr("198.51.100.2")} }

// clientOf understands a machine or fails the test.
func clientOf(t *testing.T, m machine) *pxeClient {
	t.Helper()
	c, err := m.client()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// tagged puts a VLAN tag into an Ethernet frame.
func tagged(frame []byte, vid uint16) []byte {
	out := append([]byte(nil), frame[:12]...)
	out = binary.BigEndian.AppendUint16(append(out, 0x81, 0), vid)
	return append(out, frame[12:]...)
}

// serverReply is a lease offer of a DHCP server with the given options.
func serverReply(t *testing.T, yiaddr string, opts ...byte) []byte {
	t.Helper()
	msg := clientOf(t, machine{mac: "52:54:00:12:34:56", arch: "x64-uefi"}).message(2, netip.Addr{}, netip.Addr{})[:240]
	msg[0] = 2
	copy(msg[16:], netip.MustParseAddr(yiaddr).AsSlice())
	msg = append(append(msg, 53, 1, 2, 54, 4, 198, 51, 100, 1), append(opts, 255)...)
	m := packet.Meta{
		Src: netip.MustParseAddrPort("198.51.100.1:67"), Dst: netip.MustParseAddrPort("255.255.255.255:68"),
		DstMAC: [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, SrcMAC: [6]byte{2, 1},
	}
	return frameOf(&m, msg)
}

// retyped changes the message type of a DHCP frame, which stands first in its options.
func retyped(frame []byte, kind byte) []byte {
	out := append([]byte(nil), frame...)
	out[14+20+8+240+2] = kind
	return out
}

// withOptions changes the options of a DHCP frame.
func withOptions(t *testing.T, frame []byte, change func(options []byte) []byte) []byte {
	t.Helper()
	const options = 240
	var p packet.Packet
	if reason := packet.Parse(frame, &p); reason != packet.Answered {
		t.Fatal(reason)
	}
	return frameOf(&p.Meta, append(p.Payload[:options:options], change(p.Payload[options:])...))
}

// labFrames are what a network shows that has everything.
func labFrames(t *testing.T) [][]byte {
	server := labServer()
	uefi := clientOf(t, machine{mac: "52:54:00:12:34:56", arch: "x64-uefi", uuid: "4c4c4544-0031-3010-8048-b4c04f4b3232"})
	bios := clientOf(t, machine{mac: "00:16:3e:00:00:01", arch: "bios", relay: "203.0.113.1", circuitID: "rack7"})
	ipxe := clientOf(t, machine{mac: "52:54:00:12:34:56", arch: "x64-uefi", userClass: "iPXE"})
	stranger := clientOf(t, machine{mac: "00:16:3e:00:00:02", arch: "x64-uefi"})
	arm := clientOf(t, machine{mac: "52:54:00:00:00:09", arch: "arm64-uefi"})
	phone := clientOf(t, machine{mac: "00:16:3e:00:00:03", arch: "bios", vendorClass: "android-dhcp-14"})
	options := append([]byte(nil), uefi.discover(server)...)
	options[14] = 0x46 // an IP header with a word of options, all of them NOP
	options = slices.Insert(options, 34, 1, 1, 1, 1)
	return [][]byte{
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x08, 0x06, 0, 1}, // ARP
		uefi.discover(server),
		serverReply(t, "198.51.100.50", append([]byte{60, 9}, "PXEClient"...)...),
		serverReply(t, "0.0.0.0", append([]byte{67, 5}, "other"...)...),
		retyped(uefi.discover(server), 3),
		uefi.ask(server),
		tagged(ipxe.discover(server), 100),
		bios.discover(server),
		stranger.discover(server),
		arm.discover(server),
		phone.discover(server),
		options,
		uefi.discover(server)[:100],
	}
}

// writePcap writes frames as a capture of the given kind: one frame a second.
func writePcap(t *testing.T, frames [][]byte, ng bool) string {
	t.Helper()
	var b bytes.Buffer
	var w interface {
		WritePacket(gopacket.CaptureInfo, []byte) error
	}
	if ng {
		nw, err := pcapgo.NewNgWriter(&b, layers.LinkTypeEthernet)
		if err != nil {
			t.Fatal(err)
		}
		defer nw.Flush()
		w = nw
	} else {
		pw := pcapgo.NewWriterNanos(&b)
		if err := pw.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
			t.Fatal(err)
		}
		w = pw
	}
	for i, f := range frames {
		ci := gopacket.CaptureInfo{Timestamp: start.Add(time.Duration(i) * time.Second), CaptureLength: len(f), Length: len(f)}
		if i == len(frames)-1 && len(f) == 100 {
			ci.Length = 346 // cut by the capture
		}
		if err := w.WritePacket(ci, f); err != nil {
			t.Fatal(err)
		}
	}
	if nw, ok := w.(*pcapgo.NgWriter); ok {
		if err := nw.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "c.pcap")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestExplainCapture(t *testing.T) {
	path := site(t, labYAML, labFiles...)
	for _, ng := range []bool{false, true} {
		r := xdpxe(t, "explain", "-c", path, "--pcap", writePcap(t, labFrames(t), ng))
		if r.code != 0 || r.stderr != "" {
			t.Fatalf("%+v", r)
		}
		golden(t, "explain-pcap", r.stdout)
	}
}

func TestExplainCaptureJSON(t *testing.T) {
	path := site(t, labYAML, labFiles...)
	r := xdpxe(t, "explain", "-c", path, "--json", "--pcap", writePcap(t, labFrames(t), false))
	golden(t, "explain-json", r.stdout)
	var rep report
	if err := json.Unmarshal([]byte(r.stdout), &rep); err != nil {
		t.Fatal(err)
	}
	reasons := make(map[int]string)
	for _, v := range rep.Messages {
		reasons[v.Frame] = v.Reason
	}
	want := map[int]string{
		2: "answered", 3: "", 4: "", 5: "lease_request", 6: "answered", 7: "answered", 8: "answered",
		9: "default_ignore", 10: "no_file_for_arch", 11: "not_pxe", 12: "bad_frame", 13: "bad_frame",
	}
	if len(reasons) != len(want) {
		t.Errorf("%d messages, want %d", len(reasons), len(want))
	}
	for frame, reason := range want {
		if got, ok := reasons[frame]; !ok || got != reason {
			t.Errorf("frame %d: %q, want %q", frame, got, reason)
		}
	}
}

func TestExplainFromStandardInput(t *testing.T) {
	cmd := command(t, "explain", "-c", site(t, labYAML, labFiles...), "--pcap", "-")
	in, err := os.Open(writePcap(t, labFrames(t)[1:2], false))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	cmd.Stdin = in
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "=> OFFER") {
		t.Errorf("%v: %s", err, out)
	}
}

// Neither flag nor configuration nor host tell the server's address: the
// capture does, from frames that come after the broadcast too.
func TestExplainLearnsAddress(t *testing.T) {
	yaml := strings.Replace(labYAML, "address: 198.51.100.2\n", "", 1)
	path := site(t, yaml, labFiles...)
	r := xdpxe(t, "explain", "-c", path, "--pcap", writePcap(t, labFrames(t)[:6], false))
	if !strings.Contains(r.stdout, "=> OFFER  198.51.100.2:67 > 255.255.255.255:68") || strings.Contains(r.stdout, "192.0.2.1") {
		t.Errorf("%s", r.stdout)
	}
	r = xdpxe(t, "explain", "-c", path, "--pcap", writePcap(t, labFrames(t)[:2], false))
	if !strings.Contains(r.stdout, "not known here and shown as 192.0.2.1") {
		t.Errorf("%s", r.stdout)
	}
	r = xdpxe(t, "explain", "-c", path, "--address", "203.0.113.9", "--pcap", writePcap(t, labFrames(t)[:6], false))
	if !strings.Contains(r.stdout, "=> OFFER  203.0.113.9:67 >") || !strings.Contains(r.stdout, "note: sent to 198.51.100.2: taken only if") {
		t.Errorf("%s", r.stdout)
	}
}

// Of what the XDP program leaves to the kernel although the responder would
// answer it, explain says so; on 4011 a socket answers it.
func TestExplainLeftByXDP(t *testing.T) {
	discover, ask := labFrames(t)[1], labFrames(t)[5]
	type change = func(options []byte) []byte
	add := func(more ...byte) change { // in front of the others
		return func(options []byte) []byte { return append(more, options...) }
	}
	var many []byte
	for range bpf.MaxOptions {
		many = append(many, 12, 1, 'h')
	}
	for _, c := range []struct {
		name   string
		change change
		want   string // in the note; empty: XDP takes it
	}{
		{"as it is", add(), ""},
		{"good overload", add(52, 1, 3), ""},
		{"overload of 0", add(52, 1, 0), "option 52"},
		{"overload of two bytes", add(52, 2, 1, 1), "option 52"},
		{"many options", add(many...), "more than 64 options"},
		{"split class", func(o []byte) []byte {
			return bytes.Replace(o, []byte("\x3c\x20PXEClient"), []byte("\x3c\x03PXE\x3c\x1dClient"), 1)
		}, "vendor class"},
		{"long frame", func(o []byte) []byte { return append(o, make([]byte, bpf.MaxFrame)...) }, "more than 1536 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, frame := range [][]byte{discover, ask} {
				v := newReplayer(parseLab(t), labServer()).handle(start, withOptions(t, frame, c.change))
				note := strings.Join(v.Notes, "\n")
				want := c.want
				if v.Stage == "boot_server" {
					want = ""
				}
				if v.Answer == nil || v.LeftToKernel != (want != "") || !strings.Contains(note, want) || want == "" && strings.Contains(note, "XDP") {
					t.Errorf("%s: answer %v, left to the kernel: %v, notes %q", v.Stage, v.Answer != nil, v.LeftToKernel, note)
				}
			}
		})
	}
}

func TestExplainBadCapture(t *testing.T) {
	path := filepath.Join(t.TempDir(), "no.pcap")
	for name, content := range map[string]string{"empty": "", "text": "this is no capture, but a text"} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if r := xdpxe(t, "explain", "-c", site(t, labYAML, labFiles...), "--pcap", path); r.code != 1 || !strings.Contains(r.stderr, "not a pcap or pcapng file") {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// A capture that was cut in the middle of a frame still tells what is whole.
func TestExplainTruncatedCapture(t *testing.T) {
	path := writePcap(t, labFrames(t)[:3], false)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data[:len(data)-10], 0o644); err != nil {
		t.Fatal(err)
	}
	r := xdpxe(t, "explain", "-c", site(t, labYAML, labFiles...), "--pcap", path)
	if r.code != 0 || !strings.Contains(r.stdout, "2 frames: 1 request, 1 answered") {
		t.Errorf("%+v", r)
	}
}

func TestExplainMachine(t *testing.T) {
	path := site(t, labYAML, labFiles...)
	for _, c := range []struct {
		name string
		args []string
	}{
		{"uefi", []string{"--mac", "52:54:00:12:34:56", "--arch", "x64-uefi", "--uuid", "4c4c4544-0031-3010-8048-b4c04f4b3232"}},
		{"bios", []string{"--mac", "52-54-00-12-34-56", "--arch", "bios"}},
		{"ipxe", []string{"--mac", "52:54:00:12:34:56", "--arch", "x64-uefi", "--user-class", "iPXE"}},
		{"relayed", []string{"--mac", "00:16:3e:00:00:01", "--arch", "bios", "--relay", "203.0.113.1", "--circuit-id", "rack7", "--remote-id", "0x00ff", "--subnet", "10.1.0.0/16"}},
		{"relayed-uefi", []string{"--mac", "00:16:3e:00:00:01", "--arch", "x64-uefi", "--subnet", "10.1.0.0/16", "--circuit-id", "rack7"}},
		{"nobody", []string{"--mac", "00:16:3e:00:00:02", "--arch", "x64-uefi"}},
		{"no-file", []string{"--mac", "52:54:00:12:34:56", "--arch", "arm64-uefi"}},
		{"http", []string{"--mac", "52:54:00:12:34:56", "--arch", "x64-uefi-http"}},
		{"class", []string{"--mac", "52:54:00:12:34:56", "--arch", "bios", "--vendor-class", "MSFT 5.0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := xdpxe(t, append([]string{"explain", "-c", path}, c.args...)...)
			if r.code != 0 || r.stderr != "" {
				t.Fatalf("%+v", r)
			}
			golden(t, "explain-"+c.name, r.stdout)
		})
	}
}

func TestMachineMistakes(t *testing.T) {
	ok := machine{mac: "52:54:00:12:34:56", arch: "bios"}
	for flag, change := range map[string]func(*machine){
		"mac":          func(m *machine) { m.mac = "52:54:00" },
		"arch":         func(m *machine) { m.arch = "sparc" },
		"uuid":         func(m *machine) { m.uuid = "4c4c" },
		"relay":        func(m *machine) { m.relay = "fe80::1" },
		"subnet":       func(m *machine) { m.subnet = "10.0.0.0/40" },
		"circuit-id":   func(m *machine) { m.circuitID = "0xzz" },
		"remote-id":    func(m *machine) { m.remoteID = strings.Repeat("x", 121) },
		"user-class":   func(m *machine) { m.userClass = strings.Repeat("x", 256) },
		"vendor-class": func(m *machine) { m.vendorClass = strings.Repeat("x", 256) },
	} {
		m := ok
		change(&m)
		if _, err := m.client(); err == nil || fault.Code(err) != fault.UserCode || !strings.HasPrefix(err.Error(), "--"+flag+": ") {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

func FuzzExplainFrame(f *testing.F) {
	server := labServer()
	cfg := parseLab(f)
	for _, m := range []machine{{mac: "52:54:00:12:34:56", arch: "x64-uefi"}, {mac: "52:54:00:12:34:56", arch: "bios", relay: "10.0.0.1", circuitID: "rack7"}} {
		c, err := m.client()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(c.discover(server))
		f.Add(c.ask(server))
		f.Add(tagged(c.discover(server), 7))
	}
	r := newReplayer(cfg, server)
	var l liner
	f.Fuzz(func(t *testing.T, frame []byte) {
		v := r.handle(start, frame)
		l.line(frame)
		if v == nil {
			return
		}
		if v.Kind == "request" && (v.Reason == "") {
			t.Errorf("a request without a reason: %+v", v)
		}
		if (v.Answer != nil) != (v.Reason == "answered") {
			t.Errorf("answer and reason differ: %+v", v)
		}
		rep := report{Messages: []*verdict{v}}
		if err := rep.print(&bytes.Buffer{}); err != nil {
			t.Error(err)
		}
	})
}
