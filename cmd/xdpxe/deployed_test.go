package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/xdpxe/xdpxe/cmd/internal/fault"
	"github.com/xdpxe/xdpxe/responder/control"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/store/etcdtest"
)

const deployedYAML = `interfaces: [v0]
root: DIR
control: DIR/run/control.sock
bpffs: ""
policy:
  default: deployed
  rules: [{name: lab, match: {mac: ["52:54:00:aa:*"]}, boot: all}]
profiles: {all: {files: {x64-uefi: a.efi}}}
`

// state is how far a deployment is.
func (d *daemonProcess) state(t *testing.T, id string) deploy.State {
	t.Helper()
	var st deploy.Status
	if err := json.Unmarshal([]byte(d.operate(t, "deploy", "show", id, "--json")), &st); err != nil {
		t.Fatal(err)
	}
	return st.Run.State
}

// A machine is answered from the moment that something is deployed to it, until
// that is used up, whoever answers: a socket, a worker, or the kernel by itself.
// Both outlive the daemon.
func TestDeployed(t *testing.T) {
	for tier, datapath := range map[string]string{"socket": "socket", "native": "auto"} {
		t.Run(tier, func(t *testing.T) {
			ns := newNamespace(t)
			c := newBootClient(t, ns)
			site := newDaemonSite(t, ns, deployedYAML+"datapath: "+datapath+"\nstore: {file: DIR/lib/xdpxe.db}\n")
			d := site.start(t)
			serving := func(st *control.Status) bool { return st.Interfaces[0].Tier == tier && st.Interfaces[0].Serving() }
			d.awaitStatus(t, "serving by "+tier, serving)
			kernel := func(reason string) {
				t.Helper()
				if tier != "socket" {
					c.inKernel(t, d, web1, reason)
				}
			}

			c.ignored(t, d, web1, "nothing_deployed", "a stranger")
			d.operate(t, "machines", "describe", web1, "--name", "web1")
			c.ignored(t, d, web1, "nothing_deployed", "before")
			kernel("nothing_deployed")
			d.operate(t, "deploy", "add", "--id", "first", "--mac", web1, "--profile", "all", "--once")
			c.answered(t, d, web1, "deployed")
			kernel("answered")
			if _, err := c.fetch(t, "a.efi"); err == nil || !strings.Contains(err.Error(), "not known") {
				t.Errorf("a stranger fetches what is used up by that: %v", err)
			}
			c.lease(t, d, web1)
			if content, err := c.fetch(t, "a.efi"); err != nil || content != "x" {
				t.Fatalf("%q, %v", content, err)
			}
			d.awaitStatus(t, "done", func(st *control.Status) bool { return d.state(t, "first") == deploy.Done })
			c.ignored(t, d, web1, "nothing_deployed", "used up")

			d.operate(t, "deploy", "add", "--id", "again", "--mac", web1, "--profile", "all", "--once")
			c.answered(t, d, web1, "deployed once more")
			c.lease(t, d, web1)
			d.Process.Kill()
			d.Wait()
			d = site.start(t)
			d.awaitStatus(t, "serving again", serving)
			// It need not ask again: the store knows what was deployed, the table of bindings who has the address.
			if content, err := c.fetch(t, "a.efi"); err != nil || content != "x" {
				t.Fatalf("after kill -9: %q, %v", content, err)
			}
			d.awaitStatus(t, "done", func(st *control.Status) bool { return d.state(t, "again") == deploy.Done })
			c.ignored(t, d, web1, "nothing_deployed", "used up twice")
			d.operate(t, "deploy", "add", "--mac", web1, "--profile", "all")
			c.answered(t, d, web1, "standing")

			d.Process.Signal(syscall.SIGUSR2)
			if err := d.Wait(); err != nil {
				t.Fatal(err)
			}
			d = site.start(t)
			d.awaitStatus(t, "serving as a successor", serving)
			c.answered(t, d, web1, "standing, to a successor")
			if out := d.operate(t, "explain", "--mac", web1, "--arch", "x64-uefi"); !strings.Contains(out, `=> file "a.efi"`) {
				t.Errorf("explain: %s", out)
			}
			if out := d.operate(t, "machines", "show", web1); !strings.Contains(out, "web1") || !strings.Contains(out, "answered") {
				t.Errorf("machines show: %s", out)
			}
			d.Process.Signal(syscall.SIGTERM)
			if err := d.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A daemon starts without its etcd. Other rules hold meanwhile, deployments fail
// closed, and all of it is said; when the etcd is there, so are the deployments.
// One that goes later takes away only what must not be given twice.
func TestDeployedWithoutEtcd(t *testing.T) {
	ns := newNamespace(t)
	etcd := etcdtest.StartIn(t, string(ns))
	etcd.Kill()
	c := newBootClient(t, ns)
	site := newDaemonSite(t, ns, deployedYAML+"datapath: socket\nserver: {name: boot1}\nstore: {etcd: {endpoints: ["+etcd.URL+"], timeout: 500ms}}\n")
	d := site.start(t)
	const lab = "52:54:00:aa:00:01"
	c.answered(t, d, lab, "by a rule without deployments")
	c.ignored(t, d, web1, "nothing_deployed", "not read")
	st := d.awaitStatus(t, "without its store", func(st *control.Status) bool { return st.Store.Error != "" && st.Fleet.Error != "" })
	if s := st.Store; s.Loaded || s.Available || s.Kind != "etcd" || st.Fleet.Member {
		t.Errorf("%+v, %+v", s, st.Fleet)
	}
	socket := filepath.Join(d.dir, "run", "control.sock")
	add := func(args ...string) result {
		return operator(t, "", append([]string{"deploy", "add", "--mac", web1, "--profile", "all", "--socket", socket}, args...)...)
	}
	if r := add(); r.code != fault.MachineCode || !strings.Contains(r.stderr, "the store has not been read yet") {
		t.Errorf("%+v", r)
	}

	etcd.Restart()
	d.awaitStatus(t, "with its store", func(st *control.Status) bool { return st.Store.Loaded && st.Store.Available && st.Fleet.Member })
	d.operate(t, "deploy", "add", "--mac", web1, "--profile", "all", "--id", "standing")
	c.answered(t, d, web1, "deployed")
	d.operate(t, "deploy", "add", "--mac", db1, "--profile", "all", "--once")
	c.answered(t, d, db1, "deployed once")

	etcd.Kill()
	d.awaitStatus(t, "noticing that it is gone", func(st *control.Status) bool { return !st.Store.Available && st.Store.Loaded })
	c.answered(t, d, web1, "standing, without the store")
	c.ignored(t, d, db1, "nothing_deployed", "once, without the store")
	if r := add("--id", "other"); r.code != fault.MachineCode || !strings.Contains(r.stderr, "store unavailable") {
		t.Errorf("%+v", r)
	}

	etcd.Restart()
	d.awaitStatus(t, "with its store again", func(st *control.Status) bool { return st.Store.Available && st.Fleet.Member && st.Fleet.Error == "" })
	c.answered(t, d, db1, "once, with the store")
	d.Process.Signal(syscall.SIGTERM)
	if err := d.Wait(); err != nil {
		t.Error(err)
	}
}
