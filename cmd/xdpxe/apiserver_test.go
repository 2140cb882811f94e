package main

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/xdpxe/xdpxe/cmd/internal/fault"
	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/control"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/fleet"
	"github.com/xdpxe/xdpxe/responder/history"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/store"
)

// office is a daemon with a store, as far as operators ask it: the API on a
// control socket, over a catalogue in a bbolt file. Its clock stands at start.
type office struct {
	socket string
	cat    *deploy.Catalogue
	store  *store.Bolt
	stop   func() // ends it
	past   *history.History
	joined chan struct{} // closed when somebody follows events
}

// newOffice runs one; edit changes what the API is made of.
func newOffice(t *testing.T, edit func(*api.Options)) *office {
	t.Helper()
	dir := t.TempDir()
	s, err := store.OpenBolt(t.Context(), filepath.Join(dir, "xdpxe.db"))
	if err != nil {
		t.Fatal(err)
	}
	o := &office{
		socket: filepath.Join(dir, "c.sock"), store: s, cat: deploy.New(deploy.Config{Store: s}),
		past: history.New(history.Config{}), joined: make(chan struct{}),
	}
	joined := sync.OnceFunc(func() { close(o.joined) })
	opts := api.Options{
		Catalogue: o.cat,
		Profiles:  func() []api.Profile { return []api.Profile{{Name: "linux"}, {Name: "rescue"}} },
		Self: func() fleet.Member {
			return fleet.Member{Name: "boot1", Version: "v1.2.3", Addresses: []string{"198.51.100.2"}, Since: start.Add(-time.Hour)}
		},
		History: past{o.past, joined},
		Explain: explainDeployed,
		Now:     func() time.Time { return start },
	}
	if edit != nil {
		edit(&opts)
	}
	c, err := control.Listen(o.socket, control.Options{Source: &pretender{}, Handler: api.New(opts), Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		if err := o.cat.Run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("catalogue: %v", err)
		}
	})
	work.Go(func() {
		if err := c.Serve(ctx); err != nil {
			t.Error(err)
		}
	})
	o.stop = sync.OnceFunc(func() {
		cancel()
		work.Wait()
		s.Close()
	})
	t.Cleanup(o.stop)
	<-o.cat.Ready()
	return o
}

// past is a history with one timeline for all machines.
type past struct {
	*history.History
	joined func()
}

func (past) Machine(id deploy.Identity) []api.Entry { return timeline(id) }

func (p past) Subscribe(only deploy.Identity) (*history.Subscription, func()) {
	defer p.joined()
	return p.History.Subscribe(only)
}

// ignored has a machine ask in vain.
func (o *office) ignored(t *testing.T, machine string, before time.Duration) {
	t.Helper()
	e := responder.Event{Time: start.Add(-before), Iface: "eth0", Tier: "native", Stage: dhcp.StageDiscover, Reason: packet.NothingDeployed, Rule: "racks"}
	id := identity(t, machine)
	e.MACLen = uint8(id.Copy(e.MAC[:]))
	o.past.Observe(&e, nil)
}

// run is one command of an operator whose clock stands at start.
func (o *office) run(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	return operator(t, stdin, append(args, "--socket", o.socket)...)
}

// ok is run of a command that is to succeed, and returns what it prints.
func (o *office) ok(t *testing.T, args ...string) string {
	t.Helper()
	r := o.run(t, "", args...)
	if r.code != fault.Fine || r.stderr != "" {
		t.Fatalf("xdpxe %s: %+v", strings.Join(args, " "), r)
	}
	return strings.ReplaceAll(r.stdout, o.socket, "SOCKET")
}

// operator is one command line in this process, at start.
func operator(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	root := newRootCommand(func() time.Time { return start })
	root.SetArgs(args)
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	err := root.ExecuteContext(ctx)
	printError(&stderr, err)
	return result{stdout.String(), stderr.String(), fault.Code(err)}
}

