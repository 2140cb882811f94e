package tftp

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// uploadBed takes uploads without tight limits.
func uploadBed(t *testing.T, cfg Config) (b *bed, dir string) {
	t.Helper()
	dir = t.TempDir()
	if cfg.Uploads == nil {
		cfg.Uploads = &Uploads{MaxSize: 1 << 30, MaxFiles: 100, MaxTotal: 1 << 30}
	}
	cfg.Uploads.Dir = dir
	cfg.Netascii = true
	return serve(t, cfg, map[string][]byte{"text": []byte(unixText)}), dir
}

// Line ends of both kinds, and some across the blocks of 512 bytes.
var unixText = "one\ntwo\r\n\rthree" + strings.Repeat("\n", 700) + strings.Repeat("x\n\r", 400) + "the end"

func wrq(words ...string) []byte {
	p := rrq(words...)
	p[1] = opWRQ
	return p
}

func run(t *testing.T, command ...string) {
	t.Helper()
	if _, err := exec.LookPath(command[0]); err != nil {
		t.Skipf("needs the program %s", command[0])
	}
	out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput()
	// tftp-hpa exits 0 whatever happens, and says so.
	if err != nil || bytes.Contains(out, []byte("Error")) {
		t.Fatalf("%s: %v: %s", strings.Join(command, " "), err, out)
	}
}

func TestStockUploads(t *testing.T) {
	for _, single := range []bool{false, true} {
		b, dir := uploadBed(t, Config{SinglePort: single, Workers: 2})
		port := itoa(b.Port())
		for _, host := range []string{"127.0.0.1", "::1"} {
			url := func(name string) string { return fmt.Sprintf("tftp://%s/%s", bracketed(host, port), name) }
			for what, put := range map[string]func(local, remote string) []string{
				"tftp-hpa": func(local, remote string) []string {
					return []string{"tftp", "-m", "octet", host, port, "-c", "put", local, remote}
				},
				"atftp": func(local, remote string) []string {
					return []string{"atftp", "-p", "-l", local, "-r", remote, host, port}
				},
				"atftp-blksize": func(local, remote string) []string {
					return []string{"atftp", "--option", "blksize 1428", "--option", "tsize 0", "-p", "-l", local, "-r", remote, host, port}
				},
				"curl": func(local, remote string) []string {
					return []string{"curl", "-sS", "--max-time", "60", "-T", local, url(remote)}
				},
				"curl-blksize": func(local, remote string) []string {
					return []string{"curl", "-sS", "--max-time", "60", "--tftp-blksize", "1468", "-T", local, url(remote)}
				},
			} {
				t.Run(fmt.Sprintf("%s to %s, single port %v", what, host, single), func(t *testing.T) {
					t.Parallel()
					for _, size := range []int{1, 512, 1428 * 3, 300_001} {
						name := fmt.Sprintf("%s-%s-%d", what, strings.ReplaceAll(host, ":", "_"), size)
						local := filepath.Join(t.TempDir(), name)
						if err := os.WriteFile(local, randomFile(size, uint64(size)), 0o644); err != nil {
							t.Fatal(err)
						}
						run(t, put(local, name)...)
						got, err := os.ReadFile(filepath.Join(dir, name))
						if err != nil || !bytes.Equal(got, randomFile(size, uint64(size))) {
							t.Errorf("%d bytes: %v, %d bytes arrived", size, err, len(got))
						}
					}
				})
			}
			t.Run(fmt.Sprintf("netascii both ways with %s, single port %v", host, single), func(t *testing.T) {
				t.Parallel()
				local := filepath.Join(t.TempDir(), "text")
				if err := os.WriteFile(local, []byte(unixText), 0o644); err != nil {
					t.Fatal(err)
				}
				name := "text-" + strings.ReplaceAll(host, ":", "_")
				run(t, "tftp", "-m", "netascii", host, port, "-c", "put", local, name)
				got, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil || string(got) != unixText {
					t.Errorf("%v, %q arrived", err, got)
				}
				run(t, "tftp", "-m", "netascii", host, port, "-c", "get", "text", local)
				if got, err := os.ReadFile(local); err != nil || string(got) != unixText {
					t.Errorf("%v, %q came", err, got)
				}
			})
		}
	}
}
