package deploy

import (
	"testing"
	"time"
)

// The run that a machine was answered with is found by what its address is
// bound to, also in a group and by its UUID in either spelling.
func TestRunOf(t *testing.T) {
	c, _, _ := run(t, openBolt(t, t.TempDir()+"/db"))
	mac, other := HardwareIdentity([]byte{2, 0, 0, 0, 0, 1}), HardwareIdentity([]byte{2, 0, 0, 0, 0, 2})
	uuid := UUIDIdentity([]byte{0x4c, 0x4c, 0x45, 0x44, 0, 0x44, 0x48, 0x10, 0x80, 0x31, 0xb4, 0xc0, 0x4f, 0x4a, 0x4e, 0x31})
	swapped := UUIDIdentity([]byte{0x44, 0x45, 0x4c, 0x4c, 0x44, 0, 0x10, 0x48, 0x80, 0x31, 0xb4, 0xc0, 0x4f, 0x4a, 0x4e, 0x31})
	if err := c.PutGroup(t.Context(), "rack", 0, "", "", time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := c.AddMembers(t.Context(), "rack", []Identity{mac}); err != nil {
		t.Fatal(err)
	}
	mustCreate(t, c,
		Deployment{ID: "mac", Target: Target{MAC: mac}, Profile: "p", Once: true, Milestone: Milestone{On: OnFile, File: `.\dir//File`}},
		Deployment{ID: "uuid", Target: Target{UUID: uuid}, Profile: "p", Once: true},
		Deployment{ID: "rack", Target: Target{Group: "rack"}, Profile: "p"})
	s := c.Snapshot()
	if !s.Read() || newSnapshot().Read() {
		t.Error("Read does not say whether it was read")
	}
	for _, k := range []struct {
		id   string
		by   Client
		want Identity // zero: none
	}{
		{"mac", Client{MAC: mac.Bytes()}, mac},
		{"mac", Client{MAC: other.Bytes()}, Identity{}},
		{"uuid", Client{MAC: other.Bytes(), UUID: uuid.Bytes()}, uuid.key()},
		{"uuid", Client{MAC: other.Bytes(), UUID: swapped.Bytes()}, uuid.key()},
		{"uuid", Client{MAC: mac.Bytes()}, Identity{}},
		{"rack", Client{MAC: mac.Bytes(), UUID: uuid.Bytes()}, mac},
		{"rack", Client{MAC: other.Bytes()}, Identity{}},
		{"none", Client{MAC: mac.Bytes()}, Identity{}},
	} {
		d, run, ok := s.RunOf(k.id, k.by)
		if ok == k.want.IsZero() || ok && (d.ID != k.id || run != RunID{k.id, k.want}) {
			t.Errorf("%s of %x: %v, %v", k.id, k.by.MAC, run, ok)
		}
	}
	d, _, _ := s.RunOf("mac", Client{MAC: mac.Bytes()})
	for file, want := range map[string]bool{"dir/file": true, `\DIR\FILE`: true, "file": false, "dir/file2": false} {
		if got := d.EndsWith(file, true); got != want {
			t.Errorf("ends with %s: %v", file, got)
		}
	}
	if d, _, _ := s.RunOf("rack", Client{MAC: mac.Bytes()}); d.EndsWith("dir/file", true) {
		t.Error("one that stands has an end")
	}

	once := func(now time.Time) (ids int) {
		for range c.Snapshot().Once(now) {
			ids++
		}
		return ids
	}
	if n := once(time.Now()); n != 2 {
		t.Errorf("%d are for once, want 2", n)
	}
	if err := c.Cancel(t.Context(), "mac", 0, "", "", time.Now()); err != nil {
		t.Fatal(err)
	}
	if n := once(time.Now()); n != 1 {
		t.Errorf("%d are for once, want 1", n)
	}
	if err := c.Act(t.Context(), RunID{"uuid", uuid.key()}, Event{Kind: LastBlock, Address: mac, File: "nbp", NBP: true, Claim: "c"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if r := c.Snapshot().Run(RunID{"uuid", uuid.key()}, time.Now()); r.Claim != "c" || r.State != Loading {
		t.Errorf("%+v", r)
	}
	if n := once(time.Now().Add(ConfirmWithin)); n != 0 {
		t.Errorf("%d are for once when nothing was heard, want none", n)
	}
}
