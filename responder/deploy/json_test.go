package deploy

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"
)

// TestJSON pins the forms that the API shows and the store keeps: fields are
// added, never renamed.
func TestJSON(t *testing.T) {
	a, u := id(t, macA), id(t, uuidA)
	mark := Mark{Time: t0, By: "ann", Reason: "moved"}
	d := Deployment{ID: "d-1", Target: Target{MAC: a}, Profile: "winpe", Once: true, Milestone: Milestone{On: OnFile, File: "boot.wim"},
		NotBefore: t0, NotAfter: t0.Add(time.Hour), Variables: map[string]string{"disk": "sda"}, Note: "n", Created: t0, By: "ann", Cancelled: &mark}
	r := Run{State: Loading, Since: t0, Reason: "r", Attempt: 1, Address: a, Server: "s", File: "f", Sent: 1, Size: 2, Updated: t0, Booted: t0, Consumed: t0, Claim: "c"}
	m := Machine{ID: a, Name: "db1", Note: "n", Held: true, Approved: &Approval{Mark: mark, Profile: "p"}, UUID: u, Arch: "bios",
		VendorClass: "v", Relay: netip.MustParseAddr("198.51.100.1"), CircuitID: "c", FirstSeen: t0, LastSeen: t0, Tries: 3}
	const at = `"2026-11-25T12:00:00Z"`
	const marked = `"time":` + at + `,"by":"ann","reason":"moved"`
	for want, v := range map[string]any{
		`{"id":"d-1","target":{"mac":"52:54:00:00:00:0a"},"profile":"winpe","once":true,"milestone":{"on":"file","file":"boot.wim"},"not_before":` + at +
			`,"not_after":"2026-11-25T13:00:00Z","variables":{"disk":"sda"},"note":"n","created":` + at + `,"by":"ann","cancelled":{` + marked + `}}`: d,
		`{"id":"","target":{"uuid":"` + uuidA + `"},"profile":"","once":false,"created":"0001-01-01T00:00:00Z"}`: Deployment{Target: Target{UUID: u}},
		`{"state":"loading","since":` + at + `,"reason":"r","attempt":1,"address":"52:54:00:00:00:0a","server":"s","file":"f","sent":1,"size":2,"updated":` + at +
			`,"booted":` + at + `,"consumed":` + at + `,"claim":"c"}`: r,
		`{"state":"waiting","since":` + at + `}`: Run{State: Waiting, Since: t0},
		`{"id":"52:54:00:00:00:0a","name":"db1","note":"n","held":true,"approved":{` + marked + `,"profile":"p"},"uuid":"` + uuidA +
			`","arch":"bios","vendor_class":"v","relay":"198.51.100.1","circuit_id":"c","first_seen":` + at + `,"last_seen":` + at + `,"tries":3}`: m,
		`{"pattern":"52:54:00",` + marked + `}`:                         Ignored{Pattern: Pattern{OUI: [3]byte{0x52, 0x54}}, Mark: mark},
		`{"name":"lab","created":` + at + `,"revision":7,"machines":2}`: GroupStatus{Group{Name: "lab", Created: t0}, 7, 2},
	} {
		got, err := json.Marshal(v)
		if err != nil || string(got) != want {
			t.Errorf("%T is\n%s (%v), want\n%s", v, got, err, want)
		}
	}
	s := feed{}
	s.deployment(Deployment{ID: "d", Target: Target{MAC: a}, Profile: "p", Once: true, Created: t0})
	st, _ := s.snapshot().Deployment("d", t0)
	got, err := json.Marshal(st)
	if want := `{"id":"d","target":{"mac":"52:54:00:00:00:0a"},"profile":"p","once":true,"milestone":{"on":"nbp"},"created":` + at +
		`,"revision":1,"run":{"state":"waiting","since":` + at + `}}`; err != nil || string(got) != want {
		t.Errorf("a status is\n%s (%v), want\n%s", got, err, want)
	}
}
