// Package flood says who it is whose packets the guard refuses: it makes a few
// lines for a log and a status of the program's counters and of the samples that
// it keeps.
//
// The counters are exact, the samples a few of all, chosen by chance. For each
// reason the samples are told apart by the frame's source, which a switch port or
// a router stands for, and whatever most of those have in common, VLAN, relay,
// address, client, is said; the share of the samples is that of the packets.
// A flood that forges its frames' sources too has only what is common to it.
package flood

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/xdpxe/xdpxe/loader"
)

const (
	// every is how often a flood that goes on is told.
	every = time.Minute
	// most is how many sources are told at a time.
	most = 5
	// keep bounds the samples of one report; the program makes fewer.
	keep = 4096
	// a part of the samples that is worth being told, 1/worth
	worth = 10
)

// Source is whom refused packets came from. What is zero is not common to them.
type Source struct {
	Reason  string
	Packets uint64  // of all that were refused since the last report, by the share of samples
	Rate    float64 // of these, a second
	MAC     [6]byte // the frame's source
	VIDs    [2]uint16
	Addr    netip.Addr
	Relay   netip.Addr
	Client  [16]byte // a DHCP client's hardware address
	Clients int      // how many different ones the samples have, of each kind of who asks
	Samples int
}

// Watch follows what one interface's guard refuses. Its methods are for one goroutine.
type Watch struct {
	told    map[string]uint64 // counters as of the last report
	at      time.Time         // of it
	begun   time.Time         // when what is refused since then was first seen
	samples []loader.Refusal
}

// New returns a watch that begins with the counters as they are.
func New(counters map[string]uint64) *Watch { return &Watch{told: refused(counters)} }

// refused are the counters of the guard.
func refused(counters map[string]uint64) map[string]uint64 {
	out := make(map[string]uint64)
	for reason, n := range counters {
		if n != 0 && loader.Refused(reason) {
			out[reason] = n
		}
	}
	return out
}

// Add takes a sample.
func (w *Watch) Add(r loader.Refusal) {
	if len(w.samples) < keep {
		w.samples = append(w.samples, r)
	}
}

// Report returns what is to be told at now, the largest first: the sources of
// all that was refused since the last report, at once when it begins and once a
// minute while it goes on. lull: nothing has been refused for a minute.
func (w *Watch) Report(now time.Time, counters map[string]uint64) (sources []Source, lull bool) {
	is := refused(counters)
	if maps.Equal(is, w.told) {
		return nil, now.Sub(w.at) >= every
	}
	if w.begun.IsZero() {
		w.begun = now
	}
	if !w.at.IsZero() && now.Sub(w.at) < every {
		return nil, false
	}
	// Of what began since the last look, the rate is not known better than so.
	took := max(now.Sub(cmp.Or(w.at, w.begun)), lookEvery)
	if took > every+lookEvery {
		took = max(now.Sub(w.begun), lookEvery)
	}
	for reason, n := range is {
		if fresh := n - w.told[reason]; fresh > 0 && n > w.told[reason] {
			sources = append(sources, w.of(reason, fresh, took)...)
		}
	}
	w.told, w.at, w.begun, w.samples = is, now, time.Time{}, w.samples[:0]
	slices.SortFunc(sources, func(a, b Source) int {
		return cmp.Or(cmp.Compare(b.Packets, a.Packets), cmp.Compare(a.Reason, b.Reason), cmp.Compare(b.Samples, a.Samples))
	})
	return sources[:min(len(sources), most)], false
}

// lookEvery is how often Report is called, and so how exactly the beginning of a flood is known.
const lookEvery = 5 * time.Second

// of divides the packets of one reason among the frames' sources.
func (w *Watch) of(reason string, packets uint64, took time.Duration) (sources []Source) {
	byMAC, all := make(map[[6]byte][]loader.Refusal), 0
	for _, s := range w.samples {
		if s.Reason == reason {
			byMAC[s.MAC] = append(byMAC[s.MAC], s)
			all++
		}
	}
	var others []loader.Refusal
	add := func(list []loader.Refusal, mac [6]byte) {
		n := packets
		if all > 0 {
			n = packets * uint64(len(list)) / uint64(all)
		}
		s := common(list)
		s.Reason, s.Packets, s.Rate, s.MAC = reason, n, float64(n)/took.Seconds(), mac
		sources = append(sources, s)
	}
	for mac, list := range byMAC {
		if len(list)*worth < all {
			others = append(others, list...)
			continue
		}
		add(list, mac)
	}
	// A few among many are honest clients that met the flood.
	if len(others)*worth >= all {
		add(others, [6]byte{})
	}
	return sources
}

// common returns what most samples agree in.
func common(list []loader.Refusal) Source {
	s := Source{Samples: len(list)}
	s.VIDs, _ = usual(list, func(r *loader.Refusal) [2]uint16 { return r.VIDs })
	s.Addr, _ = usual(list, func(r *loader.Refusal) netip.Addr { return r.Src })
	s.Relay, _ = usual(list, func(r *loader.Refusal) netip.Addr { return r.Relay })
	type who struct {
		client      [16]byte
		relay, addr netip.Addr
	}
	_, s.Clients = usual(list, func(r *loader.Refusal) who {
		if r.Client == [16]byte{} {
			return who{addr: r.Src}
		}
		return who{client: r.Client, relay: r.Relay}
	})
	s.Client, _ = usual(list, func(r *loader.Refusal) [16]byte { return r.Client })
	return s
}

// usual returns the value that more than half of the samples have, or zero, and
// how many different values there are.
func usual[T comparable](list []loader.Refusal, of func(*loader.Refusal) T) (value T, different int) {
	count := make(map[T]int)
	for i := range list {
		count[of(&list[i])]++
	}
	for v, n := range count {
		if 2*n > len(list) {
			value = v
		}
	}
	return value, len(count)
}
