package deploy

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"
)

var t0 = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// happening is an event some time after t0, what state it leads to, and what
// is to be saved. refused: the event is an error, and changes nothing.
type happening struct {
	after   time.Duration
	e       Event
	state   State
	save    Save
	refused bool
}

func TestNext(t *testing.T) {
	a, b := id(t, macA), id(t, macB)
	asked := Event{Kind: Asked, Address: a, Server: "s1"}
	began := Event{Kind: Began, Address: a, Server: "s1", File: "boot.efi", NBP: true, Claim: "1", Size: 1000}
	with := func(e Event, change func(*Event)) Event { change(&e); return e }
	kind := func(k EventKind) Event { return with(began, func(e *Event) { e.Kind = k }) }
	kernel := func(k EventKind) Event {
		return with(kind(k), func(e *Event) { e.File, e.NBP, e.Claim = `Linux\VMLINUZ`, false, "2" })
	}
	other := func(k EventKind) Event {
		return with(kind(k), func(e *Event) { e.Address, e.Server, e.Claim = b, "s2", "3" })
	}
	done := Event{Kind: Called, Message: "installed"}
	fail := Event{Kind: Called, Failed: true, Message: "no disk"}
	arm := Event{Kind: Armed}

	nbp := Deployment{ID: "d", Once: true, Milestone: Milestone{On: OnNBP}, Created: t0}
	file := nbp
	file.Milestone = Milestone{On: OnFile, File: "/linux/vmlinuz"}
	callback := nbp
	callback.Milestone = Milestone{On: OnCallback}
	standing := Deployment{ID: "d", Created: t0}
	window := nbp
	window.NotBefore, window.NotAfter = t0.Add(time.Hour), t0.Add(2*time.Hour)
	cancelled := nbp
	cancelled.Cancelled = &Mark{Time: t0, By: "ann"}

	for name, tc := range map[string]struct {
		d     Deployment
		steps []happening
	}{
		"once until the boot program": {nbp, []happening{
			{0, asked, Offered, Later, false},
			{1, asked, Offered, Nothing, false},
			{2, began, Loading, Later, false},
			{10 * time.Second, with(kind(Moved), func(e *Event) { e.Sent = 500 }), Loading, Later, false},
			{11 * time.Second, with(kind(Moved), func(e *Event) { e.Sent = 600 }), Loading, Nothing, false},
			{12 * time.Second, kind(LastBlock), Loading, First, false},
			{12 * time.Second, kind(LastBlock), Loading, Nothing, false}, // asked once more by the same transfer
			{12 * time.Second, other(LastBlock), Loading, Nothing, true}, // another server's
			{13 * time.Second, asked, Loading, Nothing, true},
			{13 * time.Second, kind(Fetched), Done, Later, false},
			{14 * time.Second, asked, Done, Nothing, true},
			{15 * time.Second, kernel(Began), Done, Nothing, false},
			{15 * time.Second, kernel(LastBlock), Done, Nothing, false}, // what it loads afterwards is not the milestone
			{16 * time.Second, kernel(Fetched), Done, Nothing, false},
			{20 * time.Second, fail, Failed, First, false},
			{30 * time.Second, arm, Waiting, First, false},
			{31 * time.Second, kind(LastBlock), Loading, First, false},
		}},
		"the server dies at the last block": {nbp, []happening{
			{0, kind(LastBlock), Loading, First, false},
			{ConfirmWithin - 1, arm, Waiting, First, false},
			{ConfirmWithin, kind(LastBlock), Loading, First, false},
			{3 * ConfirmWithin, asked, Failed, Nothing, true},
			{3 * ConfirmWithin, other(LastBlock), Failed, Nothing, true},
			{3 * ConfirmWithin, kind(Fetched), Done, Later, false}, // the transfer went on after a restart
		}},
		"a late last block of before the arming": {nbp, []happening{
			{0, kind(LastBlock), Loading, First, false},
			{1, with(kind(Broke), func(e *Event) { e.Message = "client went away" }), Failed, Later, false},
			{2, kind(LastBlock), Failed, Nothing, true},
			{3, arm, Waiting, First, false},
			{4, kind(Fetched), Waiting, Nothing, false}, // an acknowledgement out of date
			{5, asked, Offered, Later, false},
			{6, kind(Fetched), Booted, Later, false}, // as out of date, and still not done
			{7, kind(LastBlock), Loading, First, false},
		}},
		"broken before the last block": {nbp, []happening{
			{0, asked, Offered, Later, false},
			{1, began, Loading, Later, false},
			{2, kind(Broke), Offered, Later, false},
			{3, began, Loading, Later, false},
			{4, kernel(Broke), Loading, Nothing, false},
		}},
		"two machines with one UUID": {nbp, []happening{
			{0, began, Loading, Later, false},
			{1, other(Began), Loading, Nothing, false},
			{1, other(LastBlock), Loading, Nothing, true},
			{2, kind(Broke), Offered, Later, false},
			{3, other(LastBlock), Loading, First, false},
			{4, kind(LastBlock), Loading, Nothing, true},
		}},
		"a transfer that ended without a word": {nbp, []happening{
			{0, began, Loading, Later, false},
			{ConfirmWithin, other(Asked), Offered, Later, false},
		}},
		"once until a file": {file, []happening{
			{0, asked, Offered, Later, false},
			{1, began, Loading, Later, false},
			{2, kind(LastBlock), Loading, Nothing, false},
			{3, kind(Fetched), Booted, Later, false},
			{4, with(asked, func(e *Event) { e.Chained = true }), Booted, Nothing, false}, // iPXE asks
			{5, kernel(Began), Loading, Later, false},
			{6, kernel(LastBlock), Loading, First, false},
			{7, kernel(Fetched), Done, Later, false},
		}},
		"a machine that starts again": {file, []happening{
			{0, asked, Offered, Later, false},
			{1, kind(Fetched), Booted, Later, false},
			{2, asked, Offered, Later, false},
			{3, kernel(Fetched), Offered, Later, false},
		}},
		"once until the call back": {callback, []happening{
			{0, done, Waiting, Nothing, true},
			{0, asked, Offered, Later, false},
			{1, began, Loading, Later, false},
			{2, kind(LastBlock), Loading, Nothing, false},
			{3, kind(Fetched), Booted, Later, false},
			{4, kernel(Began), Loading, Later, false},
			{5, kernel(Fetched), Booted, Later, false},
			{6, done, Done, First, false},
			{7, done, Done, Nothing, false},
			{8, asked, Done, Nothing, true},
		}},
		"the installer fails": {callback, []happening{
			{0, asked, Offered, Later, false},
			{1, fail, Failed, First, false},
			{2, asked, Failed, Nothing, true},
			{3, arm, Waiting, First, false},
			{4, asked, Offered, Later, false},
		}},
		"standing": {standing, []happening{
			{0, asked, Offered, Later, false},
			{1, began, Loading, Later, false},
			{2, kind(LastBlock), Loading, Nothing, false},
			{3, kind(Fetched), Booted, Later, false},
			{4, done, Done, First, false},
			{5, asked, Offered, Later, false},
			{6, other(Asked), Offered, Nothing, false},
			{time.Minute, other(Asked), Offered, Later, false},
		}},
		"a window": {window, []happening{
			{0, kind(LastBlock), Waiting, Nothing, true},
			{time.Hour, began, Loading, Later, false},
			{2*time.Hour + 1, kind(LastBlock), Loading, First, false}, // it had begun
		}},
		"a window that closed": {window, []happening{
			{2 * time.Hour, asked, Expired, Nothing, true},
			{2 * time.Hour, kind(LastBlock), Expired, Nothing, true},
			{2 * time.Hour, arm, Expired, Nothing, true},
		}},
		"cancelled": {cancelled, []happening{
			{0, asked, Cancelled, Nothing, true},
			{0, began, Cancelled, Nothing, true},
			{0, kind(LastBlock), Cancelled, Nothing, true},
			{0, done, Cancelled, Nothing, true},
			{0, arm, Cancelled, Nothing, true},
		}},
		"nothing to arm": {nbp, []happening{
			{0, arm, Waiting, Nothing, true},
			{0, Event{Kind: "dreamt"}, Waiting, Nothing, true},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var r Run
			for i, h := range tc.steps {
				now := t0.Add(h.after)
				next, save, err := r.Next(&tc.d, h.e, now)
				if refused := (*Refused)(nil); errors.As(err, &refused) != h.refused || (err != nil) != h.refused {
					t.Fatalf("step %d, %s: error %v, want one: %v", i, h.e.Kind, err, h.refused)
				}
				if save != h.save {
					t.Fatalf("step %d, %s: save %v, want %v", i, h.e.Kind, save, h.save)
				}
				if save != Nothing {
					r = next
				}
				at := r.At(&tc.d, now)
				if at.State != h.state {
					t.Fatalf("step %d, %s: %s (%s), want %s", i, h.e.Kind, at.State, at.Reason, h.state)
				}
				if at.Since.IsZero() || at.Since.After(now) {
					t.Fatalf("step %d, %s: since %v", i, h.e.Kind, at.Since)
				}
			}
		})
	}
}

