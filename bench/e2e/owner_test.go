package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/client"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
	"github.com/xdpxe/xdpxe/responder/store/etcdtest"
)

// fleet starts boot servers that have an etcd in common, which is on the place of
// the DHCP server, and waits until each knows all others. Each serves a rack's files.
func fleet(ctx context.Context, t *testing.T, r *lab.Rack, root string, n int, policy string) (daemons []*lab.Daemon) {
	t.Helper()
	url := fmt.Sprintf("http://%v:2379", r.DHCP.Addr)
	etcdtest.StartIn(t, r.DHCP.Name(), "--listen-client-urls="+url, "--advertise-client-urls="+url)
	for i := range n {
		node, err := r.AddBootServer()
		if err != nil {
			t.Fatal(err)
		}
		labtest.Polls(t, node)
		daemons = append(daemons, start(ctx, t, node, lab.DaemonConfig{
			Root: root, Policy: policy,
			More: fmt.Sprintf("store: {etcd: {endpoints: [%q]}}\nserver: {name: boot%d}\n", url, i),
		}))
	}
	t.Cleanup(func() { // together: each drains before it ends
		var stopping sync.WaitGroup
		for _, d := range daemons {
			stopping.Go(func() {
				if err := d.Stop(); err != nil {
					t.Error(err)
				}
			})
		}
		stopping.Wait()
	})
	for _, d := range daemons {
		awaitMembers(ctx, t, d, n)
	}
	return daemons
}

func awaitMembers(ctx context.Context, t *testing.T, d *lab.Daemon, n int) {
	t.Helper()
	await(ctx, t, d, fmt.Sprintf("%d members", n), func(st *lab.Status) bool { return len(st.Fleet.Members) == n })
}

// serving returns the daemon that clients fetch files from, and the other one.
func serving(ctx context.Context, t *testing.T, daemons []*lab.Daemon) (owner, other *lab.Daemon) {
	t.Helper()
	for i, d := range daemons {
		st, err := d.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if st.TFTP.Requests > 0 {
			owner, other = d, daemons[1-i]
		}
	}
	if owner == nil {
		t.Fatal("nobody serves files")
	}
	return owner, other
}

// Of two servers with an etcd in common, the one that real firmware has its boot
// program from is killed: the program boots from the other.
func TestOwnerDiesWhileFirmwareBoots(t *testing.T) {
	labtest.Need(t, true)
	t.Parallel()
	ctx := labtest.Context(t, patience)
	r, root := labtest.Rack(ctx, t, lab.Flat)
	daemons := fleet(ctx, t, r, root, 2, onlyDeployed)
	m, err := r.Boot(lab.MachineOptions{Name: "orphan", Firmware: lab.UEFI})
	if err != nil {
		t.Fatal(err)
	}
	labtest.ShowOnFailure(t, m.Process)
	deploy(ctx, t, daemons[0], "--mac", m.MAC.String(), "--profile", "lab")
	if _, err := m.Log.Wait(ctx, lab.OVMFFetched); err != nil {
		t.Fatal(err)
	}
	owner, other := serving(ctx, t, daemons)
	if err := owner.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.WaitScript(ctx); err != nil {
		t.Fatalf("the boot program's script does not run: %v", err)
	}
	if st, err := other.Status(ctx); err != nil || st.Count("answered") == 0 || st.TFTP.Requests == 0 {
		t.Errorf("%v; the other server counts %+v", err, st)
	}
	if err := m.Off(); err != nil {
		t.Error(err)
	}
}

// The owner is killed with the boot program half sent: the machine's boot fails,
// and its next one is the other server's.
func TestOwnerDiesDuringTransfer(t *testing.T) {
	labtest.Need(t, false)
	t.Parallel()
	ctx := labtest.Context(t, patience)
	r, root := labtest.Rack(ctx, t, lab.Flat)
	daemons := fleet(ctx, t, r, root, 2, onlyDeployed)
	node, err := r.AddClient("orphan")
	if err != nil {
		t.Fatal(err)
	}
	mac, err := node.MAC(lab.Iface)
	if err != nil {
		t.Fatal(err)
	}
	deploy(ctx, t, daemons[0], "--mac", mac.String(), "--profile", "lab")
	for _, d := range daemons {
		await(ctx, t, d, "the deployment", func(st *lab.Status) bool { return len(st.Deployments.States) > 0 })
	}
	var killed error
	kill := sync.OnceFunc(func() {
		owner, _ := serving(ctx, t, daemons)
		killed = owner.Kill()
	})
	c := &client.Client{Node: node, Arch: archX64, Received: func(bytes int, _ bool) {
		if bytes > 20_000 {
			kill()
		}
	}}
	out, err := c.Boot(ctx)
	if err == nil || killed != nil || !strings.Contains(err.Error(), "no answer to block") {
		t.Fatalf("boot: %v, kill: %v", err, killed)
	}
	was := out.BootServer
	if out, err = c.Boot(ctx); err != nil || out.File != lab.UEFIProgram || out.BootServer == was {
		t.Errorf("%v; from %v, then %+v", err, was, out)
	}
}
