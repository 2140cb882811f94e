package e2e

import (
	"crypto/sha256"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/client"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
)

// The daemon is killed while it sends what a deployment for once ends with. The
// next one goes on, knows whose the transfer is, and uses the deployment up; the
// machine boots once and gets nothing more.
func TestOnceSurvivesKill(t *testing.T) {
	labtest.Need(t, false)
	for name, when := range map[string]func(bytes int, last bool) bool{
		"half sent":             func(bytes int, _ bool) bool { return bytes > 80_000 },
		"last block on its way": func(_ int, last bool) bool { return last }, // and not acknowledged yet
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := labtest.Context(t, patience)
			r, root := labtest.Rack(ctx, t, lab.Flat)
			server, err := r.AddBootServer()
			if err != nil {
				t.Fatal(err)
			}
			node, err := r.AddClient("once")
			if err != nil {
				t.Fatal(err)
			}
			mac, err := node.MAC(lab.Iface)
			if err != nil {
				t.Fatal(err)
			}
			d := start(ctx, t, server, lab.DaemonConfig{Root: root, Keep: true, Policy: onlyDeployed, More: storeFile(r.Lab)})
			id := deploy(ctx, t, d, "--mac", mac.String(), "--profile", "lab", "--once")
			var now *lab.Status // of the daemon's second life
			kill := sync.OnceFunc(func() {
				was, err := d.Status(ctx)
				if err == nil {
					err = syscall.Kill(was.PID, syscall.SIGKILL)
				}
				if err != nil {
					t.Fatal(err)
				}
				now = await(ctx, t, d, "the daemon runs again", func(st *lab.Status) bool { return st.PID != was.PID })
			})
			a := asker{client.Client{Node: node, Style: client.EDK2, Arch: archX64}, d}
			a.Received = func(bytes int, last bool) {
				if when(bytes, last) {
					kill()
				}
			}
			out, err := a.Boot(ctx)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(r.Path("root", lab.UEFIProgram))
			if err != nil {
				t.Fatal(err)
			}
			if out.SHA256 != sha256.Sum256(want) {
				t.Errorf("it got %d bytes, want %d and the same content", out.Size, len(want))
			}
			if now == nil || now.TFTP.Restored != 1 || now.TFTP.Lost != 0 {
				t.Errorf("the second life: %+v", now)
			}
			await(ctx, t, d, "the daemon serves again", func(st *lab.Status) bool {
				return len(st.Interfaces) == 1 && st.Interfaces[0].State == "serving"
			})
			if file := a.ask(ctx, t); file != "" {
				t.Errorf("it is answered again, with %q", file)
			}
			awaitState(ctx, t, d, id, "done")
			if run := runOf(ctx, t, d, id); run.File != lab.UEFIProgram || run.Consumed == "" {
				t.Errorf("%+v", run)
			}
		})
	}
}
