package loader

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf/link"
)

// Somebody's program is attached, and the load of ours failed half way, or that
// directory is another's: it is said, and nothing there is touched.
func TestExternalWithoutItsMaps(t *testing.T) {
	r := newRig(t, 1)
	o := Options{Iface: "near", External: true, Stale: DefaultStale, PinDir: bpffs(t), RunDir: t.TempDir()}
	dir := filepath.Join(o.PinDir, "near")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: foreign(t, "firewall"), Interface: r.near.Index, Flags: link.XDPDriverMode})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d, err := Open(o)
	if err == nil {
		d.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "xdp-loader load") {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
}