// FuzzNext sends random events of two transfers to a run that is kept as the
// catalogue keeps it. The last block of a milestone goes to one transfer only,
// until it is armed again, and what is stored is read the same.
func FuzzNext(f *testing.F) {
	f.Add([]byte{0, 1, 3, 4}, uint8(0))
	f.Add([]byte{3, 19, 4, 20, 5, 7, 3}, uint8(1))
	f.Add([]byte{6, 0, 22, 64, 131, 195}, uint8(2))
	kinds := []EventKind{Asked, Began, Moved, LastBlock, Fetched, Broke, Called, Armed}
	f.Fuzz(func(t *testing.T, steps []byte, how uint8) {
		d := Deployment{ID: "d", Once: true, Created: t0, Milestone: Milestone{On: OnNBP}}
		switch how % 3 {
		case 1:
			d.Milestone = Milestone{On: OnFile, File: "k"}
		case 2:
			d.NotAfter = t0.Add(time.Hour)
		}
		if how&8 != 0 {
			d.Once = false
		}
		now, r, holder := t0, Run{}, ""
		for _, c := range steps {
			e := Event{Kind: kinds[c%8], Address: HardwareIdentity([]byte{c >> 4 & 1, 1, 1, 1, 1, 1}), File: "k", NBP: true, Claim: string('0' + rune(c>>4&3)), Size: 9, Failed: c&64 != 0, Chained: c&128 != 0}
			now = now.Add(time.Duration(c>>3) * time.Second)
			next, save, err := r.Next(&d, e, now)
			if err != nil && save != Nothing {
				t.Fatal("refused and saved")
			}
			if e.Kind == LastBlock && err == nil && d.Once {
				if holder != "" && holder != e.Claim {
					t.Fatalf("the last block went to %s and to %s", holder, e.Claim)
				}
				holder = e.Claim
			}
			if e.Kind == Armed && err == nil {
				holder = ""
			}
			if save == Nothing {
				continue
			}
			b, err := json.Marshal(next)
			if err != nil {
				t.Fatal(err)
			}
			r = Run{}
			if err := json.Unmarshal(b, &r); err != nil || !reflect.DeepEqual(r, next) {
				t.Fatalf("%+v is read as %+v (%v)", next, r, err)
			}
		}
	})
}
