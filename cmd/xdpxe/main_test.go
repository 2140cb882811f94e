package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write testdata/*.golden anew")

// actAsXdpxe makes the test binary the program itself, so that exit codes and
// signals are those of a real process.
const actAsXdpxe = "XDPXE_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(actAsXdpxe) != "" {
		main()
	}
	os.Exit(m.Run())
}

// command is xdpxe as a process of its own.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	// Built with the race detector a process lingers for a second unless told not to.
	cmd.Env = append(os.Environ(), actAsXdpxe+"=1", "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	return cmd
}

// result is what a process left.
type result struct {
	stdout, stderr string
	code           int
}

func xdpxe(t *testing.T, args ...string) result {
	t.Helper()
	cmd := command(t, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s (-update writes it); got:\n%s", path, got)
	}
}

// site writes a configuration and its boot files and returns the file's path.
func site(t *testing.T, yaml string, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join(dir, "srv")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("boot"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "xdpxe.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const labYAML = `interfaces: [xdpxe-none0]
address: 198.51.100.2
root: srv
policy:
  default: ignore
  rules:
    - name: lab
      match: {mac: ["52:54:00:*"]}
      boot: linux
    - name: rack7
      match: {circuit-id: [rack7]}
      boot: linux
profiles:
  linux: {files: {bios: undionly.kpxe, x64-uefi: EFI/snponly.efi, ipxe: boot.ipxe}}
`

var labFiles = []string{"undionly.kpxe", "EFI/snponly.efi", "boot.ipxe"}

func TestHelp(t *testing.T) {
	r := xdpxe(t, "--help")
	if r.code != 0 || r.stderr != "" {
		t.Fatalf("%+v", r)
	}
	for _, cmd := range []string{"serve", "keep", "check", "explain", "status", "deploy", "machines", "groups", "members", "events", "capture", "detach", "object", "version", "completion"} {
		if !strings.Contains(r.stdout, "\n  "+cmd+" ") {
			t.Errorf("help does not list %s:\n%s", cmd, r.stdout)
		}
		if sub := xdpxe(t, cmd, "--help"); sub.code != 0 || !strings.Contains(sub.stdout, "Usage:") {
			t.Errorf("%s --help: %+v", cmd, sub)
		}
	}
	if bare := xdpxe(t); bare.code != 0 || bare.stdout != r.stdout {
		t.Errorf("xdpxe alone is not its help: %+v", bare)
	}
}

func TestVersion(t *testing.T) {
	if r := xdpxe(t, "version"); r.code != 0 || !strings.HasPrefix(r.stdout, "xdpxe ") || !strings.Contains(r.stdout, ", go1.") {
		t.Errorf("%+v", r)
	}
}

func TestCompletion(t *testing.T) {
	if r := xdpxe(t, "completion", "bash"); r.code != 0 || !strings.Contains(r.stdout, "complete") {
		t.Errorf("%+v", r)
	}
	if r := xdpxe(t, "__complete", "explain", "--arch", "x64"); !strings.Contains(r.stdout, "x64-uefi\n") {
		t.Errorf("architectures are not completed: %+v", r)
	}
}

// Exit codes: 1 is the user's mistake, 2 the machine's; the error is said once.
func TestExitCodes(t *testing.T) {
	good := site(t, labYAML, labFiles...)
	socket := filepath.Join(t.TempDir(), "none.sock")
	for _, c := range []struct {
		name string
		args []string
		code int
		want string // in stderr
	}{
		{"unknown command", []string{"srve"}, 1, `xdpxe: unknown command "srve"`},
		{"unknown flag", []string{"check", "--frob"}, 1, "xdpxe: unknown flag: --frob"},
		{"superfluous argument", []string{"check", "x.yaml"}, 1, "xdpxe: unknown command"},
		{"no configuration", []string{"check"}, 1, "give -c FILE"},
		{"missing configuration", []string{"check", "-c", "/nonexistent/x.yaml"}, 1, "/nonexistent/x.yaml"},
		{"nothing to explain", []string{"explain", "-c", good}, 1, "--pcap FILE"},
		{"bad address", []string{"explain", "-c", good, "--mac", "zz", "--arch", "bios"}, 1, `"zz" is no hardware address`},
		{"bad architecture", []string{"explain", "-c", good, "--mac", "52:54:00:00:00:01", "--arch", "uefi"}, 1, "did you mean x64-uefi"},
		{"capture and machine", []string{"explain", "-c", good, "--pcap", "x", "--mac", "52:54:00:00:00:01"}, 1, "none of the others can be"},
		{"no capture file", []string{"explain", "-c", good, "--pcap", "/nonexistent.pcap"}, 1, "/nonexistent.pcap"},
		{"no interface to capture on", []string{"capture"}, 1, "give -i INTERFACE"},
		{"no daemon for status", []string{"status", "--socket", socket}, 2, "no daemon answers there"},
		{"no daemon for capture", []string{"capture", "-i", "eth0", "--socket", socket}, 2, "no daemon answers there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := xdpxe(t, c.args...)
			if r.code != c.code || !strings.Contains(r.stderr, c.want) {
				t.Errorf("exit %d, want %d; stderr %q, want %q in it", r.code, c.code, r.stderr, c.want)
			}
			if strings.Count(r.stderr, "xdpxe: ") != 1 || r.stdout != "" {
				t.Errorf("the error is not said once: %+v", r)
			}
		})
	}
}