func identity(t *testing.T, text string) deploy.Identity {
	t.Helper()
	id, err := deploy.ParseIdentity(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// act has something happen to a machine's deployment, so long before start.
func (o *office) act(t *testing.T, id, machine string, before time.Duration, e deploy.Event) {
	t.Helper()
	m := identity(t, machine)
	e.Address, e.Server = m, "boot1"
	// Act makes all events durable; the daemon notes most of these.
	if err := o.cat.Act(t.Context(), deploy.RunID{ID: id, Machine: m}, e, start.Add(-before)); err != nil {
		t.Fatal(err)
	}
}

// deploy creates deployments so long before start.
func (o *office) deploy(t *testing.T, before time.Duration, ds ...deploy.Deployment) {
	t.Helper()
	created, err := o.cat.Create(t.Context(), ds, start.Add(-before))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range created {
		if c.Err != nil {
			t.Fatal(c.Err)
		}
	}
}

const (
	web1   = "52:54:00:12:34:56"
	db1    = "52:54:00:12:34:57"
	lab3   = "52:54:00:00:00:03"
	byUUID = "4c4c4544-0044-4810-8031-b4c04f4a4e31"
)

// busyOffice has something of everything.
func busyOffice(t *testing.T) *office {
	o := newOffice(t, nil)
	mac := func(text string) deploy.Target { return deploy.Target{MAC: identity(t, text)} }
	o.ok(t, "machines", "describe", web1, "--name", "web1", "--note", "first rack")
	o.ok(t, "groups", "add", "rack7", web1, db1, "--note", "the new ones")
	o.deploy(t, 26*time.Hour,
		deploy.Deployment{ID: "old", Target: mac(web1), Profile: "rescue", Once: true},
		deploy.Deployment{ID: "wrong", Target: mac(db1), Profile: "linux", By: "root"})
	o.deploy(t, 3*time.Hour,
		deploy.Deployment{ID: "install-web1", Target: mac(web1), Profile: "linux", Once: true, By: "alice", Note: "a new disk",
			Milestone: deploy.Milestone{On: deploy.OnFile, File: "linux/initrd.img"}, Variables: map[string]string{"hostname": "web1", "disk": "/dev/sda"},
			NotAfter: start.Add(21 * time.Hour)},
		deploy.Deployment{ID: "rack7-rescue", Target: deploy.Target{Group: "rack7"}, Profile: "rescue"},
		deploy.Deployment{ID: "tonight", Target: deploy.Target{UUID: identity(t, byUUID)}, Profile: "linux", Once: true, NotBefore: start.Add(10 * time.Hour), Milestone: deploy.Milestone{On: deploy.OnCallback}})
	o.act(t, "old", web1, 25*time.Hour, deploy.Event{Kind: deploy.Asked})
	o.act(t, "old", web1, 25*time.Hour, deploy.Event{Kind: deploy.Called, Message: "installed"})
	if err := o.cat.Cancel(t.Context(), "wrong", 0, "root", "wrong machine", start.Add(-24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	o.act(t, "install-web1", web1, time.Minute, deploy.Event{Kind: deploy.Asked})
	o.act(t, "install-web1", web1, 50*time.Second, deploy.Event{Kind: deploy.Began, File: "linux/vmlinuz", NBP: true, Size: 12 << 20})
	o.act(t, "install-web1", web1, 40*time.Second, deploy.Event{Kind: deploy.Moved, File: "linux/vmlinuz", Sent: 6 << 20, Size: 12 << 20})
	o.act(t, "rack7-rescue", db1, 2*time.Minute, deploy.Event{Kind: deploy.Asked})
	return o
}

// hold has an unknown machine asked twice, and waits until it is recorded.
func (o *office) hold(t *testing.T, machine string) {
	t.Helper()
	s := deploy.Sighting{Client: deploy.Client{MAC: identity(t, machine).Bytes(), UUID: identity(t, byUUID).Bytes()}, Arch: "x64-uefi",
		VendorClass: []byte("PXEClient:Arch:00007:UNDI:003016"), Relay: netip.MustParseAddr("203.0.113.1"), CircuitID: []byte("rack7\x1b[2J"), Hold: true}
	o.cat.See(s, start.Add(-time.Hour))
	o.cat.See(s, start.Add(-5*time.Minute))
	for deadline := time.Now().Add(30 * time.Second); ; {
		if _, ok := o.cat.Snapshot().Machine(identity(t, machine)); ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("machine %s is not recorded", machine)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// timeline is what the daemon remembers of each machine.
func timeline(deploy.Identity) []api.Entry {
	at := func(before time.Duration) time.Time { return start.Add(-before) }
	return []api.Entry{
		{Time: at(26 * time.Hour), Last: at(25 * time.Hour), Count: 12, Kind: api.KindRequest, Stage: "discover", Iface: "eth0", Tier: "native", Reason: "nothing_deployed", Rule: "racks"},
		{Time: at(time.Minute), Last: at(time.Minute), Count: 1, Kind: api.KindRequest, Stage: "discover", Iface: "eth0", Tier: "native", Reason: "answered", Rule: "racks",
			Profile: "linux", Deployment: "install-web1", File: "linux/shimx64.efi"},
		{Time: at(time.Minute), Last: at(time.Minute), Count: 1, Kind: api.KindDeployment, Deployment: "install-web1", Outcome: "offered"},
		{Time: at(50 * time.Second), Last: at(48 * time.Second), Count: 1, Kind: api.KindTransfer, File: "linux/shimx64.efi", Bytes: 3 << 20, Size: 3 << 20, Outcome: "complete", Deployment: "install-web1", Server: "boot1"},
		{Time: at(45 * time.Second), Last: at(45 * time.Second), Count: 1, Kind: api.KindRequest, Stage: "discover", Iface: "eth0", Tier: "native", Arch: "x64-uefi", IPXE: true,
			Relay: netip.MustParseAddr("203.0.113.1"), Reason: "answered", Rule: "racks", Profile: "linux", File: "boot.ipxe"},
		{Time: at(44 * time.Second), Last: at(42 * time.Second), Count: 1, Kind: api.KindTransfer, File: "linux/initrd.img", Bytes: 1 << 20, Size: 40 << 20, Outcome: "timed_out", Detail: "the client is silent", Server: "boot1"},
		{Time: at(40 * time.Second), Last: at(40 * time.Second), Count: 1, Kind: api.KindNote, Detail: "grub.cfg.tmpl:3:7: no variable \"host\"", File: "grub.cfg"},
	}
}

// explainDeployed is a daemon's chain of reasons.
func explainDeployed(q api.Query) (*api.Explanation, error) {
	if q.MAC != web1 {
		return &api.Explanation{Reason: "machine_held", Rule: "racks", Steps: []api.Step{
			{Subject: "rule racks", OK: true, Detail: "matches: boots what is deployed to it"}, {Subject: "machine " + q.MAC, Detail: "held: waits for an operator's approval"}}}, nil
	}
	return &api.Explanation{Answered: true, Reason: "answered", Rule: "racks", Profile: "linux", Deployment: "install-web1", File: "linux/shimx64.efi",
		Steps: []api.Step{{Subject: "rule racks", OK: true, Detail: "matches: boots what is deployed to it"}, {Subject: "deployment install-web1", OK: true, Detail: "given"}}}, nil
}
