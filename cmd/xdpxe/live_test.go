package main

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"golang.org/x/sys/unix"

	"github.com/xdpxe/xdpxe/bench/xdp"
	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/control"
	"github.com/xdpxe/xdpxe/responder/pcapfile"
)

// send puts a frame on an interface of the namespace.
func (ns namespace) send(t *testing.T, iface string, frame []byte) {
	t.Helper()
	ns.inside(t, func() error {
		ifi, err := net.InterfaceByName(iface)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: ifi.Index})
	})
}

// What a running daemon takes by XDP and answers is what capture shows, what
// status counts, and what explain says of that capture.
func TestCaptureOfRunningDaemon(t *testing.T) {
	ns := newNamespace(t)
	d := startDaemon(t, ns)
	d.awaitStatus(t, "serving by native AF_XDP", func(st *control.Status) bool { return st.Interfaces[0].Tier == "native" && st.Interfaces[0].Serving() })
	socket := filepath.Join(d.dir, "run", "control.sock")

	capture := command(t, "capture", "--socket", socket, "-i", "v0", "-w", "-")
	out, err := capture.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := capture.Start(); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	r, err := pcapgo.NewReader(out) // its header says that the capture has begun
	if err != nil {
		t.Fatal(err)
	}
	w := pcapgo.NewWriterNanos(&file)
	if err := w.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	request := clientOf(t, machine{mac: "52:54:00:12:34:56", arch: "x64-uefi"}).discover(labServer())
	ns.send(t, "v1", request)
	var frames [][]byte
	for range 2 {
		data, ci, err := r.ReadPacketData()
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, data)
		if err := w.WritePacket(ci, data); err != nil {
			t.Fatal(err)
		}
	}
	capture.Process.Signal(syscall.SIGINT)
	if err := capture.Wait(); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(frames[0], request) {
		t.Errorf("captured %x, sent %x", frames[0], request)
	}

	st := d.awaitStatus(t, "counting", func(st *control.Status) bool { return len(st.Requests) > 0 })
	if want := (control.Requests{Iface: "v0", Tier: "native", Stage: "discover", Reason: "answered", Count: 1}); st.Requests[0] != want {
		t.Errorf("counted %+v", st.Requests)
	}

	path := filepath.Join(d.dir, "c.pcap")
	if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	ex := xdpxe(t, "explain", "-c", filepath.Join(d.dir, "xdpxe.yaml"), "--address", "198.51.100.2", "--pcap", path)
	if ex.code != 0 || !strings.Contains(ex.stdout, "=> OFFER  198.51.100.2:67 > 255.255.255.255:68") || !strings.Contains(ex.stdout, "1 request, 1 answered") {
		t.Errorf("%+v", ex)
	}
	// The daemon's answer is, byte for byte, the one that explain makes.
	frames2, err := pcapfile.Read(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg, _, err := (&source{file: filepath.Join(d.dir, "xdpxe.yaml")}).load()
	if err != nil {
		t.Fatal(err)
	}
	v := newReplayer(cfg, labServer()).handle(start, frames2[0].Data)
	if v == nil || v.Answer == nil || !bytes.HasSuffix(frames2[1].Data, v.Answer.payload) {
		t.Errorf("explain answers %+v, the daemon sent %x", v, frames2[1].Data)
	}

	d.Process.Signal(syscall.SIGTERM)
	if err := d.Wait(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
}

// The running daemon hands over to the kernel what it has answered, says so,
// and takes it back when the configuration says so.
func TestKernelAnswersOfRunningDaemon(t *testing.T) {
	ns := newNamespace(t)
	// A veth passes on what XDP_TX sends only to an end that has a program.
	ns.inside(t, func() error {
		ifi, err := net.InterfaceByName("v1")
		if err != nil {
			return err
		}
		pass, err := xdp.NewRedirect(ifi.Index, 1)
		if err == nil {
			t.Cleanup(func() { pass.Close() })
		}
		return err
	})
	d := startDaemon(t, ns)
	kernelIs := func(on bool) func(*control.Status) bool {
		return func(st *control.Status) bool {
			return len(st.Interfaces) == 1 && st.Interfaces[0].Kernel != nil && st.Interfaces[0].Kernel.Active == on && (len(st.Interfaces[0].Kernel.Why) == 0) == on
		}
	}
	request := clientOf(t, machine{mac: "52:54:00:12:34:56", arch: "x64-uefi"}).discover(labServer())
	tier := func(name string) func(*control.Status) bool {
		return func(st *control.Status) bool {
			ns.send(t, "v1", request)
			return slices.ContainsFunc(st.Requests, func(r control.Requests) bool {
				return r.Tier == name && r.Stage == "discover" && r.Reason == "answered"
			})
		}
	}
	d.awaitStatus(t, "answering in the kernel", kernelIs(true))
	st := d.awaitStatus(t, "answers of the kernel", tier(responder.TierKernel))
	want := control.Coverage{Profile: "all", Iface: "v0", Stage: "discover", Result: "answered", Answers: true, Patterns: 1}
	if len(st.Coverage) != 1 || !reflect.DeepEqual(st.Coverage[0], want) {
		t.Errorf("coverage %+v, want %+v", st.Coverage, want)
	}
	if k := st.Interfaces[0].Kernel; k.Patterns != 1 || k.Machines != 0 {
		t.Errorf("%+v", k)
	}
	text := xdpxe(t, "status", "--socket", filepath.Join(d.dir, "run", "control.sock"))
	if !strings.Contains(text.stdout, "(default)  all      v0         discover  answered  yes: 1 kind\n") {
		t.Errorf("status says %s", text.stdout)
	}

	path := filepath.Join(d.dir, "xdpxe.yaml")
	yaml, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(yaml, "kernel: {answers: off}\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	d.Process.Signal(syscall.SIGHUP)
	st = d.awaitStatus(t, "kernel: off", kernelIs(false))
	if !slices.Equal(st.Interfaces[0].Kernel.Why, []string{"kernel: answers: off"}) {
		t.Errorf("%+v", st.Interfaces[0].Kernel)
	}
	count := func(st *control.Status, tier string) (n uint64) {
		for _, r := range st.Requests {
			if r.Tier == tier {
				n += r.Count
			}
		}
		return n
	}
	kernel, native := count(st, responder.TierKernel), count(st, "native")
	ns.send(t, "v1", request)
	st = d.awaitStatus(t, "answers of the daemon", func(st *control.Status) bool { return count(st, "native") > native })
	if n := count(st, responder.TierKernel); n != kernel {
		t.Errorf("the kernel counts %d answers, had %d", n, kernel)
	}
}
