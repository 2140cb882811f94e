package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
)

// onlyDeployed answers the machines that something is deployed to.
var onlyDeployed = strings.Replace(lab.ServeEveryone, "default: lab", "default: deployed", 1)

// storeFile is where a lab's only daemon keeps deployments.
func storeFile(l *lab.Lab) string { return fmt.Sprintf("store: {file: %s}\n", l.Path("xdpxe.db")) }

// deploy adds a deployment by the command, and returns its id.
func deploy(ctx context.Context, t *testing.T, d *lab.Daemon, args ...string) string {
	t.Helper()
	out, err := d.Tell(ctx, append([]string{"deploy", "add", "--json"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	var created struct{ Items []struct{ ID string } }
	if err := json.Unmarshal([]byte(out), &created); err != nil || len(created.Items) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	return created.Items[0].ID
}

// run is how far a deployment is.
type run struct{ State, Reason, File, Consumed string }

func runOf(ctx context.Context, t *testing.T, d *lab.Daemon, id string) (r run) {
	t.Helper()
	out, err := d.Tell(ctx, "deploy", "show", "--json", id)
	if err != nil {
		t.Fatal(err)
	}
	shown := struct{ Run *run }{&r}
	if err := json.Unmarshal([]byte(out), &shown); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return r
}

// awaitState waits until a deployment is in a state.
func awaitState(ctx context.Context, t *testing.T, d *lab.Daemon, id, state string) {
	t.Helper()
	for r := runOf(ctx, t, d, id); r.State != state; r = runOf(ctx, t, d, id) {
		if ctx.Err() != nil {
			t.Fatalf("deployment %s is %+v, want %s", id, r, state)
		}
	}
}

// Real firmware that nothing is deployed to goes on to its next boot entry by its
// own time-out. Once something is, it boots, with the deployment's variables in
// its script; and then not again.
func TestFirmwareIsDeployed(t *testing.T) {
	labtest.Need(t, true)
	t.Parallel()
	ctx := labtest.Context(t, 2*patience)
	r, root := labtest.Rack(ctx, t, lab.Flat)
	server, err := r.AddBootServer()
	if err != nil {
		t.Fatal(err)
	}
	const mark = "XDPXE-DEPLOYED"
	script := filepath.Join(root, lab.Script)
	text, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	filled := strings.Replace(string(text), lab.ScriptMark, lab.ScriptMark+"\necho "+mark+" {{.Vars.greeting}} {{.Machine.MAC}}", 1)
	if err := os.WriteFile(script+".tmpl", []byte(filled), 0o644); err != nil {
		t.Fatal(err)
	}
	d := start(ctx, t, server, lab.DaemonConfig{Root: root, Policy: onlyDeployed, More: storeFile(r.Lab)})
	on := func(name string, mac net.HardwareAddr) *lab.Machine {
		m, err := r.Boot(lab.MachineOptions{Name: name, Firmware: lab.UEFI, MAC: mac})
		if err != nil {
			t.Fatal(err)
		}
		labtest.ShowOnFailure(t, m.Process)
		return m
	}
	bootsOn := func(m *lab.Machine) {
		t.Helper()
		if _, err := m.Log.Wait(ctx, lab.OVMFNext); err != nil {
			t.Fatalf("%s does not go on to its next boot entry: %v", m.Name, err)
		}
		if strings.Contains(m.Log.String(), lab.BannerMark) {
			t.Errorf("%s has booted from the network", m.Name)
		}
	}

	mac := net.HardwareAddr{0x52, 0x54, 0, 0xde, 1, 1}
	idle := on("idle", net.HardwareAddr{0x52, 0x54, 0, 0xde, 1, 2})
	id := deploy(ctx, t, d, "--mac", mac.String(), "--profile", "lab", "--once", "--milestone", "file:"+lab.Script, "--var", "greeting=good-morning")
	m := on("once", mac)
	if _, err := m.Log.Wait(ctx, mark+" good-morning "+mac.String()); err != nil {
		t.Fatalf("the script does not run: %v", err)
	}
	if err := m.Off(); err != nil {
		t.Error(err)
	}
	awaitState(ctx, t, d, id, "done")
	st, err := d.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	answered := st.Count("answered")
	again := on("again", mac)
	bootsOn(idle)
	bootsOn(again)
	if st, err = d.Status(ctx); err != nil {
		t.Fatal(err)
	}
	if n := st.Count("answered"); n != answered || st.Count("nothing_deployed") == 0 {
		t.Errorf("%d requests were answered, of which %d when nothing was deployed: %+v", n, n-answered, st.Requests)
	}
	for what, mac := range map[string]net.HardwareAddr{"nothing_deployed": idle.MAC, lab.Script: mac} {
		out, err := d.Tell(ctx, "machines", "show", mac.String())
		if err != nil || !strings.Contains(out, what) {
			t.Errorf("%v, the timeline of %v has no %q:\n%s", err, mac, what, out)
		}
	}
}
