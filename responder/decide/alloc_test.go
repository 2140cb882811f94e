package decide

import (
	"net/http"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder"
	"github.com/xdpxe/xdpxe/responder/binding"
	"github.com/xdpxe/xdpxe/responder/dhcp"
	"github.com/xdpxe/xdpxe/responder/fleet"
	"github.com/xdpxe/xdpxe/responder/hook"
	"github.com/xdpxe/xdpxe/responder/packet"
	"github.com/xdpxe/xdpxe/responder/policy"
)

// TestDoesNotAllocate: neither deciding nor taking down, once a client is known.
func TestDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	b := newBed(t)
	all := b.machines()
	h, answered := program(t, http.StatusOK, `{"boot":"next"}`, false)
	v := members(t, 3, 1)
	d := New(Config{
		Policy: compile(t, policy.Spec{Webhooks: []string{"cmdb"}, Rules: []policy.Rule{{Webhook: "cmdb"},
			{Boot: "deployed", Unknown: "hold", Else: "local", Delay: 2 * time.Second, DelaySecs: 2}}}),
		Catalogue: b.Catalogue, Webhooks: map[string]*hook.Hook{"cmdb": h}, Fleet: func() *fleet.View { return v },
	})
	bindings, err := binding.Open("", 1<<10)
	b.ok(err)
	r := NewRecorder(RecorderConfig{Catalogue: b.Catalogue, Clients: NewClients(), Bindings: bindings, Server: "boot1"})
	for name, mac := range all {
		m := x64(mac, b.now)
		m.Secs = 4
		if name != "ignored" { // who is not even asked about
			d.Decide(m)
			<-answered
		}
		if n := testing.AllocsPerRun(100, func() {
			m.Now = m.Now.Add(10 * time.Second)
			d.Decide(m)
		}); n != 0 {
			t.Errorf("%s: deciding allocates %v times", name, n)
		}
		// What the catalogue is to write, which Deployment and Track are for, it
		// keeps until then: that is in its own tests.
		e := event(dhcp.StageDiscover, packet.Answered, func(e *responder.Event) {
			copy(e.MAC[:], mac)
			e.Profile, e.Address = "winpe", host
		})
		r.Observe(e, m)
		if n := testing.AllocsPerRun(100, func() { r.Observe(e, m) }); n != 0 {
			t.Errorf("%s: taking down allocates %v times", name, n)
		}
	}
}
