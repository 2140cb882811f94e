package e2e

import (
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/client"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
)

// The README's second command: an interface and a directory, and no file. It
// says who gets what, and they do.
func TestServesADirectory(t *testing.T) {
	labtest.Need(t, false)
	ctx := labtest.Context(t, 30*time.Second)
	r, root := labtest.Rack(ctx, t, lab.Flat)
	node, err := r.AddBootServer()
	if err != nil {
		t.Fatal(err)
	}
	// The control socket is where it is by default, but hidden from this machine,
	// which may have a daemon (ip-netns(8) gives each command mounts of its own).
	const control = "/run/xdpxe"
	if err := os.Mkdir(control, 0o755); err == nil {
		t.Cleanup(func() { os.Remove(control) })
	} else if !errors.Is(err, fs.ErrExist) {
		t.Fatal(err)
	}
	p, err := node.Start(lab.Command{
		Name: "xdpxe without a configuration",
		Args: []string{"sh", "-c", `mount -t tmpfs xdpxe-e2e ` + control + ` && exec "$0" "$@"`, binary(t), "serve", "-i", lab.Iface, "--root", root},
	})
	if err != nil {
		t.Fatal(err)
	}
	labtest.ShowOnFailure(t, p)
	for _, want := range []string{
		"serving from " + root + ":", "bios              " + lab.BIOSProgram, "x64-uefi          " + lab.UEFIProgram, "ipxe              " + lab.Script, `"tier": "native"`,
	} {
		if _, err := p.Log.Wait(ctx, want); err != nil {
			t.Fatal(err)
		}
	}
	simulate(ctx, t, r, "uefi", client.EDK2)
	simulate(ctx, t, r, "ipxe", client.IPXE)
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	if code := p.ExitCode(); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
}
