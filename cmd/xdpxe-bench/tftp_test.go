package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/bench/tftpload"
	"github.com/xdpxe/xdpxe/responder/content"
	"github.com/xdpxe/xdpxe/responder/tftp"
)

// tftpServer is xdpxe's own on loopback, with a root of its own.
func tftpServer(t *testing.T) (addr, dir string) {
	t.Helper()
	dir = t.TempDir()
	root, err := content.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	server, err := tftp.Listen(tftp.Config{Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Workers: 1, GSO: true}, root)
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
	return "127.0.0.1:" + strconv.Itoa(server.Port()), dir
}

func runTFTP(args ...string) (code int, stdout, stderr string) {
	var o, e bytes.Buffer
	code = run(append([]string{"tftp"}, args...), &o, &e)
	return code, o.String(), e.String()
}

func TestTFTP(t *testing.T) {
	server, dir := tftpServer(t)
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, tftpload.Pattern(100000), 0o644); err != nil {
		t.Fatal(err)
	}
	wrong := filepath.Join(t.TempDir(), "wrong")
	if err := os.WriteFile(wrong, append(tftpload.Pattern(99999), 0), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "empty"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args    string
		code    int
		bytes   float64 // of whole files
		failure string
		stderr  string
	}{
		{args: "--file f --clients 5 --loops 2 --expect " + file, bytes: 1e6},
		{args: "--file f --clients 5", bytes: 5e5}, // held against a first copy
		{args: "--file f --pattern 100000 --probe --gro=false --arrival ramp:20ms --delay 1ms,0s --reorder 1%", bytes: 1e5},
		{args: "--file g --pattern 64KiB --clients 2 --put " + filepath.Join(dir, "g") + ` --require failed==0`, bytes: 2 << 16},
		{args: "--file empty --clients 2 --require completed==2"},
		{args: "--file f --clients 3 --expect " + wrong + " --require failed==0", code: 1, failure: "wrong bytes", stderr: `bound "failed==0" missed: it is 3`},
		{args: "--file missing --pattern 1", failure: "ERROR 1 file not found"},
		{args: "--file missing", code: 1, stderr: "fetch missing from " + server + ": ERROR 1 file not found"},
		{args: "--file f --pattern 100000 --server-pid " + strconv.Itoa(os.Getpid()) + " --require server~anon>0", bytes: 1e5},
	} {
		args := append(strings.Fields(c.args), "--server", server, "--json", "--quiet")
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "~", " ")
		}
		code, stdout, stderr := runTFTP(args...)
		if code != c.code || !strings.Contains(stderr, c.stderr) || c.stderr == "" && stderr != "" {
			t.Errorf("%s: exit %d, %s", c.args, code, stderr)
			continue
		}
		if stdout == "" && code == 1 {
			continue // no load was made
		}
		var r result.Run
		if err := json.Unmarshal([]byte(stdout), &r); err != nil {
			t.Errorf("%s: %v in %s", c.args, err, stdout)
			continue
		}
		row := r.Rows[0]
		goodput, _ := row.Figure("goodput")
		wall, _ := row.Figure("wall")
		if got := goodput.Value * wall.Value; got < c.bytes-1 || got > c.bytes+1 {
			t.Errorf("%s: %g bytes, want %g", c.args, got, c.bytes)
		}
		if c.failure != "" && row.Failures[c.failure] == 0 || c.failure == "" && len(row.Failures) > 0 {
			t.Errorf("%s: failures %v, want %q", c.args, row.Failures, c.failure)
		}
	}
}

func TestTFTPMistakes(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--file f", "--server"},
		{"--server 127.0.0.1", "--file is needed"},
		{"--server host.example --file f", `--server "host.example"`},
		{"--server 198.51.100.1 --file f", "--i-own-this-network"},
		{"--server 127.0.0.1 --file f --put x", "--put goes with --pattern"},
		{"--server 127.0.0.1 --file f --pattern many", `--pattern "many"`},
		{"--server 127.0.0.1 --file f --pattern 1.5", `--pattern "1.5"`},
		{"--server 127.0.0.1 --file f --expect /nonexistent", "no such file"},
		{"--server 127.0.0.1 --file f --expect /", "no regular file"},
		{"--server 127.0.0.1 --file f --loss 200%", "--loss"},
		{"--server 127.0.0.1 --file f --delay 1ms,x", "--delay"},
		{"--server 127.0.0.1 --file f --slow 1%,2%", "want one value"},
		{"--server 127.0.0.1 --file f --arrival soon", "--arrival"},
		{"--server 127.0.0.1 --file f --arrival poisson:0", "--arrival"},
		{"--server 127.0.0.1 --file f --retry 1s,x", "--retry"},
		{"--server 127.0.0.1 --file f --gap perhaps", "--gap"},
		{"--server 127.0.0.1 --file f --source 127.0.0.1", "--source"},
		{"--server 127.0.0.1 --file f --pattern 1 --clients 60000", "clients 60000"},
		{"--server 127.0.0.1 --file f --pattern 1 --blksize 70000", "blksize 70000"},
		{"--server 127.0.0.1 --file f --require fast", "bound"},
		{"--server 127.0.0.1 --file f --server-pid 999999999", "--server-pid"},
	} {
		if code, _, stderr := runTFTP(strings.Fields(c.args)...); code != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit %d, %s", c.args, code, stderr)
		}
	}
}

func TestQuantities(t *testing.T) {
	for text, want := range map[string]float64{"512": 512, "4MiB": 4 << 20, "1.5MB/s": 1.5e6, "2 kB": 2000, "7B": 7, "1GiB/s": 1 << 30} {
		if got, err := parseQuantity(text); err != nil || got != want {
			t.Errorf("%q: %g, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "x", "4XB", "-1", "NaN", "Inf", "1e300"} {
		if got, err := parseQuantity(bad); err == nil {
			t.Errorf("%q is %g", bad, got)
		}
		if got, err := parseShare(bad); err == nil {
			t.Errorf("share %q is %g", bad, got)
		}
	}
	a, b := time.Duration(1), time.Duration(1)
	if err := pair("delay", "3ms", time.ParseDuration, &a, &b); err != nil || a != 3*time.Millisecond || b != a {
		t.Errorf("%v %v %v", a, b, err)
	}
	if err := pair("delay", "1ms,2ms", time.ParseDuration, &a, &b); err != nil || a != time.Millisecond || b != 2*time.Millisecond {
		t.Errorf("%v %v %v", a, b, err)
	}
}
