package compare

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/xdpxe/xdpxe/bench/lab/client"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
	"github.com/xdpxe/xdpxe/bench/lab/wire"
	"github.com/xdpxe/xdpxe/bench/peers"
	"github.com/xdpxe/xdpxe/bench/result"
)

// programs are built once for all tests.
var programs peers.Programs

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "compare")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	programs = peers.Programs{XDPXE: filepath.Join(dir, "xdpxe"), Bench: filepath.Join(dir, "xdpxe-bench")}
	remove := func() { os.RemoveAll(dir) }
	labtest.RemoveOnSignal(remove)
	build := exec.Command("go", "build", "-o", dir, "github.com/xdpxe/xdpxe/cmd/xdpxe", "github.com/xdpxe/xdpxe/cmd/xdpxe-bench")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the programs:", err)
		remove()
		os.Exit(1)
	}
	code := m.Run()
	remove()
	os.Exit(code)
}

// each calls f for every built-in peer of a kind. They all have to be here.
func each(t *testing.T, k peers.Kind, f func(t *testing.T, ctx context.Context, p *peers.Peer)) {
	labtest.Need(t, false)
	recipes, err := peers.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range recipes {
		if !r.Serves(k) {
			continue
		}
		found, err := r.Find(t.Context(), k, programs)
		if missing := (*peers.NotFoundError)(nil); errors.As(err, &missing) {
			t.Run(r.Name, func(t *testing.T) { t.Skip(err) })
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range found {
			t.Run(p.Name, func(t *testing.T) { f(t, labtest.Context(t, time.Minute), p) })
		}
	}
}

// Each server answers a machine's DISCOVER as a boot server.
func TestAnswers(t *testing.T) {
	each(t, peers.DHCP, func(t *testing.T, ctx context.Context, p *peers.Peer) {
		err := (&Rig{Programs: programs}).with(ctx, Work{Kind: peers.DHCP}, p, func(b *bench, _ *peers.Server) error { return discover(ctx, b) })
		if err != nil {
			t.Error(err)
		}
	})
}

func discover(ctx context.Context, b *bench) error {
	port, err := wire.Open(b.clients, cable)
	if err != nil {
		return err
	}
	defer port.Close()
	request, err := (&client.Client{Style: client.EDK2, Arch: 7}).Discover(port.MAC)
	if err != nil {
		return err
	}
	// As a machine does, ask again: a cable that was just plugged in may lose the first.
	for ctx.Err() == nil {
		err := port.Send(wire.Datagram{SrcMAC: port.MAC, DstMAC: wire.Broadcast, Src: netip.MustParseAddrPort("0.0.0.0:68"),
			Dst: netip.MustParseAddrPort("255.255.255.255:67"), Payload: request.ToBytes()})
		if err != nil {
			return err
		}
		if offer := awaitOffer(ctx, port, request); offer != nil {
			if !offer.YourIPAddr.IsUnspecified() || !offer.ServerIdentifier().Equal(serverAddr.Addr().AsSlice()) {
				return fmt.Errorf("not the offer of a boot server: %v", offer)
			}
			return nil
		}
	}
	return context.Cause(ctx)
}

func awaitOffer(ctx context.Context, port *wire.Port, request *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for {
		d, err := port.Recv(ctx)
		if err != nil {
			return nil
		}
		if m, err := dhcpv4.FromBytes(d.Payload); err == nil && m.MessageType() == dhcpv4.MessageTypeOffer && m.TransactionID == request.TransactionID {
			return m
		}
	}
}

// Each server gives a stock client the file.
func TestServesFiles(t *testing.T) {
	each(t, peers.TFTP, func(t *testing.T, ctx context.Context, p *peers.Peer) {
		got := filepath.Join(t.TempDir(), "got")
		err := (&Rig{Programs: programs, ServerCPU: "0"}).with(ctx, Work{Kind: peers.TFTP, Size: 100_000}, p, func(b *bench, _ *peers.Server) error {
			if err := b.clients.Run("curl", "--silent", "--show-error", "--max-time", "30", "--output", got,
				"tftp://"+serverAddr.Addr().String()+"/"+b.vars.File); err != nil {
				return err
			}
			want, err := os.ReadFile(filepath.Join(b.vars.Root, b.vars.File))
			if err != nil {
				return err
			}
			if have, err := os.ReadFile(got); err != nil || !bytes.Equal(have, want) || len(want) != 100_000 {
				return fmt.Errorf("%d bytes came, not the file's %d: %v", len(have), len(want), err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// A server that ends under the load is an error with its log.
func TestServerDiesUnderLoad(t *testing.T) {
	labtest.Need(t, false)
	recipes, err := peers.Parse("test", []byte(`
- name: weak
  kinds: [dhcp]
  command: [sh, -c, 'echo ready; read line; echo out of memory; exit 3']
  ready: {log: ready}
  version: {args: [-c, "echo 1"]}
`))
	if err != nil {
		t.Fatal(err)
	}
	ctx := labtest.Context(t, time.Minute)
	found, err := recipes[0].Find(ctx, peers.DHCP, peers.Programs{})
	if err != nil {
		t.Fatal(err)
	}
	err = (&Rig{}).with(ctx, Work{Kind: peers.DHCP}, found[0], func(_ *bench, s *peers.Server) error {
		<-s.Exited() // its input is empty
		return errors.New("no answers")
	})
	if err == nil || !strings.Contains(err.Error(), "no answers") || !strings.Contains(err.Error(), "out of memory") {
		t.Errorf("got %v", err)
	}
}

// What the load says goes into the result, what it complains about into the error.
func TestLoad(t *testing.T) {
	labtest.Need(t, false)
	fake := filepath.Join(t.TempDir(), "bench")
	if err := os.WriteFile(fake, []byte(`#!/bin/sh
case $1 in
good) echo '{"schema": 1, "rows": [{"name": "run", "figures": [{"name": "rate", "unit": "1/s", "value": 7}]}]}' ;;
old) echo '{"schema": 99}' ;;
mute) echo '{' ;;
*) echo "no such interface" >&2; exit 2 ;;
esac
`), 0o755); err != nil {
		t.Fatal(err)
	}
	rig := &Rig{Programs: peers.Programs{Bench: fake}}
	b, err := rig.lay(Work{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.lab.Close()
	run, err := rig.load(t.Context(), b, "0", []string{"good"})
	if err != nil || run.Rows[0].Figures[0].Value != 7 || strings.Join(run.Command, " ") != "taskset -c 0 "+fake+" good --json --quiet" {
		t.Errorf("%+v, %v", run, err)
	}
	for what, want := range map[string]string{"old": "schema 99", "mute": "its result: unexpected end", "bad": "no such interface"} {
		if run, err := rig.load(t.Context(), b, "0", []string{what}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v, want %q", what, run, err, want)
		}
	}
}

// The loads are typed right, and what they find has the figures that are shown
// and compared. The rates are small: the figures themselves do not matter here.
func TestMeasure(t *testing.T) {
	labtest.Need(t, false)
	rig := &Rig{Programs: programs}
	works, err := Select([]string{"dhcp", "tftp-3x64KiB-b1468-w4"})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range works {
		load := w.Load
		w.Load = func(target Target) []string {
			args := load(target)
			if w.Kind == peers.DHCP {
				args = append(args, "--rate", "100", "--max-rate", "1000", "--for", "100ms") // the last of a flag counts
			}
			return args
		}
		t.Run(w.Name, func(t *testing.T) {
			run := measures(t, rig, w, &peers.Peer{Name: "xdpxe", Recipe: recipe(t, "xdpxe"), Kind: w.Kind, Variant: cmp.Or(w.Variant, "native"), Program: programs.XDPXE}, " serve -c ")
			answers := "off"
			if w.Variant == kernelVariant {
				answers = "auto"
			}
			if about := " # kernel: {answers: " + answers + "}, guard: {enabled: false}"; !strings.HasSuffix(run.Settings[len(run.Settings)-1].Value, about) {
				t.Errorf("settings %+v, want %q", run.Settings, about)
			}
		})
		if w.Bounced {
			t.Run(w.Name+" on a bounce", func(t *testing.T) {
				run := measures(t, rig, w, &peers.Peer{Name: "bounce", Recipe: recipe(t, "bounce"), Kind: peers.Bounce, Program: programs.Bench}, " bounce --interface=cable0")
				if f, _ := run.Rows[0].Figure("answered"); f.Value != 1 {
					t.Errorf("%+v did not come back", f)
				}
			})
		}
	}
}

// measures does a work on a peer, which was started by its program and args.
func measures(t *testing.T, rig *Rig, w Work, p *peers.Peer, args string) *result.Run {
	t.Helper()
	run, err := rig.Measure(labtest.Context(t, time.Minute), w, p)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(w.Show, w.Ratios...) {
		if _, ok := run.Rows[0].Figure(name); !ok {
			t.Errorf("no %q among the figures: %+v", name, run.Rows[0].Figures)
		}
	}
	if last := run.Settings[len(run.Settings)-1]; last.Name != ServerSetting || !strings.HasPrefix(last.Value, strings.Join(append(pin(rig.place(w).server), p.Program), " ")+args) {
		t.Errorf("settings %+v", run.Settings)
	}
	return run
}

// The command as it is typed: who takes part, who is missing, results in files,
// bounds that hold and bounds that do not.
func TestCommand(t *testing.T) {
	labtest.Need(t, false)
	ctx := labtest.Context(t, time.Minute)
	dir := t.TempDir()
	lost := filepath.Join(dir, "lost.yaml")
	if err := os.WriteFile(lost, []byte("- {name: lost, kinds: [tftp], command: [no-such-server], ready: {udp: [69]}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, programs.Bench, "compare", "--xdpxe", programs.XDPXE, "--work", "tftp-2x64KiB-b512-w1", "--rounds", "2", "--recipes", lost,
		"--peer", "xdpxe,pin-tftp,lost", "--results", filepath.Join(dir, "results"), "--label", "two", "--json",
		"--require", "xdpxe/pin-tftp: goodput > 0", "--require", "pin-tftp: goodput < 1B/s")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("%v, want exit status 1 for the missed bound\n%s", err, &stderr)
	}
	if said := stderr.String(); !strings.Contains(said, `bound "pin-tftp: goodput < 1B/s" missed`) || strings.Contains(said, `"xdpxe/pin-tftp: goodput > 0"`) ||
		!strings.Contains(said, "round 2 of 2: tftp-2x64KiB-b512-w1: xdpxe: goodput ") {
		t.Errorf("standard error:\n%s", said)
	}
	var runs []*result.Run
	if err := json.Unmarshal(stdout.Bytes(), &runs); err != nil || len(runs) != 1 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	r := runs[0]
	var rows []string
	for _, row := range r.Rows {
		rows = append(rows, row.Name)
	}
	if want := []string{"xdpxe", "pin-tftp", "xdpxe/pin-tftp"}; !slices.Equal(rows, want) {
		t.Errorf("rows %q, want %q", rows, want)
	}
	if r.Tool != "xdpxe-bench compare" || r.Machine.Kernel == "" || r.Machine.Programs["pin-tftp"] == "" || r.Machine.Programs["xdpxe"] == "" {
		t.Errorf("of %s on %+v", r.Tool, r.Machine)
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "not compared: lost: there is no no-such-server") {
		t.Errorf("notes %q", r.Notes)
	}
	if files, err := filepath.Glob(filepath.Join(dir, "results", "*-two.*")); err != nil || len(files) != 2 {
		t.Errorf("files %q, %v", files, err)
	}
}

func recipe(t *testing.T, name string) *peers.Recipe {
	t.Helper()
	all, err := peers.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("no recipe %q", name)
	return nil
}

// A latency is measured with a processor for each side, unless the user places them.
func TestPlaces(t *testing.T) {
	both := places{server: "1", load: "0"}
	if runtime.NumCPU() < 2 {
		both = places{}
	}
	for _, tc := range []struct {
		rig   Rig
		apart bool
		want  places
	}{
		{Rig{}, false, places{}},
		{Rig{}, true, both},
		{Rig{ServerCPU: "3"}, true, places{server: "3"}},
		{Rig{ServerCPU: "3", ClientCPU: "2"}, false, places{server: "3", load: "2"}},
	} {
		if got := tc.rig.place(Work{Apart: tc.apart}); got != tc.want {
			t.Errorf("%+v, apart %v: got %+v, want %+v", tc.rig, tc.apart, got, tc.want)
		}
	}
}
