package gun

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/bench/result"
	"github.com/xdpxe/xdpxe/bench/xdp"
	"github.com/xdpxe/xdpxe/loader/xsk/xsktest"
)

// A flood of live frames is answered as far as the responder keeps up, and
// everything is accounted for; what firmware would take counts as good.
func TestLive(t *testing.T) {
	xsktest.Namespace(t)
	near, far := xsktest.Veth(t, 1)
	theirs, err := port.Open(port.Options{Interface: far.Name, Kind: port.XDP})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { respond(ctx, t, theirs); close(done) }()
	defer func() { stop(); <-done; theirs.Close() }()

	o, err := Live(t.Context(), near.Name, near.MAC, Load{Machines: 1000}, Schedule{For: 300 * time.Millisecond, Saturate: true}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if o.Sent == 0 || o.Answered+o.Late == 0 || o.Wrong != 0 || o.Sent != o.Answered+o.Late+o.Lost || o.Reasons != [dhcpc.Reasons]uint64{} {
		t.Errorf("%+v", o)
	}
	if o.Looked == 0 || o.LookedWrong != [dhcpc.Reasons]uint64{} {
		t.Errorf("looked at %d, wrong %v", o.Looked, o.LookedWrong)
	}
	if o.Latency.Count() != int64(o.Answered) || len(o.sentIn) == 0 || o.Row("x").Limit == nil {
		t.Errorf("%d latencies, series %v", o.Latency.Count(), o.sentIn)
	}
}

// At a rate it sends what is due, to whatever answers, or to a bounce.
func TestLiveAtARate(t *testing.T) {
	xsktest.Namespace(t)
	near, far := xsktest.Veth(t, 1)
	bounce, err := xdp.OpenBounce(far.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer bounce.Close()
	load := Load{Machines: 10, Bounced: true, Late: time.Minute}
	if ok, err := WarmLive(t.Context(), near.Name, near.MAC, load); err != nil || !ok {
		t.Errorf("warm %v, %v", ok, err)
	}
	s := Fixed(2000, 100*time.Millisecond)
	o, err := Live(t.Context(), near.Name, near.MAC, load, s, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if o.Sent == 0 || o.Sent > 200 || o.Answered+o.Refused != o.Sent || o.Schedule != s || o.Looked != 0 {
		t.Errorf("%+v", o)
	}
	if _, err := New(t.Context(), load, nil); err == nil || !strings.Contains(err.Error(), "only the live sender") {
		t.Errorf("a gun of ports took a bounce: %v", err)
	}
	for _, s := range []Schedule{{From: 1, To: 2, For: time.Second}, {For: time.Second}} {
		if _, err := Live(t.Context(), near.Name, near.MAC, load, s, 2, nil); err == nil {
			t.Errorf("%+v was taken", s)
		}
	}
}

// Where nothing comes back, nobody says that the server failed.
func TestLiveIntoNothing(t *testing.T) {
	xsktest.Namespace(t)
	near, _ := xsktest.Veth(t, 1)
	o, err := Live(t.Context(), near.Name, near.MAC, Load{Late: 50 * time.Millisecond}, Schedule{For: 20 * time.Millisecond, Saturate: true}, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if o.Sent == 0 || o.Lost != o.Sent || o.Limit().By != result.ByGenerator || !strings.Contains(o.Limit().Why, "gro on") {
		t.Errorf("%+v, limit %+v", o, o.Limit())
	}
}

func TestLiveRefuses(t *testing.T) {
	for want, l := range map[string]Load{
		"DISCOVERs":        {Lease: true},
		"one architecture": {Archs: []Share{{Arch: 7, Weight: 1}, {Arch: 0, Weight: 1}}},
		"server's MAC":     {Server: server, Relay: server},
	} {
		if _, err := Live(t.Context(), "lo", [6]byte{}, l, Fixed(1000, time.Second), 1, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
