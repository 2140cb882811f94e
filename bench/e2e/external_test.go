package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/gun"
	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
)

// The operator loads the object with xdp-loader. Daemons come and go; the
// program is the operator's, and so is its end.
func TestOperatorLoadsTheObject(t *testing.T) {
	labtest.Need(t, false)
	if _, err := exec.LookPath("xdp-loader"); err != nil {
		t.Skip("needs xdp-loader (xdp-tools)")
	}
	t.Parallel()
	ctx := labtest.Context(t, patience)
	r, server, root := labtest.BootServer(ctx, t)
	bpffs, err := r.MountBPF(server.Role)
	if err != nil {
		t.Fatal(err)
	}
	object := r.Path("xdpxe.o")
	if err := server.Run(binary(t), "object", "-o", object); err != nil {
		t.Fatal(err)
	}
	loader := func(args ...string) {
		t.Helper()
		// libxdp's own pins, of its dispatcher, go there, too.
		if err := server.Run(append([]string{"env", "LIBXDP_BPFFS=" + bpffs, "xdp-loader"}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
	attached := func() bool {
		t.Helper()
		out, err := exec.CommandContext(ctx, "ip", "-n", server.Name(), "link", "show", lab.Iface).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(out), "prog/xdp")
	}
	maps := filepath.Join(bpffs, lab.Iface)
	load := func() { loader("load", "-m", "native", "-n", "xdpxe", "-p", maps, lab.Iface, object) }
	load()
	d := start(ctx, t, server, lab.DaemonConfig{Root: root, Attach: "external"})
	g := newGun(ctx, t, r, server, gun.Both)
	answers := func() {
		t.Helper()
		o, err := g.Run(ctx, gun.Fixed(handOverRate(t), time.Second/2))
		if err != nil || o.Sent == 0 || o.Answered != o.Sent || o.Duplicates != 0 {
			t.Errorf("%v, %v", o, err)
		}
	}
	answers()
	st, err := d.Status(ctx)
	if err != nil || len(st.Interfaces) != 1 || st.Interfaces[0].Tier != "native" || st.Interfaces[0].Attach != "native" {
		t.Errorf("%+v, %v", st, err)
	}
	if n := st.Count("answered"); n == 0 {
		t.Error("it was not this daemon that answered")
	}
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	if !attached() {
		t.Error("the daemon removed the operator's program")
	}
	if err := d.Restart(ctx, binary(t), nil); err != nil {
		t.Fatal(err)
	}
	answers()

	// Without the program it does not serve, and says what to do, until it is loaded again.
	loader("unload", lab.Iface, "-a")
	await(ctx, t, d, "not served", func(st *lab.Status) bool {
		return strings.Contains(st.Interfaces[0].State, "xdp-loader load")
	})
	if err := os.RemoveAll(maps); err != nil {
		t.Fatal(err)
	}
	load()
	await(ctx, t, d, "served again", func(st *lab.Status) bool { return st.Interfaces[0].State == "serving" })
	answers()
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	loader("unload", lab.Iface, "-a")
	if err := os.RemoveAll(maps); err != nil {
		t.Fatal(err)
	}
}
