package flood

import (
	"encoding/binary"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/loader"
)

var (
	begin  = time.Unix(1_800_000_000, 0)
	router = [6]byte{2, 0, 0, 0, 0, 1}
	relay  = netip.MustParseAddr("198.51.100.1")
)

// stranger is one of many clients behind a relay.
func stranger(i int) loader.Refusal {
	r := loader.Refusal{Reason: "guard_requests", MAC: router, Src: relay, Relay: relay}
	binary.BigEndian.PutUint32(r.Client[:], uint32(i))
	return r
}

func TestReport(t *testing.T) {
	w := New(map[string]uint64{"guard_requests": 7, "stolen": 1000})
	counters := map[string]uint64{"guard_requests": 7, "stolen": 2000}
	if s, lull := w.Report(begin, counters); s != nil || !lull {
		t.Errorf("nothing refused: %+v, lull %v", s, lull)
	}
	for i := range 80 {
		w.Add(stranger(i))
	}
	machine := loader.Refusal{Reason: "guard_requests", MAC: [6]byte{2, 0, 0, 0, 0, 9}, VIDs: [2]uint16{7}, Src: netip.IPv4Unspecified(), Client: [16]byte{1}}
	for range 20 {
		w.Add(machine)
	}
	honest := machine
	honest.MAC[5], honest.Client[0] = 7, 2
	w.Add(honest) // few among many are not told
	counters["guard_requests"] = 7 + 1_010_000
	want := []Source{
		{Reason: "guard_requests", Packets: 800_000, Rate: 160_000, MAC: router, Addr: relay, Relay: relay, Clients: 80, Samples: 80},
		{Reason: "guard_requests", Packets: 200_000, Rate: 40_000, MAC: machine.MAC, VIDs: [2]uint16{7}, Addr: machine.Src, Client: machine.Client, Clients: 1, Samples: 20},
	}
	if got, lull := w.Report(begin, counters); !reflect.DeepEqual(got, want) || lull {
		t.Errorf("the beginning\n got %+v\nwant %+v; lull %v", got, want, lull)
	}

	// While it goes on, once a minute, and what came since.
	for at := 5 * time.Second; at < time.Minute; at += 5 * time.Second {
		counters["guard_requests"] += 1000
		w.Add(machine)
		if s, lull := w.Report(begin.Add(at), counters); s != nil || lull {
			t.Errorf("after %v: %+v, lull %v", at, s, lull)
		}
	}
	want = []Source{{Reason: "guard_requests", Packets: 11_000, Rate: 11_000. / 60, MAC: machine.MAC, VIDs: [2]uint16{7}, Addr: machine.Src, Client: machine.Client, Clients: 1, Samples: 11}}
	if got, _ := w.Report(begin.Add(time.Minute), counters); !reflect.DeepEqual(got, want) {
		t.Errorf("a minute\n got %+v\nwant %+v", got, want)
	}
	if s, lull := w.Report(begin.Add(90*time.Second), counters); s != nil || lull {
		t.Errorf("it ended: %+v, lull %v", s, lull)
	}
	if s, lull := w.Report(begin.Add(2*time.Minute), counters); s != nil || !lull {
		t.Errorf("a minute later: %+v, lull %v", s, lull)
	}
	// Another one much later has its own rate.
	counters["guard_tftp"] = 50
	want = []Source{{Reason: "guard_tftp", Packets: 50, Rate: 10}}
	if got, _ := w.Report(begin.Add(time.Hour), counters); !reflect.DeepEqual(got, want) {
		t.Errorf("without samples\n got %+v\nwant %+v", got, want)
	}
}

// Of sources that are forged, what is common is said, and the list has an end.
func TestForgedSources(t *testing.T) {
	w := New(nil)
	counters := map[string]uint64{"withheld_broadcasts": 100_000}
	for i := range 1000 {
		r := stranger(i)
		r.Reason, r.Relay, r.Src, r.VIDs = "withheld_broadcasts", netip.Addr{}, netip.IPv4Unspecified(), [2]uint16{5}
		copy(r.MAC[:], r.Client[:])
		w.Add(r)
	}
	for _, reason := range []string{"guard_tftp", "guard_tftp_source", "guard_source", "guard_stray", "guard_broadcasts"} {
		counters[reason] = 5
	}
	got, _ := w.Report(begin, counters)
	if want := (Source{Reason: "withheld_broadcasts", Packets: 100_000, Rate: 20_000, VIDs: [2]uint16{5}, Addr: netip.IPv4Unspecified(), Clients: 1000, Samples: 1000}); got[0] != want || len(got) != most {
		t.Errorf("%d: %+v\nwant %+v", len(got), got[0], want)
	}
	for range 2 * keep {
		w.Add(stranger(1))
	}
	if len(w.samples) != keep {
		t.Errorf("%d samples kept", len(w.samples))
	}
}
