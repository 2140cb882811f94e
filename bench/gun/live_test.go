package gun

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/bench/dhcpc"
	"github.com/xdpxe/xdpxe/bench/port"
	"github.com/xdpxe/xdpxe/bench/result"
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

	o, err := Live(t.Context(), near.Name, near.MAC, Load{Machines: 1000}, 300*time.Millisecond, 1, nil)
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

// Where nothing comes back, nobody says that the server failed.
func TestLiveIntoNothing(t *testing.T) {
	xsktest.Namespace(t)
	near, _ := xsktest.Veth(t, 1)
	o, err := Live(t.Context(), near.Name, near.MAC, Load{Late: 50 * time.Millisecond}, 20*time.Millisecond, 1, nil)
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
		if _, err := Live(t.Context(), "lo", [6]byte{}, l, time.Second, 1, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
