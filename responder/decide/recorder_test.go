package decide

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/dhcp/dhcptest"
	"github.com/xdpxe/xdpxe/responder/fleet"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// ledger takes down what a Recorder tells it.
type ledger []string

func (l *ledger) Answered(mac, uuid []byte, arch, profile, deployment string, circuitID []byte, _ time.Time) {
	*l = append(*l, fmt.Sprintf("answered %x %d %s %s %s %s", mac, len(uuid), arch, profile, deployment, circuitID))
}

func (l *ledger) Bind(addr netip.Addr, mac, uuid []byte, _ time.Time) {
	*l = append(*l, fmt.Sprintf("bind %v %x %d", addr, mac, len(uuid)))
}

// event is one of mac(1).
func event(stage dhcp.Stage, reason packet.Reason, edit func(*responder.Event)) *responder.Event {
	e := &responder.Event{Time: time.Now(), Stage: stage, Reason: reason, MACLen: 6, Arch: policy.ArchX64UEFI}
	copy(e.MAC[:], mac(1))
	edit(e)
	return e
}

// TestBindings: who was answered with what, and which address it says it has.
func TestBindings(t *testing.T) {
	var told ledger
	r := NewRecorder(RecorderConfig{Bindings: &told})
	addr := func(e *responder.Event) { e.Address = host }
	full := func(e *responder.Event) {
		e.HasUUID, e.Profile, e.Deployment, e.Track = true, "linux", "d", true
	}
	r.Observe(event(dhcp.StageDiscover, packet.Answered, full), &policy.Machine{CircuitID: []byte("eth1")})
	r.Observe(event(dhcp.StageDiscover, packet.Answered, full), nil) // in the kernel
	r.Observe(event(dhcp.StageDiscover, packet.MachineHeld, full), &policy.Machine{})
	r.Observe(event(dhcp.StageOther, packet.LeaseRequest, addr), nil)
	r.Observe(event(dhcp.StageOther, packet.OtherServer, addr), nil)
	r.Observe(event(dhcp.StageOther, packet.BootItem, addr), nil)
	r.Observe(event(dhcp.StageBootServer, packet.Answered, addr), &policy.Machine{})
	r.Observe(event(dhcp.StageBootServer, packet.NothingDeployed, addr), &policy.Machine{})
	want := []string{
		"answered 525400000001 16 x64-uefi linux d eth1", "answered 525400000001 16 x64-uefi linux d ",
		"bind 192.0.2.100 525400000001 0", "bind 192.0.2.100 525400000001 0", "bind 192.0.2.100 525400000001 0",
		"answered 525400000001 0 x64-uefi   ", "bind 192.0.2.100 525400000001 0", "bind 192.0.2.100 525400000001 0",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
}

// TestLeaseEndsTries: a client that takes an offer begins anew, whoever's that was;
// nothing else that it sends makes it.
func TestLeaseEndsTries(t *testing.T) {
	v := members(t, 2, 1)
	now := time.Now()
	for _, tc := range []struct {
		stage  dhcp.Stage
		reason packet.Reason
		want   string
	}{
		{dhcp.StageOther, packet.LeaseRequest, "~other_owner"}, {dhcp.StageOther, packet.OtherServer, "~other_owner"}, {dhcp.StageOther, packet.BootItem, "~other_owner"},
		{dhcp.StageDiscover, packet.OtherServer, "~linux.efi"}, {dhcp.StageBootServer, packet.OtherServer, "~linux.efi"}, {dhcp.StageOther, packet.WrongType, "~linux.efi"},
	} {
		c := NewClients()
		d := New(Config{Policy: compile(t, policy.Spec{Default: "linux"}), Fleet: func() *fleet.View { return v }, Clients: c})
		d.Decide(x64(mac(1), now))
		NewRecorder(RecorderConfig{Clients: c}).Observe(event(tc.stage, tc.reason, func(*responder.Event) {}), nil)
		if got := said(d.Decide(x64(mac(1), now.Add(4*time.Second)))); got != tc.want {
			t.Errorf("%v, %v: then %s, want %s", tc.stage, tc.reason, got, tc.want)
		}
	}
}

// TestSightings: of machines that rules hold all that is known is recorded, and
// that they ask is noted of others where rules go by what is known.
func TestSightings(t *testing.T) {
	s := newSite(t, policy.Spec{Rules: []policy.Rule{{Match: policy.Match{MAC: []string{"*:07"}}, Boot: "linux"}, {Boot: "deployed", Unknown: "hold"}}}, nil)
	held := dhcptest.Relayed(7)
	copy(held.CHAddr[:], mac(1))
	for range 2 {
		if got := s.asks(vantage.From67(held)); got != "machine_held" {
			t.Fatal(got)
		}
	}
	s.asks(requests(mac(7))["DISCOVER"]) // nobody asks who that is
	s.await(mac(1), deploy.Held)
	m := s.Snapshot().Find(deploy.Client{MAC: mac(1)}, s.now).Machine
	if m.Arch != "x64-uefi" || m.VendorClass != "PXEClient:Arch:00007:UNDI:003016" || m.Relay != dhcptest.Relay || m.CircuitID != "eth1" ||
		m.UUID != deploy.UUIDIdentity(dhcptest.GUID[:]) || m.FirstSeen.IsZero() || !m.Held {
		t.Errorf("%+v", m)
	}
	s.ok(s.Approve(t.Context(), deploy.HardwareIdentity(mac(1)), 0, "winpe", "ann", "", s.now))
	if got := s.asks(vantage.From67(held)); got != "winpe.efi" {
		t.Errorf("approved, and %s", got)
	}
	if found := s.Snapshot().Find(deploy.Client{MAC: mac(7)}, s.now); found.Machine != nil {
		t.Errorf("%+v is recorded", found.Machine)
	}
}

// TestOffered: a deployment that a machine was answered with is offered, be it
// by the kernel that it was.
func TestOffered(t *testing.T) {
	s := newSite(t, policy.Spec{Default: "deployed"}, nil)
	for i, id := range []string{"by-daemon", "by-kernel", "never"} {
		s.deploy(deploy.Deployment{ID: id, Target: deploy.Target{MAC: deploy.HardwareIdentity(mac(byte(i + 1)))}, Profile: "winpe", Once: true})
	}
	if got := s.asks(requests(mac(1))["DISCOVER"]); got != "winpe.efi" {
		t.Fatal(got)
	}
	s.awaitTemplate()
	r := NewRecorder(RecorderConfig{Catalogue: s.Catalogue, Server: "boot2"})
	told := event(dhcp.StageDiscover, packet.Answered, func(e *responder.Event) {
		copy(e.MAC[:], mac(2))
		e.Profile, e.Deployment, e.Tier, e.Track = "winpe", "by-kernel", responder.TierKernel, true
	})
	r.Observe(told, nil)
	for _, id := range []string{"by-daemon", "gone"} { // another's, or one that is gone meanwhile
		e := *told
		copy(e.MAC[:], mac(3))
		e.Deployment = id
		r.Observe(&e, nil)
	}
	for id, server := range map[string]string{"by-daemon": "boot1", "by-kernel": "boot2"} {
		s.until(func() bool {
			st, _ := s.Snapshot().Deployment(id, s.now)
			return st.Run.State == deploy.Offered && st.Run.Server == server
		})
	}
	if st, _ := s.Snapshot().Deployment("never", s.now); st.Run.State != deploy.Waiting {
		t.Errorf("%+v", st.Run)
	}
}

// What the kernel tells of its templates comes to observers with all that names the answer.
func TestTold(t *testing.T) {
	s := newSite(t, policy.Spec{Default: "deployed"}, nil)
	s.deploy(deploy.Deployment{ID: "d", Target: deploy.Target{MAC: deploy.HardwareIdentity(mac(1))}, Profile: "winpe"})
	for name, in := range requests(mac(1)) {
		if got := s.asks(in); got != "winpe.efi" {
			t.Fatal(got)
		}
		made := s.awaitTemplate()
		e := responder.KernelEvent{Time: s.now, Tag: made.Tag, MACLen: 6, Src: in.Src}
		copy(e.MAC[:], mac(1))
		for range 2 { // no news to the journal
			s.server.Told("eth0", &e)
			got := <-s.seen
			if got.Reason != packet.Answered || got.Deployment != "d" || got.Profile != "winpe" || got.File != "winpe.efi" || got.Detail != "deployed" || !got.Track || got.Tier != responder.TierKernel ||
				(name == "4011") != (got.Address == host) {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
}
