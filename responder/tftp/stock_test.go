package tftp

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	pin "github.com/pin/tftp/v3"
)

// stockFiles are what stock clients fetch: nothing, less than a block, exact
// multiples of their block sizes, and some size that is none.
var stockFiles = []int{0, 1, 512, 511 * 512, 1428 * 100, 1468 * 64, 1 << 20, 3_000_001}

func stockBed(t *testing.T, cfg Config) *bed {
	files := map[string][]byte{}
	for _, size := range stockFiles {
		files[fmt.Sprintf("Dir/file-%d", size)] = randomFile(size, uint64(size))
	}
	cfg.GSO, cfg.Workers = true, 2
	return serve(t, cfg, files)
}

// TestStockClients downloads with the programs that people use.
func TestStockClients(t *testing.T) { testStockClients(t, Config{}) }

func TestStockClientsSinglePort(t *testing.T) {
	statement(t, "H21", "the programs that people use", func(t *testing.T) { testStockClients(t, Config{SinglePort: true}) })
}

func testStockClients(t *testing.T, cfg Config) {
	t.Parallel()
	b := stockBed(t, cfg)
	port := itoa(b.Port())
	for _, c := range []struct {
		what    string
		command func(host, remote, local string) []string
	}{
		{"tftp-hpa", func(host, remote, local string) []string {
			return []string{"tftp", "-m", "octet", host, port, "-c", "get", remote, local}
		}},
		{"atftp", func(host, remote, local string) []string {
			return []string{"atftp", "-g", "-r", remote, "-l", local, host, port}
		}},
		{"atftp, options", func(host, remote, local string) []string {
			return []string{"atftp", "--option", "tsize 0", "--option", "blksize 1428", "--option", "timeout 3", "-g", "-r", remote, "-l", local, host, port}
		}},
		{"atftp, window", func(host, remote, local string) []string {
			return []string{"atftp", "--option", "blksize 1468", "--option", "windowsize 16", "-g", "-r", remote, "-l", local, host, port}
		}},
		{"curl", func(host, remote, local string) []string {
			return []string{"curl", "-sS", "--max-time", "60", "-o", local, fmt.Sprintf("tftp://%s/%s", bracketed(host, port), remote)}
		}},
		{"curl, blksize", func(host, remote, local string) []string {
			return []string{"curl", "-sS", "--max-time", "60", "--tftp-blksize", "1468", "-o", local, fmt.Sprintf("tftp://%s/%s", bracketed(host, port), remote)}
		}},
	} {
		for _, host := range []string{"127.0.0.1", "::1"} {
			t.Run(c.what+" "+host, func(t *testing.T) {
				out := t.TempDir()
				for _, size := range stockFiles {
					local := filepath.Join(out, itoa(size))
					command := c.command(host, fmt.Sprintf("dir/FILE-%d", size), local)
					if command[0] == "curl" && size == 0 {
						// curl 7.88 fails on an OACK with tsize=0, from any server.
						command = append(command, "--tftp-no-options")
					}
					if _, err := exec.LookPath(command[0]); err != nil {
						t.Skipf("needs the program %s", command[0])
					}
					if output, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
						t.Fatalf("%s: %v: %s", strings.Join(command, " "), err, output)
					}
					got, err := os.ReadFile(local)
					// curl makes no file when nothing came.
					if err != nil && !(size == 0 && errors.Is(err, os.ErrNotExist)) {
						t.Fatal(err)
					}
					if sha256.Sum256(got) != sha256.Sum256(randomFile(size, uint64(size))) {
						t.Errorf("%d bytes arrived of %d, or wrong ones", len(got), size)
					}
				}
			})
		}
	}
}

func bracketed(host, port string) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}

// TestPinClient downloads with the client of github.com/pin/tftp.
func TestPinClient(t *testing.T) {
	b := stockBed(t, Config{})
	for _, blksize := range []int{0, 1468, 65464} {
		for _, size := range stockFiles {
			c, err := pin.NewClient(b.addr.String())
			if err != nil {
				t.Fatal(err)
			}
			if blksize != 0 {
				c.SetBlockSize(blksize)
			}
			c.RequestTSize(true)
			r, err := c.Receive(fmt.Sprintf(`\Dir\file-%d`, size), "octet")
			if err != nil {
				t.Fatal(err)
			}
			if n, ok := r.(pin.IncomingTransfer).Size(); !ok || n != int64(size) {
				t.Errorf("tsize %d, want %d", n, size)
			}
			var got bytes.Buffer
			if _, err := r.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), randomFile(size, uint64(size))) {
				t.Errorf("blksize %d, %d bytes: %v, got %d", blksize, size, err, got.Len())
			}
		}
	}
	c, err := pin.NewClient(b.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Receive("missing", "octet"); err == nil || !strings.Contains(err.Error(), "file not found") {
		t.Errorf("missing file: %v", err)
	}
	if _, err := c.Send("new", "octet"); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("upload: %v", err)
	}
}

// TestNoPermission runs as somebody whom permissions bind.
func TestNoPermission(t *testing.T) {
	if os.Geteuid() == 0 {
		cmd := exec.Command("/proc/self/exe", "-test.run", "^TestNoPermission$", "-test.v")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		cmd.Dir = "/"
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("--- PASS: TestNoPermission")) {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	statement(t, "I6", "no permission is ERROR 2", func(t *testing.T) {
		b := serve(t, Config{}, map[string][]byte{"secret": []byte("s"), "closed/f": []byte("f"), "open": []byte("o")})
		for _, name := range []string{"secret", "closed"} {
			if err := os.Chmod(filepath.Join(b.dir, name), 0); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Chmod(filepath.Join(b.dir, name), 0o700) })
		}
		for _, name := range []string{"secret", "closed/f"} {
			w := newWire(t, "127.0.0.1:0")
			w.send(b.addr, rrq(name, "octet"))
			w.expectError(codeAccess)
		}
		w := newWire(t, "127.0.0.1:0")
		w.send(b.addr, rrq("open", "octet"))
		w.expect(dataPacket([]byte("o"), 512, 1))
	})
}
