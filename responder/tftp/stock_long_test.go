//go:build !race

// The race detector makes these take minutes and finds nothing that the shorter
// tests do not pass through as well.

package tftp

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	pin "github.com/pin/tftp/v3"
)

// longCommands download with programs that people use, in blocks of 512 bytes.
func longCommands(host, port, remote, local string) map[string][]string {
	return map[string][]string{
		"tftp-hpa": {"tftp", "-m", "octet", host, port, "-c", "get", remote, local},
		"atftp":    {"atftp", "-g", "-r", remote, "-l", local, host, port},
		"curl":     {"curl", "-sS", "--max-time", "300", "-o", local, fmt.Sprintf("tftp://%s:%s/%s", host, port, remote)},
	}
}

// TestStockClientsRollover goes past block 65,535, where the number on the wire
// starts again with 0: the last block has one byte, and the number 1.
func TestStockClientsRollover(t *testing.T) {
	t.Parallel()
	file := randomFile(65536*512+1, 77)
	want := sha256.Sum256(file)
	b := serve(t, Config{GSO: true, Workers: 2}, map[string][]byte{"long": file})
	for what := range longCommands("", "", "", "") {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			local := filepath.Join(t.TempDir(), "long")
			command := longCommands("127.0.0.1", itoa(b.Port()), "long", local)[what]
			if _, err := exec.LookPath(command[0]); err != nil {
				t.Skipf("needs the program %s", command[0])
			}
			if out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", strings.Join(command, " "), err, out)
			}
			got, err := os.ReadFile(local)
			if err != nil || sha256.Sum256(got) != want {
				t.Errorf("%v, %d bytes arrived of %d, or wrong ones", err, len(got), len(file))
			}
		})
	}
	t.Run("pin/tftp", func(t *testing.T) {
		t.Parallel()
		c, err := pin.NewClient(b.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.Receive("long", "octet")
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if _, err := r.WriteTo(&got); err != nil || sha256.Sum256(got.Bytes()) != want {
			t.Errorf("%v, %d bytes arrived of %d, or wrong ones", err, got.Len(), len(file))
		}
	})
}

// TestCurlPast4GiB has more than 65,536 blocks of the largest size, and offsets
// of more than 32 bits.
func TestCurlPast4GiB(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs the program curl")
	}
	b := serve(t, Config{GSO: true}, nil)
	const size = 4<<30 + 2<<20 + 11
	f, err := os.Create(filepath.Join(b.dir, "huge"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := &markedZeros{marks: map[int64]byte{}}
	for i, off := range []int64{0, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 65536*65464 - 1, 65536 * 65464, size - 1} {
		z.marks[off] = byte(i + 1)
		if _, err := f.WriteAt([]byte{byte(i + 1)}, off); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "curl", "-sS", "--max-time", "300", "--tftp-blksize", "65464", "tftp://"+b.addr.String()+"/huge")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, copied := io.CopyBuffer(z, out, make([]byte, 1<<20))
	if err := cmd.Wait(); err != nil || copied != nil || z.at != size || z.wrong != "" || len(z.marks) != 0 {
		t.Errorf("%v: %s: %v: %d bytes, %s, marks missing: %v", err, &complaint, copied, z.at, z.wrong, z.marks)
	}
}
