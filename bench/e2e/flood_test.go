package e2e

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/bench/flood"
	"github.com/xdpxe/xdpxe/bench/lab"
	"github.com/xdpxe/xdpxe/bench/lab/client"
	"github.com/xdpxe/xdpxe/bench/lab/labtest"
	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/bench/xdp"
)

// Beside a flood, whatever it is made of, clients have their OFFER by their
// second DISCOVER and get their boot file; the guard says whose the flood is.
// bench/flood/figure floods with 500,000 frames a second on cores of its own.
func TestFlood(t *testing.T) {
	labtest.Need(t, false)
	ctx := labtest.Context(t, patience)
	r, root := labtest.Rack(ctx, t, lab.Flat)
	server, err := r.AddBootServer()
	if err != nil {
		t.Fatal(err)
	}
	// So little that a flood of 20,000 a second, which CI's machines can make, is far above it.
	const guard = "{requests: {rate: 200, burst: 400}, broadcasts: {rate: 200, burst: 400}, tftp: {rate: 200, burst: 400, known: 50}}"
	d := start(ctx, t, server, lab.DaemonConfig{Deliver: "steal", Root: root, Guard: guard})
	checkTier(ctx, t, d, "native", "steal")
	attacker, err := r.AddClient("attacker")
	if err != nil {
		t.Fatal(err)
	}
	// Live frames into a veth vanish unless its peer takes packets by NAPI.
	if err := r.Access.Run("ethtool", "-K", attacker.Port, "gro", "on"); err != nil {
		t.Fatal(err)
	}
	honest, err := r.AddClient("honest")
	if err != nil {
		t.Fatal(err)
	}
	mac, err := server.MAC(lab.Iface)
	if err != nil {
		t.Fatal(err)
	}
	aim := flood.Aim{Server: server.Addr, ServerMAC: [6]byte(mac), MAC: [6]byte{0x52, 0x54, 0, 0xba, 0xd0, 1}, File: lab.UEFIProgram}
	for i, c := range []struct {
		kind   flood.Kind
		reason string // empty: nothing is refused
	}{{flood.Discover, "guard_broadcasts"}, {flood.Relayed, "guard_requests"}, {flood.RRQ, "guard_tftp"}, {flood.Garbage, "guard_stray"}, {flood.Noise, ""}} {
		t.Run(c.kind.String(), func(t *testing.T) {
			var f *xdp.Flood
			if err := attacker.Do(func() (err error) { f, err = flood.Open(lab.Iface, c.kind, &aim); return err }); err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var p port.Port
			if err := honest.Do(func() (err error) {
				p, err = port.Open(port.Options{Interface: lab.Iface, Kind: port.Packet})
				return err
			}); err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			// What the kernel answers to one client alone is not refused.
			felt := func() uint64 { r := refusals(ctx, t, d); return r[c.reason] + r["answered"] }
			before := felt()
			flooding, stop := context.WithCancel(ctx)
			done := make(chan error, 1)
			go func() {
				_, err := f.Fire(flooding, 20_000, patience, -1)
				done <- err
			}()
			for c.reason != "" && felt() == before { // until it has begun
				if ctx.Err() != nil {
					t.Fatalf("nothing is refused for %s", c.reason)
				}
				time.Sleep(10 * time.Millisecond)
			}
			h := flood.Honest{Clients: 100, Gap: 5 * time.Millisecond, Wait: time.Second, Last: 10 * time.Second, First: dhcpc.Identity(1000 * (i + 1))}
			a, err := h.Ask(ctx, p)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", a)
			if a.Share() < 0.99 {
				t.Errorf("%+v: less than 99 %% have an OFFER by the second DISCOVER", a)
			}
			if c.kind == flood.RRQ {
				simulate(ctx, t, r, "firmware", client.EDK2)
			}
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	if _, err := d.Log.Wait(ctx, "the guard refuses packets"); err != nil {
		t.Errorf("the log does not say whose flood it was: %v", err)
	}
	checkGuardOff(ctx, t, d, attacker, &aim)
}

// checkGuardOff switches the guard off by a reload: the same flood is then let
// through, and the interface is not opened anew.
func checkGuardOff(ctx context.Context, t *testing.T, d *lab.Daemon, attacker *lab.Node, aim *flood.Aim) {
	t.Helper()
	config, err := os.ReadFile(d.Config)
	if err != nil {
		t.Fatal(err)
	}
	off := strings.Replace(string(config), "guard: {", "guard: {enabled: false, ", 1)
	if err := os.WriteFile(d.Config, []byte(off), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Log.Wait(ctx, "configuration reloaded"); err != nil {
		t.Fatal(err)
	}
	var f *xdp.Flood
	if err := attacker.Do(func() (err error) { f, err = flood.Open(lab.Iface, flood.Relayed, aim); return err }); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before := refusals(ctx, t, d)
	if _, err := f.Fire(ctx, 20_000, 200*time.Millisecond, -1); err != nil {
		t.Fatal(err)
	}
	through := func(r map[string]uint64) uint64 { return r["redirected"] + r["answered"] }
	after := refusals(ctx, t, d)
	for ; through(after) < through(before)+1000 && ctx.Err() == nil; after = refusals(ctx, t, d) {
		time.Sleep(10 * time.Millisecond)
	}
	if refused := after["guard_requests"] - before["guard_requests"]; refused != 0 || through(after) < through(before)+1000 {
		t.Errorf("guard off: %d refused, %d not", refused, through(after)-through(before))
	}
	if n := strings.Count(d.Log.String(), "\tserving\t") + strings.Count(d.Log.String(), "  serving  "); n != 1 {
		t.Errorf("the interface was opened %d times", n)
	}
}

// refusals are the packets that left XDP, by reason.
func refusals(ctx context.Context, t *testing.T, d *lab.Daemon) map[string]uint64 {
	t.Helper()
	s, err := d.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]uint64)
	for _, x := range s.Interfaces[0].XDP {
		out[x.Reason] = x.Packets
	}
	return out
}
