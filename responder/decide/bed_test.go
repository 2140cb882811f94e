package decide

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
	"github.com/xdpxe/xdpxe/responder/store"
)

// patience is how long something may take that a busy machine is slow at.
const patience = 30 * time.Second

// bed is a catalogue in a file of its own. Its clock stands still.
type bed struct {
	*deploy.Catalogue
	t    testing.TB
	now  time.Time
	hook func() // called as Config.Changed is; set before anything changes
}

func newBed(t testing.TB) *bed {
	t.Helper()
	file, err := store.OpenBolt(t.Context(), filepath.Join(t.TempDir(), "xdpxe.db"))
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{t: t, now: time.Now().Round(0), hook: func() {}}
	b.Catalogue = deploy.New(deploy.Config{Store: file, Limits: deploy.Limits{NewMachines: 1e6}, Changed: func() { b.hook() }})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("catalogue: %v", err)
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	})
	select {
	case <-b.Ready():
	case <-time.After(patience):
		t.Fatal("the store is not read")
	}
	return b
}

func (b *bed) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// deploy creates deployments.
func (b *bed) deploy(ds ...deploy.Deployment) {
	b.t.Helper()
	made, err := b.Create(b.t.Context(), ds, b.now)
	b.ok(err)
	for _, m := range made {
		b.ok(m.Err)
	}
}

// consume uses a once-deployment up.
func (b *bed) consume(id string, mac []byte) {
	b.t.Helper()
	who := deploy.HardwareIdentity(mac)
	b.ok(b.Act(b.t.Context(), deploy.RunID{ID: id, Machine: who}, deploy.Event{Kind: deploy.LastBlock, Address: who, Server: "boot1", File: "a.efi", NBP: true, Claim: "1"}, b.now))
}

// await waits until the catalogue says that of a machine.
func (b *bed) await(mac []byte, want deploy.Why) {
	b.t.Helper()
	b.until(func() bool { return b.Snapshot().Find(deploy.Client{MAC: mac}, b.now).Why == want })
}

// until waits for what the catalogue does in the background.
func (b *bed) until(done func() bool) {
	b.t.Helper()
	end, look := time.After(patience), time.NewTicker(5*time.Millisecond)
	defer look.Stop()
	for !done() {
		select {
		case <-look.C:
		case <-end:
			b.t.Fatal("it does not come to that")
		}
	}
}

func mac(n byte) []byte { return []byte{0x52, 0x54, 0, 0, 0, n} }

// x64 is the DISCOVER of a UEFI machine.
func x64(mac []byte, now time.Time) *policy.Machine {
	return kind(mac, now, policy.ArchX64UEFI)
}

func kind(mac []byte, now time.Time, arch policy.Arch) *policy.Machine {
	m := &policy.Machine{MAC: mac, NumArches: 1, Now: now, Discover: true, VendorClass: []byte("PXEClient")}
	m.Arches[0] = arch
	return m
}

// everywhere is where clients on port 4011 may be.
var everywhere = netip.PrefixFrom(netip.IPv4Unspecified(), 0)

var profiles = map[string]policy.Profile{
	"linux": {Files: map[string]string{"x64-uefi": "linux.efi", "bios": "linux.0", "ipxe": "linux.ipxe", "x64-uefi-http": "http://192.0.2.1/linux.efi"}},
	"winpe": {Files: map[string]string{"x64-uefi": "winpe.efi"}},
}

// local has a way to the disk for all families.
var local = &policy.LocalFiles{BIOS: "exit.0", UEFI: "exit.efi", IPXE: "http://192.0.2.1/exit.ipxe"}

func compile(t testing.TB, spec policy.Spec) *policy.Snapshot {
	t.Helper()
	if spec.Profiles == nil {
		spec.Profiles = profiles
	}
	s, err := policy.Compile(spec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// said is a decision as the tables have it: the file, or else the reason; "~"
// in front of it if it is not cacheable.
func said(d policy.Decision) string {
	text := d.File
	if d.Reason != packet.Answered {
		text = d.Reason.String()
	}
	if !d.Cacheable {
		text = "~" + text
	}
	return text
}
