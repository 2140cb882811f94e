package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/xdpxe/xdpxe/responder/config"
)

// TestFileServerConfig has the keys of the file server reach it, those of
// networks with a reload as well, and what it does reach the status.
func TestFileServerConfig(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"boot/f": "line\n", "in/there": "old"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	parse := func(networks string) (*config.Config, error) {
		cfg, err := config.Parse(filepath.Join(dir, "x.yaml"), fmt.Appendf(nil, `root: boot
tftp: {single-port: true, netascii: true, uploads: {dir: in, max-files: 2}, networks: [%s]}
`, networks))
		if err == nil {
			cfg.TFTP.Port = 0 // one that is free
		}
		return cfg, err
	}
	cfg, err := parse("{subnet: 127.0.0.0/8, max-blksize: 1024, max-window: 4}")
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.WarnLevel)
	load := func() (*config.Config, error) { return parse("{subnet: 127.0.0.0/8, max-window: 2}") }
	d, err := newDaemon(t.Context(), cfg, nil, load, zap.New(core), zap.NewAtomicLevel())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.tftp.Serve(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	// ask sends a request and wants an answer that begins so, from the port of requests.
	ask := func(request, want string) net.Conn {
		t.Helper()
		client, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", d.tftp.Port()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		if _, err := client.Write([]byte(request)); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 2000)
		client.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := client.Read(answer)
		if err != nil || !strings.HasPrefix(string(answer[:n]), want) {
			t.Errorf("%q: got %q, %v, want %q", request, answer[:n], err, want)
		}
		return client
	}
	const rrq = "\x00\x01f\x00octet\x00blksize\x001400\x00windowsize\x0016\x00"
	ask(rrq, "\x00\x06blksize\x001024\x00windowsize\x004\x00")
	ask("\x00\x01f\x00netascii\x00", "\x00\x03\x00\x01line\r\n")
	ask("\x00\x02there\x00octet\x00", "\x00\x05\x00\x06")
	ask("\x00\x02new\x00octet\x00", "\x00\x04\x00\x00")
	ask("\x00\x02third\x00octet\x00", "\x00\x05\x00\x03") // max-files

	if err := d.tryReload(ctx); err != nil {
		t.Fatal(err)
	}
	ask(rrq, "\x00\x06blksize\x001400\x00windowsize\x002\x00")
	for _, l := range logs.FilterMessage("takes effect at the next start only").All() {
		t.Errorf("%v", l.ContextMap())
	}
	transfers := d.Transfers(ctx)
	uploads := 0
	for _, x := range transfers {
		if x.Upload {
			uploads++
		}
		if x.Server != fmt.Sprintf("127.0.0.1:%d", d.tftp.Port()) {
			t.Errorf("%+v", x)
		}
	}
	if len(transfers) != 4 || uploads != 1 { // two that wait for ACK 0, netascii, an upload
		t.Errorf("%+v", transfers)
	}
}

func TestFolderOfUploadsMissing(t *testing.T) {
	path := site(t, labYAML+"tftp:\n  uploads:\n    dir: nowhere\n", labFiles...)
	for _, command := range [][]string{{"check", "-c", path}, {"serve", "-c", path}} {
		r := xdpxe(t, command...)
		if r.code != 1 || !strings.Contains(r.stderr, path+":") || !strings.Contains(r.stderr, "tftp.uploads.dir: ") || !strings.Contains(r.stderr, uploadsHint) {
			t.Errorf("%v: %+v", command, r)
		}
	}
}
