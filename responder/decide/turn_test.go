package decide

import (
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/fleet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// ask is a client's request at a moment.
type ask struct {
	at   time.Duration
	secs uint16
	want string
	on   string // "4011", "ipxe", "other" machine, "lease": it takes an offer
}

// try puts requests and takes down what is said. Before each the same is tried
// without consequences: it must be said, and must change nothing.
func try(t *testing.T, d *Decider, start time.Time, asks []ask) {
	t.Helper()
	for i, a := range asks {
		m := x64(mac(1), start.Add(a.at))
		m.Secs = a.secs
		switch a.on {
		case "4011":
			m.Discover = false
		case "ipxe":
			m.IPXE = true
		case "other":
			m.MAC = mac(2)
		case "lease":
			d.clients.Answered(m.MAC)
			continue
		}
		for range 3 {
			look := *m
			look.Trial = true
			if got := said(d.Decide(&look)); got != a.want {
				t.Errorf("request %d, at %v: a trial says %s, want %s", i+1, a.at, got, a.want)
			}
			d.Explain(m)
		}
		if got := said(d.Decide(m)); got != a.want {
			t.Errorf("request %d, at %v: %s, want %s", i+1, a.at, got, a.want)
		}
	}
}

// TestDelay: the times are those at which firmware asks (PXE 2.1 §2.2.4: after
// 4, 8, 16 s) and iPXE does (after 1, 2, 4 s).
func TestDelay(t *testing.T) {
	start := time.Now()
	two, secs := policy.Rule{Boot: "linux", Delay: 2 * time.Second}, policy.Rule{Boot: "linux", DelaySecs: 4}
	both := policy.Rule{Boot: "linux", Delay: 2 * time.Second, DelaySecs: 8}
	s := func(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
	for _, tc := range []struct {
		name string
		rule policy.Rule
		asks []ask
	}{
		{"the second", two, []ask{{0, 0, "~delayed", ""}, {s(1.9), 1, "~delayed", ""}, {s(2), 2, "~linux.efi", ""}, {s(4), 4, "~linux.efi", ""}}},
		{"by two relays", two, []ask{{0, 0, "~delayed", ""}, {s(.1), 0, "~delayed", ""}, {s(4), 0, "~linux.efi", ""}, {s(4.1), 0, "~linux.efi", ""}}},
		{"each machine by itself", two, []ask{{0, 0, "~delayed", ""}, {s(4), 0, "~delayed", "other"}, {s(4), 0, "~linux.efi", ""}}},
		{"iPXE begins anew", two, []ask{{0, 0, "~delayed", ""}, {s(4), 0, "~linux.efi", ""}, {s(5), 4, "~delayed", "ipxe"}, {s(6), 8, "~delayed", "ipxe"}, {s(8), 12, "~linux.ipxe", "ipxe"}}},
		{"anew after its lease", two, []ask{{0, 0, "~delayed", ""}, {s(4), 0, "~linux.efi", ""}, {s(4), 0, "", "lease"}, {s(30), 0, "~delayed", ""}}},
		{"anew after a minute", two, []ask{{0, 0, "~delayed", ""}, {s(28), 28, "~linux.efi", ""}, {s(89), 0, "~delayed", ""}}},
		{"never on 4011", two, []ask{{0, 0, "~linux.efi", "4011"}, {0, 0, "~delayed", ""}}},
		{"secs", secs, []ask{{0, 0, "~delayed", ""}, {s(3), 3, "~delayed", ""}, {s(4), 4, "~linux.efi", ""}, {s(4), 0, "~linux.efi", "4011"}}},
		{"secs swapped", secs, []ask{{0, 0x0300, "~delayed", ""}, {0, 0x0400, "~linux.efi", ""}, {0, 0x0104, "~linux.efi", ""}, {0, 256 + 0, "~delayed", ""}}},
		// iPXE counts its messages there: the third goes out 3 s after the first, the fourth 7 s.
		{"secs of iPXE", secs, []ask{{0, 4, "~delayed", "ipxe"}, {s(1), 8, "~delayed", "ipxe"}, {s(3), 12 | 2, "~delayed", "ipxe"}, {s(7), 16 | 3, "~linux.ipxe", "ipxe"}}},
		{"both", both, []ask{{0, 9, "~delayed", ""}, {s(4), 4, "~delayed", ""}, {s(12), 12, "~linux.efi", ""}}},
		{"a silence is none later", policy.Rule{Boot: "ignore", Delay: time.Second}, []ask{{0, 0, "~rule_ignore", ""}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			try(t, New(Config{Policy: compile(t, rule(tc.rule))}), start, tc.asks)
		})
	}
}

// Deciders of one server, one after another, know the same clients.
func TestDelayOutlivesReload(t *testing.T) {
	clients, start := NewClients(), time.Now()
	for i, want := range []string{"~delayed", "~linux.efi"} {
		d := New(Config{Policy: compile(t, rule(policy.Rule{Boot: "linux", Delay: 2 * time.Second})), Clients: clients})
		if got := said(d.Decide(x64(mac(1), start.Add(time.Duration(i)*4*time.Second)))); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// members is the view of one of n servers that comes in rank so far behind the
// owner of mac(1).
func members(t *testing.T, n, rank int) *fleet.View {
	t.Helper()
	var all []fleet.Member
	for i := range n {
		all = append(all, fleet.Member{Name: string(rune('a' + i))})
	}
	for _, m := range all {
		if v := fleet.NewView(m, all); v.Rank(fleet.KeyOf(mac(1))) == rank {
			return v
		}
	}
	t.Fatal("no such member")
	return nil
}

func TestOwner(t *testing.T) {
	start := time.Now()
	s := func(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
	plain, delayed := policy.Rule{Boot: "linux"}, policy.Rule{Boot: "linux", Delay: 2 * time.Second}
	for _, tc := range []struct {
		name    string
		rule    policy.Rule
		n, rank int
		asks    []ask
	}{
		{"the owner", plain, 3, 0, []ask{{0, 0, "linux.efi", ""}, {0, 0, "linux.efi", "4011"}}},
		{"the next", plain, 3, 1, []ask{{0, 0, "~other_owner", ""}, {s(.2), 0, "~other_owner", ""}, {s(4), 0, "~linux.efi", ""}, {s(4), 0, "", "lease"}, {s(9), 0, "~other_owner", ""}}},
		{"the last", plain, 3, 2, []ask{{0, 0, "~other_owner", ""}, {s(4), 0, "~other_owner", ""}, {s(12), 0, "~linux.efi", ""}}},
		{"4011 is nobody's", plain, 3, 2, []ask{{0, 0, "linux.efi", "4011"}}},
		{"iPXE counts by itself", plain, 2, 1, []ask{{0, 0, "~other_owner", ""}, {s(1), 4, "~other_owner", "ipxe"}, {s(2), 8, "~linux.ipxe", "ipxe"}}},
		{"alone", plain, 1, 0, []ask{{0, 0, "linux.efi", ""}}},
		{"silences are everybody's", policy.Rule{Boot: "ignore"}, 3, 2, []ask{{0, 0, "rule_ignore", ""}}},
		// What the owner does not answer yet is no miss of its own.
		{"with a delay", delayed, 2, 1, []ask{{0, 0, "~delayed", ""}, {s(4), 0, "~other_owner", ""}, {s(12), 0, "~linux.efi", ""}}},
		{"the owner with a delay", delayed, 2, 0, []ask{{0, 0, "~delayed", ""}, {s(4), 0, "~linux.efi", ""}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := members(t, tc.n, tc.rank)
			d := New(Config{Policy: compile(t, rule(tc.rule)), Fleet: func() *fleet.View { return v }})
			try(t, d, start, tc.asks)
			if dep := d.Depends(x64(mac(1), start), everywhere); dep.Identity != (tc.n > 1) {
				t.Errorf("%d members, and it depends on who asks: %v", tc.n, dep.Identity)
			}
		})
	}
}

// What is deployed, a delay and an owner, all in the way.
func TestAllTogether(t *testing.T) {
	b := newBed(t)
	v := members(t, 2, 1)
	d := New(Config{Policy: compile(t, rule(policy.Rule{Boot: "deployed", Unknown: "hold", Delay: 2 * time.Second})),
		Catalogue: b.Catalogue, Fleet: func() *fleet.View { return v }})
	s := time.Second
	try(t, d, b.now, []ask{{0, 0, "~machine_held", ""}, {4 * s, 0, "~machine_held", ""}})
	b.deploy(deploy.Deployment{ID: "d", Target: deploy.Target{MAC: deploy.HardwareIdentity(mac(1))}, Profile: "winpe", Once: true})
	try(t, d, b.now, []ask{{12 * s, 0, "~delayed", ""}, {16 * s, 0, "~other_owner", ""}, {20 * s, 0, "~winpe.efi", ""}, {21 * s, 0, "~winpe.efi", "4011"}})
	b.consume("d", mac(1))
	try(t, d, b.now, []ask{{30 * s, 0, "~nothing_deployed", ""}})
}
